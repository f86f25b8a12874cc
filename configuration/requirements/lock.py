"""Write the lock: ask pip what it would install today for pyproject.toml, and note every version.

    make lock

`base.txt` runs the package, `test.txt` adds what its tests need, `peers.txt` names the libraries that the
parity tests and the benchmark compare with (installed apart, without dependencies; see the Makefile). `floors.txt`
holds the other end, the lowest version that pyproject.toml allows of each library it names, for `make test-floors`.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

# torch pins the CUDA libraries of its own build, and a machine without a GPU may want none of them.
OF_TORCH = re.compile(r"nvidia-|cuda-|triton")
# 90 MB for growing heat to pixels, which the test of grad-cam goes without.
OF_PICTURES = re.compile(r"opencv-python")


def resolve(requirements: list[str]) -> list[str]:
    """-> `name==version` of all that an empty environment would need for `requirements`, in their order of name.

    A build tag (`+cpu`) belongs to one machine and is left out, so that each machine takes its own build.
    """
    pip = [sys.executable, "-I", "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report"]
    answer = subprocess.run([*pip, "-", *requirements], check=True, stdout=subprocess.PIPE, text=True).stdout
    installed = json.loads(answer)["install"]
    versions = {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in installed}
    return [
        f"{name}=={version.partition('+')[0]}" for name, version in sorted(versions.items()) if not OF_TORCH.match(name)
    ]


def write(name: str, purpose: str, lines: list[str]) -> None:
    (HERE / name).write_text("\n".join([f"# {purpose} Written by `make lock`.", *lines]) + "\n")
    print(f"{name}: {len(lines)} lines")


def floors() -> list[str]:
    """Every `name>=version` that a run or its tests may meet, as `name==version`."""
    named = PROJECT["dependencies"] + [each for extra in ("fast", "video", "test") for each in EXTRAS[extra]]
    # Which none of the tests at the floors imports.
    serving = ("fastapi", "prometheus-client", "python-multipart", "uvicorn")
    tools = (*serving, "gradio", "nncf", "openvino", "playwright", "pyright", "ruff")
    return sorted({each.replace(">=", "==") for each in named if not each.startswith(tools)})


def write_floors() -> None:
    write("floors.txt", "The lowest versions that pyproject.toml allows.", resolve(floors()))


def main() -> None:
    everything = resolve(PROJECT["dependencies"] + EXTRAS["test"])
    # The runtime keeps the versions chosen beside the tests' tools, or the two files could disagree.
    names = {line.partition("==")[0] for line in resolve(PROJECT["dependencies"])}
    base = [line for line in everything if line.partition("==")[0] in names]
    write("base.txt", "What vit_hf runs on.", base)
    test = [line for line in everything if line not in base]
    write("test.txt", "What its tests need besides.", ["--requirement base.txt", *test])
    # Each torchvision belongs to one torch, so the peers are resolved beside it and noted without it.
    peers = [line for line in resolve([*base, *EXTRAS["peers"]]) if line not in base and not OF_PICTURES.match(line)]
    peers += [each for each in EXTRAS["peers"] if OF_TORCH.match(each)]
    write("peers.txt", "Its opponents; install with --no-deps.", sorted(peers))
    write_floors()


if __name__ == "__main__":
    main()
