"""What our classes inherit where the package is installed: loading that adapts, and a sentence for every mistake.

The code that travels to the Hub stays small without it, and never takes it from an installed package: that may be of
another version.
"""
