"""Files as their authors published them: convert.py tells whose they are; the others know one kind each."""
