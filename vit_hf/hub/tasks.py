"""What a model is for, by the ending of its class's name: ours, and transformers' own."""

# The Hub's word for it.
TASKS = {
    "ForImageClassification": "image-classification",
    "ForVideoClassification": "video-classification",
    "ForMaskedImageModeling": None,
    "Backbone": "image-feature-extraction",
    "Model": "image-feature-extraction",
}


def ending_of(class_name: str) -> str:
    return next(ending for ending in TASKS if class_name.endswith(ending))


def auto_name(class_name: str) -> str:
    """The Auto class that finds it."""
    ending = ending_of(class_name)
    return f"Auto{ending}" if ending.startswith(("Model", "Backbone")) else f"AutoModel{ending}"


def task_of(class_name: str) -> str | None:
    return TASKS[ending_of(class_name)]
