"""The models, as they travel to the Hub: configurations, parts, and the figures of the papers in modeling_*.py."""
