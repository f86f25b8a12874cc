"""What the commands run, as Python functions: prepare, train, evaluate, predict, convert."""
