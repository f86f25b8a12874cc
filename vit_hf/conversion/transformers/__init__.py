"""transformers' models and ours, both ways; which family is converted where, says its record in families/."""
