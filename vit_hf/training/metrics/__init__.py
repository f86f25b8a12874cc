"""What is measured of a model, from its outputs over a split, and how sure that is: by the problem that it solves."""
