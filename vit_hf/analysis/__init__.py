"""Pictures of what a model learnt and where it errs."""
