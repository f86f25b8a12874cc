"""What cards say: of trained models (trained.py, from the template model_card.md), of conversions, and of others."""
