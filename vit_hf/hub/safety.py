"""What a folder from strangers may not do: bring pickles, run code unasked, reach out of itself."""

from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING

from ..errors import UserError
from ..files import places_of_tensors, read_json

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def refuse_unsafe(folder: Path, name: str, *, trust_remote_code: bool = False) -> None:
    """Raises: UserError with the reason and the safe way."""
    refuse_pickles(folder, name)
    refuse_outside(folder, name)
    if not trust_remote_code:
        refuse_code(folder, name)


def refuse_pickles(folder: Path, name: str) -> None:
    if any(folder.glob("model*.safetensors")):
        return
    pickles = ", ".join(sorted(file.name for kind in PICKLES for file in folder.glob(kind)))
    beside = f" ({pickles})" if pickles else " such as pytorch_model.bin"
    raise UserError(
        f"{name} has no model.safetensors. Pickles{beside} are not opened here, because a pickle can run any code as "
        "it is read. Let the convert command read them, which takes nothing but tensors out of them, or ask for "
        "safetensors."
    )


def refuse_outside(folder: Path, name: str) -> None:
    """An index or a configuration that names weights outside of the folder."""
    named = {"config.json": [read_json(folder / "config.json").get("transformers_weights")]}
    for index in folder.glob("*.index.json"):
        named[index.name] = [*places_of_tensors(index).values()]
    for file, paths in named.items():
        for path in paths:
            if path is not None and path != Path(str(path)).name:
                raise UserError(f"{file} of {name} names weights outside of its folder ({path}), which are not read.")


def refuse_code(folder: Path, name: str) -> None:
    """A model that nothing installed can build. What is installed is used instead of the code that comes along."""
    config = read_json(folder / "config.json")
    code: Any = config.get("auto_map")
    if not code or config.get("model_type") in CONFIG_MAPPING:
        return
    files = sorted({str(one).rpartition(".")[0] for one in code.values()})
    where = [file.replace("--", ": ") + ".py" for file in files]
    raise UserError(
        f"{name} is a model of its own kind ({config.get('model_type')}), built by code that comes with it "
        f"({', '.join(where)}), and code is not run unasked. Read it; if you trust it, add --trust-remote-code, and "
        "name the commit that you read, as owner/name@commit."
    )
