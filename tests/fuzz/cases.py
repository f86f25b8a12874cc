"""Configs, files and recipes that are wrong in random ways, and how each comes in."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from fuzz.judging import Verdict, judge
from fuzz.mutations import changed_fields, damaged
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from tiny import tiny, tiny_config, tiny_swin, tiny_swin_config

from vit_hf import SwinTransformerForImageClassification, VisionTransformerForImageClassification
from vit_hf.conversion.pretrained import load_any
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.publishing.load_classifier import load_classifier
from vit_hf.runs.evaluate import data_settings
from vit_hf.runs.predict import predict
from vit_hf.training.recipe.arguments import training_arguments
from vit_hf.training.recipe.recipe import load_recipe
from vit_hf.training.recipe.shipped import own_recipes
from vit_hf.training.recipe.yaml_files import parse_yaml

PICTURES = ("a.png", "a.jpg", "a.bmp", "a.tiff", "a.webp", "a.gif")
CLASSES = {"vit_hf": VisionTransformerForImageClassification, "swin_hf": SwinTransformerForImageClassification}


def make_sources(folder: Path) -> Path:
    """Whole folders and files, of which each case changes a copy."""
    labels: dict[str, Any] = {"id2label": {0: "cat", 1: "dog", 2: "ant"}, "label2id": {"cat": 0, "dog": 1, "ant": 2}}
    vit = tiny(CLASSES["vit_hf"], **labels, num_hidden_layers=1)
    swin = tiny_swin(CLASSES["swin_hf"], **labels)
    for name, model, config in (("vit", vit, tiny_config()), ("swin", swin, tiny_swin_config())):
        model.save_pretrained(folder / name)
        make_image_processor(config).save_pretrained(folder / name)
        (folder / name / "recipe.yaml").write_text("data: {name: digits, train: {flip: 0.5}}\n")
        (folder / name / "README.md").write_text("---\nlicense: mit\nbase_model: you/model\n---\n# A model\n")
    (folder / "files").mkdir()
    state = {name.removeprefix("vit."): value for name, value in vit.state_dict().items()}
    torch.save({"model": state, "epoch": 3}, folder / "files" / "a.pth")
    np.savez(folder / "files" / "a.npz", **{name: value.numpy() for name, value in state.items()})
    pixels = np.random.default_rng(0).integers(0, 256, (24, 31, 3), dtype=np.uint8)
    for picture in PICTURES:
        Image.fromarray(pixels).save(folder / "files" / picture)
    return folder


def ways_in(folder: Path, class_of_it: Any) -> dict[str, Callable[[], Any]]:
    return {
        "predict": lambda: predict(str(folder), [folder.parent / "a.png"]),
        "load_classifier": lambda: load_classifier(str(folder))[0],
        "load_any": lambda: load_any(str(folder)).model,
        "from_pretrained": lambda: class_of_it.from_pretrained(folder),
    }


def fault_of_taken(found: Any, folder: Path) -> str | None:
    """Whatever was taken has exactly the weights of the file, and says only numbers."""
    if not isinstance(found, torch.nn.Module):
        shares = [
            best["probability"] for result in found.results for best in result["predictions"] if "value" not in best
        ]
        return None if all(0 <= share <= 1 for share in shares) else f"shares of {shares}"
    try:
        saved = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError) as error:
        return f"a model was made of weights that cannot be read: {error}"
    for name, value in found.state_dict().items():
        if name not in saved or not torch.equal(value.nan_to_num(), saved[name].to(value.dtype).nan_to_num()):
            return f"{name} is not what the file holds"
    return None


def config_case(seed: int, sources: Path, folder: Path) -> Iterator[Verdict]:
    """A field or more of config.json or preprocessor_config.json, by each way in."""
    random = Random(seed)
    name = random.choice(["vit", "swin"])
    copy = shutil.copytree(sources / name, folder / "model")
    shutil.copy(sources / "files" / "a.png", folder)
    file = copy / random.choice(["config.json"] * 3 + ["preprocessor_config.json"])
    content, names = changed_fields(json.loads(file.read_text()), random)
    file.write_text(json.dumps(content))
    for way, come_in in ways_in(copy, CLASSES[f"{name}_hf"]).items():
        about = [*names, str(copy), "config", "pixels"]
        yield judge(f"config by {way}", seed, about, lambda come_in=come_in: fault_of_taken(come_in(), copy))


def file_case(seed: int, sources: Path, folder: Path) -> Iterator[Verdict]:
    """The bytes of a file of a model, of weights alone, or of a picture."""
    random = Random(seed)
    if random.random() < 0.6:
        copy = shutil.copytree(sources / "vit", folder / "model")
        shutil.copy(sources / "files" / "a.png", folder)
        inside = ["model.safetensors"] * 3 + ["config.json", "preprocessor_config.json", "README.md", "recipe.yaml"]
        file = copy / random.choice(inside)
        file.write_bytes(damaged(file.read_bytes(), random))
        ways = {**ways_in(copy, CLASSES["vit_hf"]), "settings": lambda: data_settings(str(copy), None, [])}
        for way, come_in in ways.items():
            if way == "settings":
                yield judge("file by settings", seed, [str(copy), "data"], lambda come_in=come_in: come_in() and None)
                continue
            yield judge(f"file by {way}", seed, [str(copy)], lambda come_in=come_in: fault_of_taken(come_in(), copy))
        return
    file = Path(shutil.copy(sources / "files" / random.choice(["a.pth", "a.npz", *PICTURES]), folder))
    file.write_bytes(damaged(file.read_bytes(), random))
    if file.name in PICTURES:
        found: list[Any] = []
        yield judge("picture", seed, [file.name], lambda: found.append(predict(str(sources / "vit"), [file])))
        if found and len(found[0].results) + len(found[0].unreadable) != 1:
            yield Verdict("picture", seed, "", "is neither read nor told")
        return
    yield judge("weights", seed, [str(file)], lambda: load_any(str(file)) and None)


def recipe_case(seed: int, sources: Path, folder: Path) -> Iterator[Verdict]:
    """A field or more of a shipped recipe, or letters of its text; what is taken becomes transformers' arguments."""
    random = Random(seed)
    shipped = own_recipes()
    text = Path(shipped[random.choice(sorted(shipped))]).read_text(encoding="utf-8")
    names: list[str] = []
    if random.random() < 0.7:
        content, names = changed_fields(parse_yaml(text, "a shipped recipe"), random)
        flow = json.dumps(content).replace("NaN", ".nan").replace("Infinity", ".inf")  # which YAML reads too
        written = flow.encode()
    else:
        written = damaged(text.encode(), random)
    path = folder / "recipe.yaml"
    path.write_bytes(written)

    def attempt() -> None:
        recipe = load_recipe(path)
        training_arguments({**recipe.training, "output_dir": str(folder / "out"), "push_to_hub": False})

    yield judge("recipe", seed, [str(path), *names, "training"], attempt)


CASES: dict[str, Callable[[int, Path, Path], Iterator[Verdict]]] = {
    "configs": config_case,
    "files": file_case,
    "recipes": recipe_case,
}


def run_cases(kind: str, seeds: range, sources: Path, scratch: Path) -> Iterator[Verdict]:
    """Each in a folder of its own, which is removed after it."""
    for seed in seeds:
        folder = scratch / f"{kind}-{seed}"
        folder.mkdir(parents=True)
        yield from CASES[kind](seed, sources, folder)
        shutil.rmtree(folder)
