"""What happens to images in training: augmentations.py lists it, the other files are the arithmetic."""
