"""Configs and files that are wrong in random ways, and how each comes in."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from fuzz.judging import Verdict, judge
from fuzz.mutations import changed_fields, damaged
from fuzz.recipe_cases import recipe_case
from fuzz.truth import blames_another, changes, names_one_of, snapshot, untrue_claims
from made_images import class_folders, video_folders
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from tiny import tiny, tiny_config, tiny_swin, tiny_swin_config

from vit_hf import SwinTransformerForImageClassification, VisionTransformerForImageClassification
from vit_hf.commands.cli import EXPECTED
from vit_hf.conversion.pretrained import load_any
from vit_hf.data.decode.processors import make_image_processor
from vit_hf.publishing.load_classifier import load_classifier
from vit_hf.runs.evaluate import data_settings
from vit_hf.runs.predict import predict

PICTURES = ("a.png", "a.jpg", "a.bmp", "a.tiff", "a.webp", "a.gif")
# What each file of a model is called in a sentence.
FILES = {
    "model.safetensors": "weights|tensors|safetensors",
    "config.json": "[Cc]onfig|weights",  # which say of each other's damage no more than that they differ
    "preprocessor_config.json": "preprocessor_config|processor",
    "README.md": "README|card",
    "recipe.yaml": "recipe",
}
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
    class_folders(folder / "photos", {"cat": 8, "dog": 7, "ant": 6})
    video_folders(folder / "films", {"left": 6, "right": 6})
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


def unchanged_by(folder: Path, attempt: Callable[[], str | None]) -> str | None:
    """What is wrong with an attempt: whether it is taken or refused, what it reads stays as it is."""
    before = snapshot(folder)
    try:
        fault = attempt()
    except EXPECTED as error:
        if changed := changes(before, snapshot(folder)):
            raise AssertionError(f"{changed} and says {error}") from error
        raise
    return fault or changes(before, snapshot(folder))


def config_case(seed: int, sources: Path, folder: Path) -> Iterator[Verdict]:
    """A field or more of config.json or preprocessor_config.json, by each way in."""
    random = Random(seed)
    name = random.choice(["vit", "swin"])
    copy = shutil.copytree(sources / name, folder / "model")
    shutil.copy(sources / "files" / "a.png", folder)
    file = copy / random.choice(["config.json"] * 3 + ["preprocessor_config.json"])
    content, paths = changed_fields(json.loads(file.read_text()), random)
    file.write_text(json.dumps(content))
    known = {**json.loads((copy / "preprocessor_config.json").read_text()), **content}
    names = {place for path in paths for place in path}

    def check(said: str) -> str | None:
        if not names_one_of(said, names) and not re.search(FILES[file.name], said.replace(str(copy), "")):
            return f"names none of {names}: {said[:300]!r}"
        blamed = None if names_one_of(said, names) else blames_another(said, file.name, FILES.keys() - {file.name})
        return blamed or untrue_claims(said, known)

    for way, come_in in ways_in(copy, CLASSES[f"{name}_hf"]).items():
        attempt = partial(unchanged_by, folder, lambda come_in=come_in: fault_of_taken(come_in(), copy))
        yield judge(f"config by {way}", seed, attempt, check)


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

        fields = [*json.loads((sources / "vit" / file.name).read_text())] if file.suffix == ".json" else []

        def check(said: str) -> str | None:
            said = said.replace(str(folder), "")
            if not re.search(FILES[file.name], said) and not names_one_of(said, fields):
                return f"does not name {file.name}: {said[:300]!r}"
            return blames_another(said, file.name, FILES.keys() - {file.name, "config.json"})

        for way, come_in in ways.items():
            if way == "settings":
                taken = lambda come_in=come_in: come_in() and None  # noqa: E731
            else:
                taken = lambda come_in=come_in: fault_of_taken(come_in(), copy)  # noqa: E731
            yield judge(f"file by {way}", seed, partial(unchanged_by, folder, taken), check)
        return
    file = Path(shutil.copy(sources / "files" / random.choice(["a.pth", "a.npz", *PICTURES]), folder))
    file.write_bytes(damaged(file.read_bytes(), random))
    if file.name in PICTURES:
        found: list[Any] = []
        yield judge("picture", seed, lambda: found.append(predict(str(sources / "vit"), [file])), named(file))
        if found and len(found[0].results) + len(found[0].unreadable) != 1:
            yield Verdict("picture", seed, "", "is neither read nor told")
        return
    yield judge("weights", seed, partial(unchanged_by, folder, lambda: load_any(str(file)) and None), named(file))


def named(file: Path) -> Callable[[str], str | None]:
    return lambda said: None if file.name in said else f"does not name {file.name}: {said[:300]!r}"


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
