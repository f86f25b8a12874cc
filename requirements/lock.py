"""Write the lock: install what pyproject.toml allows into an empty environment, and note every version.

    make lock

`base.txt` runs the package, `test.txt` adds what its tests need, `peers.txt` names the libraries that the
parity tests and the benchmark compare with (installed apart, without dependencies; see the Makefile).
"""

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]

# torch pins the CUDA libraries of its own build, and a machine without a GPU may want none of them.
OF_TORCH = re.compile(r"^(nvidia-|cuda-|triton)")


def installed(python: Path) -> list[str]:
    """-> `name==version` lines of an environment, without the build tag (`+cpu`) that a machine adds."""
    listing = [python, "-m", "pip", "list", "--format=freeze", "--exclude", "pip"]
    lines = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.splitlines()
    return [re.sub(r"\+.*", "", line) for line in lines if not OF_TORCH.match(line)]


def resolve(requirements: list[str], *options: str) -> list[str]:
    """-> the versions that an empty environment ends with when it is asked for `requirements`."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", *options, *requirements], check=True)
        return installed(python)


def write(name: str, purpose: str, lines: list[str]) -> None:
    text = "\n".join([f"# {purpose} Written by `make lock`.", *lines]) + "\n"
    (HERE / name).write_text(text)
    print(f"{name}: {len(lines)} lines", file=sys.stderr)


def main() -> None:
    extras = PROJECT["optional-dependencies"]
    everything = resolve(PROJECT["dependencies"] + extras["test"])
    # The runtime's versions are held to those chosen beside the tests' tools, or the two files could disagree.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as versions:
        versions.write("\n".join(everything))
        versions.flush()
        base = resolve(PROJECT["dependencies"], "--constraint", versions.name)
    write("base.txt", "What vit_hf runs on.", base)
    test = ["--requirement base.txt", *(line for line in everything if line not in base)]
    write("test.txt", "What its tests need besides.", test)
    peers = resolve(extras["peers"], "--no-deps")
    write("peers.txt", "What it is compared with; install it apart, with --no-deps.", peers)


if __name__ == "__main__":
    main()
