"""Folders that are whole Hub repositories: their cards, their loading, and the proof that strangers can load them."""
