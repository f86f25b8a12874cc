"""The way to the Hub and back: downloads, pushes, what may go wrong on it, and what is safe to open."""
