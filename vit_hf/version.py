"""The version of the package, which every saved configuration names."""

__version__ = "0.1.0"
