"""Run by itself, in a process of its own: load a folder as a stranger would, and predict images or give logits.

    python -I fresh_reload.py FOLDER IMAGE ...                      without vit_hf, running the code in the folder
    python -I fresh_reload.py --logits FILE FOLDER                  the same, for fixed pixels
    python -I fresh_reload.py --logits FILE --with ROOT FOLDER      with vit_hf, of ROOT, and no code of the folder
    python -I fresh_reload.py --without NAME FOLDER IMAGE ...       also without another package, which has the family
    python -I fresh_reload.py --logits FILE --stock FOLDER          without vit_hf, and no code of the folder either

Prints one line of JSON: for each image its most probable label and that label's probability, or of a model that says
numbers these, without a probability; or writes a safetensors
file with the pixels that the processor made, where there is one, and what the model said to them. For a model of videos
an IMAGE is a folder of frames, or a file.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path


class Absent:
    """Makes packages as if they were not installed."""

    def __init__(self, names):
        self.names = {"vit_hf", *names}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"{name} is hidden on purpose")


def predicted_labels(folder, paths):
    import torch

    config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    model = auto_class(config).from_pretrained(folder, trust_remote_code=True).eval()
    processor = load_processor(config, folder, trust=True)
    given = paths if "num_frames" in config else images_of(paths, getattr(model.config, "num_channels", 3))
    with torch.inference_mode():
        logits = model(**processor(given, return_tensors="pt")).logits
    names, kind = model.config.id2label, model.config.problem_type
    if kind == "regression":
        said = [", ".join(f"{names[at]} {number:.4g}" for at, number in enumerate(row)) for row in logits.tolist()]
        return [{"image": path, "label": text, "probability": None} for path, text in zip(paths, said, strict=True)]
    probabilities = logits.sigmoid() if kind == "multi_label_classification" else logits.softmax(-1)
    best = probabilities.max(-1)
    return [
        {"image": path, "label": names[index], "probability": probability}
        for path, index, probability in zip(paths, best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def images_of(paths, channels):
    from PIL import Image

    return [Image.open(path).convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]) for path in paths]


def load_processor(config, folder, trust):
    """Of images, or of videos where the model takes frames."""
    # Under the names that need no torchvision.
    if "num_frames" in config:
        from transformers.models.auto.video_processing_auto import AutoVideoProcessor as Auto
    else:
        from transformers.models.auto.image_processing_auto import AutoImageProcessor as Auto
    return Auto.from_pretrained(folder, trust_remote_code=trust)


def auto_class(config):
    """The Auto class, or transformers' own class, of the model that was saved."""
    import transformers

    saved = config["architectures"][0]
    names = (auto for auto, code in config.get("auto_map", {}).items() if code.rpartition(".")[2] == saved)
    return getattr(transformers, next(names, saved))


def pictures(channels):
    """Three images of no size in particular, all of gray, RGB or RGBA."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    sizes = [(40, 56), (64, 64), (301, 200)]
    shapes = [size if channels == 1 else (*size, channels) for size in sizes]
    return [Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)) for shape in shapes]


def logits(folder, file, trust, stock):
    import torch
    from safetensors.torch import save_file

    config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    model, info = auto_class(config).from_pretrained(folder, trust_remote_code=trust, output_loading_info=True)
    # On a trunk of its own kinds AutoModel puts a pooler, asked or not; the tokens, which are compared, need none.
    allowed = () if "auto_map" in config else ("pooler.dense.weight", "pooler.dense.bias")
    missing = sorted(info["missing_keys"] - {*allowed})
    if missing or info["unexpected_keys"]:
        raise ValueError(f"missing {missing}, unexpected {sorted(info['unexpected_keys'])}")
    size, channels, frames = model.config.image_size, model.config.num_channels, getattr(model.config, "num_frames", 0)
    height, width = (size, size) if isinstance(size, int) else size
    shape = (3, *([frames] if frames else []), channels, height, width)
    found = {"random_pixels": torch.randn(shape, generator=torch.Generator().manual_seed(0))}
    # Its own processor of videos transformers loads only beside torchvision.
    prepares = channels in (1, 3, 4) and Path(folder, "preprocessor_config.json").is_file() and not (frames and stock)
    if prepares:
        processor = load_processor(config, folder, trust)
        images = [[image] if frames else image for image in pictures(channels)]
        found["pixels"] = torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in images])
    with torch.inference_mode():
        for name in list(found):
            first = model.eval()(found[name].to(model.dtype), return_dict=False)[0]
            outputs = first if isinstance(first, tuple) else (first,)
            found |= {f"{name}_to_{place}": output.contiguous() for place, output in enumerate(outputs)}
    save_file(found, file)
    return sorted(found)


if __name__ == "__main__":
    parse = argparse.ArgumentParser()
    parse.add_argument("--logits")
    parse.add_argument("--with", dest="roots", action="append", default=[])
    parse.add_argument("--without", action="append", default=[])
    parse.add_argument("--stock", action="store_true")
    parse.add_argument("folder")
    parse.add_argument("images", nargs="*")
    given = parse.parse_args()
    if given.roots:
        sys.path[:0] = given.roots
        importlib.import_module("vit_hf")
    else:
        sys.meta_path.insert(0, Absent(given.without))
    with tempfile.TemporaryDirectory() as modules:
        os.environ.update(HF_MODULES_CACHE=modules, HF_HUB_OFFLINE="1")
        trusted = not (given.roots or given.stock)
        asked = (given.logits, trusted, given.stock) if given.logits else (given.images,)
        print(json.dumps((logits if given.logits else predicted_labels)(given.folder, *asked)))
