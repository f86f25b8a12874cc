"""A Hub on this machine, to which the real clients speak over HTTP: it stores, checks, remembers and fails on demand.

It speaks as much of the Hub's protocol as huggingface_hub, transformers and datasets do. It has no discussions, no
settings, no git and no xet: pull requests are branches, a large file is sent in one part, and listings have one page.
"""
