"""A family of another package, in two files, does all that those of this package do."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from families.packages import ROOT, TINY, environment_of, install_tiny, run
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
# With the package, and with no more than transformers and the code in the repository.
FETCH = """
import sys, torch
from transformers import AutoModelForImageClassification
model = AutoModelForImageClassification.from_pretrained("you/tiny", **eval(sys.argv[1])).eval()
assert model(torch.ones(2, 3, 8, 8)).logits.shape == (2, 10)
print(type(model).__module__.split(".")[0], "vit_hf" in sys.modules, model(torch.ones(2, 3, 8, 8)).logits.tolist())
"""


def command(name: str) -> str:
    return str(ROOT / "scripts" / f"{name}.py")


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

    def vit_hf(name: str, *words: str) -> str:
        return run(command(name), *words, environment=environment, cwd=tmp_path)

    train = (command("train"), "tiny.yaml", "--training.output_dir")
    assert "Loaded again in a fresh process without vit_hf" in vit_hf("train", *train[1:], "whole")
    # It is killed in the middle, with steps that no checkpoint has.
    kill_when(tmp_path / "killed" / "checkpoint-100", *train, "killed", environment=environment, cwd=tmp_path)
    assert not (tmp_path / "killed" / "README.md").exists()
    vit_hf("train", *train[1:], "killed", "--resume")
    whole, resumed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed"))
    assert whole == resumed
    card = (tmp_path / "whole" / "README.md").read_text()
    assert "A Tiny Mixer with" in card
    assert "A mixer for tests" in card

    assert "accuracy" in vit_hf("evaluate", "whole", "--output", "evaluation")
    assert "%" in vit_hf("predict", "whole", "whole/examples")
    vit_hf(
        "train",
        "tiny.yaml",
        "--training.output_dir",
        "larger",
        "--model",
        "{family: tiny, from: whole, image_size: 16}",
    )
    assert json.loads((tmp_path / "larger" / "config.json").read_text())["image_size"] == 16

    assert "the model says the same, to the bit" in vit_hf("publish", "whole", "you/tiny")
    assert {"modeling_tiny.py", "README.md"} <= set(hub.repository("you/tiny").at().files)
    assert "verified" in vit_hf("publish", "--verify", "you/tiny@main")
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

    vit_hf("benchmark", "--family", "tiny", "--batch", "1", "--rounds", "1", "--device", "cpu", "--json", "speed.json")
    comparisons = json.loads((tmp_path / "speed.json").read_text())["comparisons"]
    assert [(one["mode"], one["size"], [row["library"] for row in one["rows"]]) for one in comparisons] == [
        ("inference", "xs", ["vit_hf"]),
        ("training", "xs", ["vit_hf"]),
    ]


@pytest.mark.parametrize(("to", "reason"), [("timm", "to timm"), ("transformers", "to transformers' own models")])
def test_a_conversion_that_the_family_has_not_is_a_sentence(to: str, reason: str, tmp_path: Path):
    environment = environment_of(install_tiny(tmp_path / "site"))
    make = "import vit_hf; from vit_hf.families import FAMILIES as all; c = all['tiny'].classifier; "
    run("-c", make + "c(c.config_class()).save_pretrained('made')", environment=environment, cwd=tmp_path)
    words = [sys.executable, command("convert"), "made", "converted", "--to", to]
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"There is no conversion of a Tiny Mixer {reason}." in done.stderr
