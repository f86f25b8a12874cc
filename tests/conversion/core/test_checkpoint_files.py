"""Every form of checkpoint gives the same tensors, in the dtypes they were saved in, and bad ones say what would do."""

import json
import pickle
from argparse import Namespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vit_hf.conversion.core.checkpoint_files import PREFIXES, WRAPPERS, open_checkpoint, under_prefix

ANCHOR = "blocks.0.attn.qkv.weight"


def some_weights(dtype=torch.float32) -> dict[str, torch.Tensor]:
    return {ANCHOR: torch.randn(6, 2).to(dtype), "norm.bias": torch.randn(2).to(dtype)}


def save_npz(state, path):
    save_arrays(path, {name: tensor.numpy() for name, tensor in state.items()})


def save_arrays(path, arrays):
    np.savez(path, **arrays)


def save_legacy(state, path):
    torch.save(state, path, _use_new_zipfile_serialization=False)


def save_shards(state, folder):
    folder.mkdir()
    places = {}
    for number, (name, tensor) in enumerate(state.items()):
        places[name] = f"model-{number}.safetensors"
        save_file({name: tensor}, folder / places[name])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def save_in_folder(state, folder):
    folder.mkdir()
    save_file(state, folder / "model.safetensors")


def save_alone_in_folder(state, folder):
    folder.mkdir()
    torch.save(state, folder / "weights.pth")


FORMS = {
    "model.safetensors": save_file,
    "model.npz": save_npz,
    "model.pth": torch.save,
    "model.pt": torch.save,
    "model.bin": save_legacy,
    "model.ckpt": torch.save,
    "shards": save_shards,
    "folder": save_in_folder,
    "one file": save_alone_in_folder,
}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_back_what_was_saved(form, dtype, tmp_path):
    state = some_weights(dtype)
    FORMS[form](state, tmp_path / form)
    assert_same(open_checkpoint(tmp_path / form), state)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "model.npz"])
def test_bfloat16_stays_bfloat16(form, tmp_path):
    state = some_weights(torch.bfloat16)
    FORMS[form](state, tmp_path / form)
    assert_same(open_checkpoint(tmp_path / form), state)


def test_bfloat16_of_an_npz_is_what_numpy_knows_only_as_two_bytes(tmp_path):
    state = some_weights(torch.bfloat16)
    arrays = {name: tensor.view(torch.int16).numpy().view("V2") for name, tensor in state.items()}
    save_arrays(tmp_path / "model.npz", arrays)
    assert_same(open_checkpoint(tmp_path / "model.npz"), state)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_weights_are_found_beside_an_optimizer_and_the_arguments_of_a_training(wrapper, tmp_path):
    state = some_weights()
    torch.save({wrapper: state, "epoch": 3, "args": Namespace(lr=0.1)}, tmp_path / "model.pth")
    assert_same(open_checkpoint(tmp_path / "model.pth"), state)


def test_of_several_state_dicts_the_best_is_taken_and_the_others_are_named(tmp_path, caplog):
    student, teacher = some_weights(), some_weights()
    torch.save({"student": student, "teacher": teacher}, tmp_path / "model.pth")
    assert_same(open_checkpoint(tmp_path / "model.pth"), teacher)
    assert "'teacher' is taken, student left" in caplog.text
    assert_same(open_checkpoint(tmp_path / "model.pth", part="student"), student)
    with pytest.raises(ValueError, match="has no 'ema'; it holds student, teacher"):
        open_checkpoint(tmp_path / "model.pth", part="ema")


@pytest.mark.parametrize("chain", ["", *PREFIXES, "module.encoder.", "teacher.backbone.", "model._orig_mod.module."])
def test_a_model_is_found_under_any_chain_of_prefixes(chain):
    state = {f"{chain}{name}": tensor for name, tensor in some_weights().items()} | {"loss.center": torch.ones(1)}
    found, left = under_prefix(state, ANCHOR) or ({}, [])
    assert {"loss.center"} == set(left) | ({"loss.center"} & set(found))
    assert torch.equal(found[ANCHOR], state[f"{chain}{ANCHOR}"])
    assert torch.equal(found["norm.bias"], state[f"{chain}norm.bias"])


def test_of_a_teacher_and_a_student_side_by_side_the_teacher_is_taken():
    state = {f"{who}.backbone.{ANCHOR}": torch.full((1,), value) for who, value in [("student", 1.0), ("teacher", 2.0)]}
    found, left = under_prefix(state, ANCHOR) or ({}, [])
    assert found[ANCHOR].item() == 2.0
    assert left == [f"student.backbone.{ANCHOR}"]


@pytest.mark.parametrize("key", ["stages.0.x", f"decoder.{ANCHOR}", f"decoder_{ANCHOR}"])
def test_a_model_under_a_strange_name_is_not_taken_for_ours(key):
    assert under_prefix({key: torch.ones(1)}, ANCHOR) is None


class Nasty:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("form", ["model.safetensors", "model.npz", "model.pth", "model.bin"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(form, kept, tmp_path):
    path = tmp_path / form
    FORMS[form]({"weight": torch.randn(40, 40)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match="truncated, damaged,? or no .* file"):
        dict(open_checkpoint(path))


@pytest.mark.parametrize("form", ["model.safetensors", "model.npz", "model.pth", "model.bin", "model.pt"])
def test_a_file_of_something_else_is_refused(form, tmp_path):
    (tmp_path / form).write_text("<html>Not found</html>" * 20)
    with pytest.raises(ValueError, match="cannot be read .* Copy or download it again"):
        open_checkpoint(tmp_path / form)


@pytest.mark.parametrize("save", [torch.save, save_legacy])
def test_a_pickle_with_code_is_refused_with_the_safe_way_and_never_run(save, tmp_path, capsys):
    save({"model": some_weights(), "hook": Nasty()}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"would run code \(.*print\); .* safetensors\.torch\.save_file"):
        open_checkpoint(tmp_path / "model.pth")
    assert capsys.readouterr().out == ""


def test_a_plain_pickle_is_refused_too(tmp_path, capsys):
    (tmp_path / "model.bin").write_bytes(pickle.dumps({"hook": Nasty()}))
    with pytest.raises(ValueError, match="cannot be read|would run code"):
        open_checkpoint(tmp_path / "model.bin")
    assert capsys.readouterr().out == ""


def test_python_objects_in_an_npz_are_refused(tmp_path):
    np.savez(tmp_path / "model.npz", good=np.ones(2), bad=np.array([Nasty()], dtype=object))
    with pytest.raises(ValueError, match="Python objects under bad, which could run code"):
        dict(open_checkpoint(tmp_path / "model.npz"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"epoch": 3, "args": [1]}, "it is a dictionary of epoch, args"),
        ([torch.ones(1)], "it is a list"),
        ({}, "it is a dictionary of nothing"),
        ({"model": {"optimizer": 3}}, "it is a dictionary of optimizer"),
    ],
)
def test_a_file_without_weights_says_what_it_holds(content, complaint, tmp_path):
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(ValueError, match=f"holds no weights: {complaint}.*state_dict"):
        open_checkpoint(tmp_path / "model.pth")


def test_what_is_no_checkpoint_is_refused_with_what_would_do(tmp_path):
    with pytest.raises(ValueError, match="There is no file or folder"):
        open_checkpoint(tmp_path / "nothing.pth")
    (tmp_path / "model.txt").write_text("weights")
    with pytest.raises(ValueError, match=r"ends in none of \.safetensors, \.npz"):
        open_checkpoint(tmp_path / "model.txt")
    (tmp_path / "model.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0")
    with pytest.raises(ValueError, match="git lfs pull"):
        open_checkpoint(tmp_path / "model.pth")


def test_a_folder_without_weights_or_with_several_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no weights \(in it: nothing\)"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"holds no weights \(in it: config.json\)"):
        open_checkpoint(tmp_path)
    for name in ("a.pth", "b.pth"):
        torch.save(some_weights(), tmp_path / name)
    with pytest.raises(ValueError, match="holds 2 checkpoints; name one"):
        open_checkpoint(tmp_path)


def test_shards_that_do_not_fit_their_index_are_refused(tmp_path):
    folder = tmp_path / "shards"
    save_shards(some_weights(), folder)
    index = folder / "model.safetensors.index.json"
    good = json.loads(index.read_text())
    for changed, complaint in [
        ({"weight_map": good["weight_map"] | {"head.weight": "model-0.safetensors"}}, "where it is not"),
        ({"weight_map": good["weight_map"] | {"head.weight": "model-9.safetensors"}}, "does not lie beside it"),
        ({"weight_map": good["weight_map"] | {"head.weight": "../model.safetensors"}}, "does not lie beside it"),
        ({}, "no index of shards"),
    ]:
        index.write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=complaint):
            open_checkpoint(folder)
