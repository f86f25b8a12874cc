"""From a folder to a repository that strangers can load, and the proof that they can."""
