"""Recipes, the Trainer, and what is measured of a trained model."""
