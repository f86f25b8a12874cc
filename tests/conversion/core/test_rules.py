import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vit_hf.conversion.core.rules import (
    as_batch_of_one,
    constant,
    dropped,
    mapped,
    patch_kernel,
    query_key_value,
    translate,
    turned,
    under,
    weight_and_bias,
    without_batch,
)

TABLE = [
    *query_key_value("blocks.{layer}.{part}", "layers.{layer}.qkv"),
    mapped("token", "prefix.token", as_batch_of_one, without_batch),
    *weight_and_bias("head", "classifier"),
    dropped("mean", "the processor holds it"),
]


def state_of(layers: int, width: int) -> dict[str, torch.Tensor]:
    parts = [f"blocks.{layer}.{part}" for layer in range(layers) for part in "qkv"]
    state = {f"{part}.weight": torch.randn(width, width) for part in parts}
    state |= {f"{part}.bias": torch.randn(width) for part in parts}
    return state | {"token": torch.randn(width), "head.weight": torch.randn(3, width), "head.bias": torch.randn(3)}


@given(layers=st.integers(1, 3), width=st.integers(1, 5))
def test_a_table_read_from_right_to_left_gives_back_what_it_was_given(layers, width):
    state = state_of(layers, width)
    back = translate(translate(state, TABLE, layers), turned(TABLE), layers)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], tensor) for key, tensor in state.items())


def test_queries_keys_and_values_lie_one_above_the_other():
    made = translate(state := state_of(1, 2), TABLE, 1)
    assert torch.equal(made["layers.0.qkv.weight"][2:4], state["blocks.0.k.weight"])
    assert torch.equal(made["prefix.token"][0], state["token"])


def test_a_key_without_a_rule_is_named_and_one_that_is_dropped_is_not():
    state = state_of(1, 2)
    assert "mean" not in translate({**state, "mean": torch.zeros(3)}, TABLE, 1)
    with pytest.raises(ValueError, match=r"No rule covers \['neck.weight'\]; add one, or a rule that drops them"):
        translate({**state, "neck.weight": torch.zeros(3)}, TABLE, 1)
    with pytest.raises(ValueError, match=r"No rule covers \['blocks.1.k.bias', .*\] and 2 more"):
        translate(state_of(2, 2), TABLE, 1)


def test_half_of_a_rules_keys_are_no_match():
    state = state_of(1, 2)
    del state["blocks.0.k.weight"]
    with pytest.raises(ValueError, match=r"No rule covers \['blocks.0.q.weight', 'blocks.0.v.weight'\]"):
        translate(state, TABLE, 1)


def test_other_shapes_missing_places_and_missing_keys_are_named():
    state, table = {"a": torch.zeros(2, 3)}, [mapped("a", "b")]
    with pytest.raises(ValueError, match=r"a of shape \(2, 3\) makes b of shape \(2, 3\), but the target has \(3, 2\)"):
        translate(state, table, 1, shapes={"b": torch.Size([3, 2])})
    with pytest.raises(ValueError, match="makes b, which the target does not have"):
        translate(state, table, 1, shapes={})
    with pytest.raises(ValueError, match=r"nothing that makes \['c'\]"):
        translate(state, table, 1, shapes={"b": torch.Size([2, 3]), "c": torch.Size([1])})


def test_a_constant_is_made_in_the_dtype_of_the_rest_and_must_be_it_on_the_way_back():
    table = [constant("bias", torch.zeros(2)), mapped("a", "b")]
    made = translate({"a": torch.ones(1, dtype=torch.float64)}, table, 1)
    assert made["bias"].dtype == torch.float64
    assert translate(made, turned(table), 1).keys() == {"a"}
    made["bias"][0] = 1
    with pytest.raises(ValueError, match="bias has no place there, and can be left out only while it holds 0"):
        translate(made, turned(table), 1)


def test_constants_of_two_layers_are_two_tensors():
    made = translate({}, [constant("{layer}.bias", torch.zeros(2))], 2)
    assert made["0.bias"].data_ptr() != made["1.bias"].data_ptr()


def test_what_is_made_is_a_copy_unless_it_may_be_shared():
    state, table = (
        {"a": torch.ones(4), "qkv": torch.ones(6)},
        [mapped("a", "b"), mapped("qkv", ("q", "k", "v"), chunked)],
    )
    copied, shared = (translate(state, table, 1, share=share) for share in (False, True))
    assert copied["b"].data_ptr() != state["a"].data_ptr()
    assert shared["b"].data_ptr() == state["a"].data_ptr()
    assert shared["k"].untyped_storage().nbytes() == shared["k"].nbytes  # no view into a larger tensor


def chunked(tensor):
    return tensor.chunk(3)


def test_a_kernel_goes_into_either_patch_embedding_and_back():
    kernel = torch.randn(5, 3, 2, 4)
    for word in ("conv", "linear"):
        table = under([patch_kernel("k", "w", word, channels=3, patch_size=(2, 4))], ours="patches.")
        made = translate({"k": kernel}, table, 1)
        assert made["patches.w"].ndim == (4 if word == "conv" else 2)
        assert torch.equal(translate(made, turned(table), 1)["k"], kernel)


def test_only_the_tensors_of_one_rule_are_read_at_a_time():
    class Lazy(dict):
        """Counts what is alive of what was read."""

        alive = 0
        most = 0

        def __getitem__(self, key):
            tensor = torch.zeros(2)
            Lazy.alive += 1
            Lazy.most = max(Lazy.most, Lazy.alive)
            import weakref

            weakref.finalize(tensor, self.gone)
            return tensor

        @staticmethod
        def gone():
            Lazy.alive -= 1

    names = [str(number) for number in range(9)]
    table = [mapped(name, name, lambda tensor: tensor + 1) for name in names]
    translate(Lazy(dict.fromkeys(names)), table, 1)
    assert Lazy.most <= 2  # the last rule's go when the next one's come
