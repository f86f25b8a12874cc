"""Run by itself, in a process of its own: load a folder as a stranger would, without vit_hf, and predict images.

    python -I fresh_reload.py FOLDER IMAGE ...

Prints one line of JSON: for each image its most probable label and that label's probability.
"""

import json
import os
import sys
import tempfile


class Absent:
    """Makes a package as if it were not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "vit_hf":
            raise ModuleNotFoundError(f"{name} is hidden on purpose")


def predict(folder, paths):
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(folder, trust_remote_code=True)
    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[getattr(model.config, "num_channels", 3)]
    images = [Image.open(path).convert(mode) for path in paths]
    probabilities = model(**processor(images, return_tensors="pt")).logits.softmax(-1)
    best = probabilities.max(-1)
    return [
        {"image": path, "label": model.config.id2label[index], "probability": probability}
        for path, index, probability in zip(paths, best.indices.tolist(), best.values.tolist(), strict=True)
    ]


if __name__ == "__main__":
    sys.meta_path.insert(0, Absent())
    with tempfile.TemporaryDirectory() as modules:
        os.environ.update(HF_MODULES_CACHE=modules, HF_HUB_OFFLINE="1")
        print(json.dumps(predict(sys.argv[1], sys.argv[2:])))
