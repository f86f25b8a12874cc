"""timm's models and ours, both ways; which family is converted by which file, says its record in families/."""
