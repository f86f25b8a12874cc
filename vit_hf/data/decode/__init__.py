"""From a file, or the bytes of one, to pixels of the size that a model takes."""
