"""From YAML to what a training is told."""
