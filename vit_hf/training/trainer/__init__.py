"""The Trainer: steps, checkpoints, and runs that go on where they were cut off."""
