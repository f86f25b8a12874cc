"""What our classes gain where the package is installed: loading that adapts, and a sentence for every mistake.

The code that travels to the Hub stays small without it. Each file here has a `complete`, which `vit_hf.registration`
calls as soon as the module that it completes is imported; a copy of that module on the Hub is never touched.
"""
