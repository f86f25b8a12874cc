"""What converters share: tables of rules, files of weights, and the proof that two models are the same."""
