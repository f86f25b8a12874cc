"""What the configurations of all families share: how they are checked."""

try:  # in the package: misspelt fields and impossible combinations are refused, each in a sentence
    if not __name__.startswith("vit_hf."):
        raise ImportError
    from vit_hf.completion.configurations import CheckedConfig, errors_as_sentences  # pyright: ignore[reportAssignmentType]
except ImportError:
    if __name__.startswith("vit_hf."):
        raise  # a circle of imports, which must not pass for a machine without the package

    class CheckedConfig:
        """Without the package a configuration is checked by transformers alone."""

    def errors_as_sentences(config_class):
        return config_class
