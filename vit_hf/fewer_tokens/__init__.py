"""Vision Transformers that compute fewer tokens than an image has patches: alike ones merged, or some left out in
training. It is a choice of a run, put on a loaded model and taken off again, of which weights and configuration know
nothing.
"""
