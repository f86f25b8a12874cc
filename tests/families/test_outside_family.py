"""A family of another package, in two files, does all that those of this package do."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from families.packages import TINY, environment_of, install_tiny, run
from hub_server.server import HubServer

RECIPE = {
    "model": {"family": "tiny", "size": "xs", "hidden_dropout_prob": 0.1},
    "data": {"name": "digits", "train": {"flip": 0.5}},
    "optimization": {"layer_decay": 0.8, "ema": {"decay": 0.9}},
    "training": {
        "max_steps": 300,
        "save_strategy": "steps",
        "save_steps": 100,
        "per_device_train_batch_size": 16,
        "learning_rate": 1e-2,
        "dataloader_num_workers": 1,
        "disable_tqdm": True,
        "use_cpu": True,
    },
}
LARGER = {
    "model": {"family": "tiny", "from": "whole", "image_size": 16},
    "training": {**RECIPE["training"], "max_steps": 2, "output_dir": "larger"},
}
# With the package, and with no more than transformers and the code in the repository.
FETCH = """
import sys, torch
from transformers import AutoModelForImageClassification
model = AutoModelForImageClassification.from_pretrained("you/tiny", **eval(sys.argv[1])).eval()
assert model(torch.ones(2, 3, 8, 8)).logits.shape == (2, 10)
print(type(model).__module__.split(".")[0], "vit_hf" in sys.modules, model(torch.ones(2, 3, 8, 8)).logits.tolist())
"""


# The commands one after the other, in one process.
COMMANDS = """
import importlib, json, sys
for name, *words in json.loads(sys.argv[1]):
    assert importlib.import_module(f"vit_hf.commands.{name}").main(words) == 0
"""


def kill_when(file: Path, *words: str, environment: dict[str, str], cwd: Path) -> None:
    """Start a process, and kill it as soon as the file is there."""
    with subprocess.Popen([sys.executable, *words], env=environment, cwd=cwd, stdout=subprocess.DEVNULL) as process:
        try:
            while not file.exists():
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.005)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


def test_the_family_takes_two_files_of_at_most_150_lines_together():
    files = [*TINY.glob("*.py")]
    assert len(files) == 2
    assert sum(len(file.read_text().splitlines()) for file in files) <= 150


def test_it_is_trained_resumed_evaluated_published_fetched_and_benchmarked(hub: HubServer, tmp_path: Path):
    environment = environment_of(install_tiny(tmp_path / "site"), hub.environment(tmp_path / "home", "hf_you"))
    (tmp_path / "tiny.yaml").write_text(json.dumps(RECIPE))

    (tmp_path / "larger.yaml").write_text(json.dumps({**RECIPE, **LARGER}))

    def vit_hf(*commands: str) -> str:
        words = json.dumps([one.split() for one in commands])
        return run("-c", COMMANDS, words, environment=environment, cwd=tmp_path)

    said = vit_hf("train tiny.yaml --training.output_dir whole")
    assert "Loaded again in a fresh process without vit_hf" in said
    # It is killed in the middle, with steps that no checkpoint has.
    killed, train = tmp_path / "killed", "train tiny.yaml --training.output_dir killed"
    words = ("-c", COMMANDS, json.dumps([train.split()]))
    kill_when(killed / "checkpoint-100", *words, environment=environment, cwd=tmp_path)
    assert not (killed / "README.md").exists()
    said = vit_hf(
        f"{train} --resume",
        "evaluate whole --output evaluation",
        "predict whole whole/examples",
        "train larger.yaml",
        "publish whole you/tiny",
        "publish --verify you/tiny@main",
        "benchmark --family tiny --batch 1 --rounds 1 --device cpu --json speed.json",
    )
    assert (killed / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()
    assert json.loads((tmp_path / "evaluation" / "metrics.json").read_text())["accuracy"] > 0.15
    assert "whole/examples/9.png" in said
    assert json.loads((tmp_path / "larger" / "config.json").read_text())["image_size"] == 16
    assert "the model says the same, to the bit" in said
    assert {"modeling_tiny.py", "README.md"} <= set(hub.repository("you/tiny").at().files)
    card = hub.repository("you/tiny").read("README.md").decode()
    assert "A Tiny Mixer with" in card
    assert "A mixer for tests" in card
    comparisons = json.loads((tmp_path / "speed.json").read_text())["comparisons"]
    assert [(one["mode"], one["size"], [row["library"] for row in one["rows"]]) for one in comparisons] == [
        ("inference", "xs", ["vit_hf"]),
        ("training", "xs", ["vit_hf"]),
    ]

    script = tmp_path / "fetch.py"
    script.write_text("import vit_hf\n" + FETCH)
    package, _, logits = run(str(script), "{}", environment=environment).split(maxsplit=2)
    script.write_text(FETCH)
    bare = environment_of(None, hub.environment(tmp_path / "another_home"))
    code, with_us, same = run(str(script), "{'trust_remote_code': True}", environment=bare, cwd=tmp_path).split(
        maxsplit=2
    )
    assert (package, code, with_us) == ("tiny_family", "transformers_modules", "False")
    assert same == logits


CONVERT = """
import vit_hf
from vit_hf.conversion import to_timm, to_transformers
from vit_hf.families import FAMILIES
model = FAMILIES["tiny"].classifier(FAMILIES["tiny"].config_class())
for convert in (to_timm, to_transformers):
    try:
        convert(model)
    except ValueError as error:
        print(type(error).__name__, error)
"""


def test_a_conversion_that_the_family_has_not_is_a_sentence(tmp_path: Path):
    said = run("-c", CONVERT, environment=environment_of(install_tiny(tmp_path)))
    assert said.splitlines() == [
        "UserError There is no conversion of a Tiny Mixer to timm.",
        "UserError There is no conversion of a Tiny Mixer to transformers' own models.",
    ]
