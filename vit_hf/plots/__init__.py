"""Pictures for cards and reports."""
