"""Every form of checkpoint gives the same tensors, in the dtypes they were saved in, and bad ones say what would do."""

import json
import pickle
import tempfile
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from vit_hf.conversion.core.checkpoint_files import PREFIXES, open_checkpoint, under_prefix

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


WRAPPERS = ["model", "state_dict", "model_state_dict", "net", "network", "weights", "params_ema", "ema", "my own"]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_weights_are_found_beside_an_optimizer_and_the_arguments_of_a_training(wrapper, tmp_path):
    state = some_weights()
    torch.save({wrapper: state, "epoch": 3, "args": Namespace(lr=0.1)}, tmp_path / "model.pth")
    assert_same(open_checkpoint(tmp_path / "model.pth"), state)


def test_of_several_that_differ_none_is_taken_and_all_are_named(tmp_path):
    student, teacher = some_weights(), some_weights()
    torch.save({"student": student, "teacher": teacher}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match="several models, which differ: 'student', 'teacher'.* part='student'"):
        open_checkpoint(tmp_path / "model.pth")
    assert_same(open_checkpoint(tmp_path / "model.pth", part="student"), student)
    assert_same(open_checkpoint(tmp_path / "model.pth", part="teacher"), teacher)
    with pytest.raises(ValueError, match="has no 'ema'; it holds student, teacher"):
        open_checkpoint(tmp_path / "model.pth", part="ema")


VALUES = st.sampled_from(
    [
        *(3, "x", None, 0.5, np.float64(0.9), np.float32(0.1), np.int64(3), np.bool_(True), np.ones(2)),
        *(Namespace(lr=0.1), Path("runs/1"), [1, {"a": 2}], {0: torch.ones(2)}, torch.ones(3), {"step": torch.ones(1)}),
    ]
)
NAMES = st.sampled_from(["epoch", "best_acc", "args", "config", "global_step", "lr", "history", "hparams"])
PATHS = st.lists(
    st.sampled_from(["model", "net", "weights", "params", "ema", "a b", "state_dict", "model_best"]), max_size=3
)
CHAINS = st.lists(
    st.sampled_from(["vit", "net", "module", "model", "visual", "trunk", "backbone", "_orig_mod"]), max_size=3
)


@settings(max_examples=150)
@given(
    PATHS,
    PATHS,
    CHAINS,
    st.dictionaries(NAMES, VALUES, max_size=4),
    st.booleans(),
    st.sampled_from([".pth", ".pth.tar"]),
)
def test_however_a_checkpoint_is_wrapped_the_same_weights_are_read(first, second, chain, beside, moments, ending):
    """Nested, prefixed, beside values of any kind and an optimizer's states, and twice, the same."""
    state = {"patch_embed.proj.weight": torch.randn(2, 3, 2, 2), **some_weights(), "head.weight": torch.randn(4, 2)}
    prefix = "".join(f"{word}." for word in chain)
    inner = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    content = dict(beside)
    for path in {tuple(first), tuple(second)} if first and second and first[0] != second[0] else {tuple(first)}:
        content |= wrapped(inner, path)
    if moments:
        content["optimizer"] = {
            "state": {0: {"exp_avg": torch.randn(2)}},
            "exp_avg": {name: -t for name, t in inner.items()},
        }
    with tempfile.TemporaryDirectory() as folder:
        torch.save(content, f"{folder}/model_best{ending}")
        found, left = under_prefix(open_checkpoint(f"{folder}/model_best{ending}"), ANCHOR) or ({}, [])
        # Tensors that lie right beside the weights cannot be told from them by any name.
        assert {name: found[name] for name in state}.keys() == state.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
        assert set(found) - state.keys() | set(left) <= beside.keys()


def wrapped(inner, path):
    for name in reversed(path):
        inner = {name: inner}
    return inner


@pytest.mark.parametrize("places", [("model", "model_ema"), ("state_dict", "params_ema"), ("a.b", "a.c"), ("x", "y")])
def test_two_that_differ_are_refused_with_both_named_wherever_they_lie(places, tmp_path):
    one, other = some_weights(), some_weights()
    content = {}
    for place, state in zip(places, (one, other), strict=True):
        *outer, last = place.split(".")
        inside = content
        for name in outer:
            inside = inside.setdefault(name, {})
        inside[last] = state
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(ValueError, match=f"which differ: '{places[0]}', '{places[1]}'"):
        open_checkpoint(tmp_path / "model.pth")
    assert_same(open_checkpoint(tmp_path / "model.pth", part=places[1]), other)


def test_another_model_beside_ours_is_passed_over_and_named(tmp_path, caplog):
    state, other = some_weights(), {f"conv{number}.weight": torch.randn(2) for number in range(9)}
    torch.save({"discriminator": other, "generator": state}, tmp_path / "model.pth")
    assert_same(open_checkpoint(tmp_path / "model.pth"), state)


@pytest.mark.parametrize("chain", ["", *PREFIXES, "module.encoder.", "teacher.backbone.", "model._orig_mod.module."])
def test_a_model_is_found_under_any_chain_of_prefixes(chain):
    state = {f"{chain}{name}": tensor for name, tensor in some_weights().items()} | {"loss.center": torch.ones(1)}
    found, left = under_prefix(state, ANCHOR) or ({}, [])
    assert {"loss.center"} == set(left) | ({"loss.center"} & set(found))
    assert torch.equal(found[ANCHOR], state[f"{chain}{ANCHOR}"])
    assert torch.equal(found["norm.bias"], state[f"{chain}norm.bias"])


def test_a_teacher_and_a_student_side_by_side_are_refused_where_they_differ(tmp_path):
    state = {f"{who}.backbone.{ANCHOR}": torch.full((1,), value) for who, value in [("student", 1.0), ("teacher", 2.0)]}
    with pytest.raises(ValueError, match=r"which differ: 'student\.backbone', 'teacher\.backbone'"):
        under_prefix(state, ANCHOR)
    torch.save(state, tmp_path / "model.pth")
    found, left = under_prefix(open_checkpoint(tmp_path / "model.pth", part="teacher"), ANCHOR) or ({}, [])
    assert (found[ANCHOR].item(), left) == (2.0, [])


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
        ({"model": {"optimizer": 3}}, "it is a dictionary of model"),
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
