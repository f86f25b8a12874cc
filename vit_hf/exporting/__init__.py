"""Graphs of models for other runtimes: what goes into them, how they are written, run, and compared with PyTorch."""
