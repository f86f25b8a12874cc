"""Two models with the same random weights, and whether they are the same function, forwards and backwards."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vit_hf.conversion.core.rules import Table, translate, written_out
from vit_hf.conversion.core.weights import shapes_of

TIGHT = 1e-12  # float64, of numbers of order 1
SINGLE = 1e-6  # where either side computes a step in float32
LABELS = torch.tensor([3, 1])
NUM_LABELS = 5


@torch.no_grad()
def randomise(model: nn.Module) -> None:
    """No parameter stays at a zero or a one that could hide a fault; all outputs are of order 1."""
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.normal_(mean=0.4, std=0.4)
        elif parameter.ndim == 3:
            parameter.normal_()  # tokens and positions
        else:
            parameter.normal_(std=parameter[0].numel() ** -0.5 if parameter.numel() else 1.0)


def copy_weights(theirs: nn.Module, ours: nn.Module, table: Table) -> None:
    """Raises: ValueError for a key of theirs without a rule, and for one of ours that none of theirs fills."""
    layers = ours.config.num_hidden_layers
    ours.load_state_dict(translate(theirs.state_dict(), table, layers, shapes=shapes_of(ours)))


def make_twins(ours: nn.Module, theirs: nn.Module, table: Table) -> None:
    """In float64, for evaluation, with the same weights, all of them random."""
    randomise(theirs)
    theirs.double().eval()
    ours.double().eval()
    copy_weights(theirs, ours, table)


def in_training(model: nn.Module, pixels: Tensor, **options: bool):
    """What a model makes of images while it drops units, from the same random numbers for every model."""
    torch.manual_seed(7)
    return model.train()(pixels, **options)


def all_tokens_in_training(model: nn.Module, pixels: Tensor) -> Tensor:
    """The logits of ours, from as many random numbers as libraries draw that compute all tokens of the last layer."""
    return in_training(model, pixels, output_hidden_states=True).logits


def two_leaves(height: int, width: int, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Random images twice, each with a gradient of its own."""
    pixels = torch.randn(len(LABELS), channels, height, width, dtype=torch.float64)
    return pixels.clone().requires_grad_(), pixels.clone().requires_grad_()


def assert_equal(ours: Tensor, theirs: Tensor, tolerance: float = TIGHT) -> None:
    """Equal to an absolute difference, and far enough from constant that this says something."""
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)
    if theirs.numel() > 1:
        assert theirs.std() > 100 * tolerance


def assert_same_gradients(
    ours: nn.Module, theirs: nn.Module, table: Table, tolerance: float = TIGHT, besides: Sequence[str] = ()
) -> None:
    """Of every weight of ours, besides constants and what the keys in `besides` end: sums of several of theirs."""
    layers = ours.config.num_hidden_layers
    gradients = {name: weight.grad for name, weight in theirs.named_parameters() if weight.grad is not None}
    expected = translate(gradients, [line for line in table if line.theirs], layers)
    constants = {key for line in written_out(table, layers) if not line.theirs for key in line.ours}
    for name, weight in ours.named_parameters():
        if name not in constants and not name.endswith(tuple(besides)):
            assert name in expected, f"{name} has no gradient to compare with"
            torch.testing.assert_close(weight.grad, expected[name], rtol=0, atol=tolerance, msg=f"gradient of {name}")


def assert_same_classifier(
    ours: nn.Module,
    theirs: nn.Module,
    table: Table,
    size: tuple[int, int],
    *,
    logits_of: Callable[[nn.Module, Tensor], Tensor] = lambda model, pixels: model(pixels),
    tolerance: float = TIGHT,
    besides: Sequence[str] = (),
) -> None:
    """The same logits, loss, and gradients of pixels and weights, which are smaller numbers."""
    our_pixels, their_pixels = two_leaves(*size)
    outputs = ours(pixel_values=our_pixels, labels=LABELS)
    logits = logits_of(theirs, their_pixels)
    loss = functional.cross_entropy(logits, LABELS)
    assert_equal(outputs.logits, logits, tolerance)
    assert_equal(outputs.loss, loss, tolerance)
    outputs.loss.backward()
    loss.backward()
    assert_equal(our_pixels.grad, their_pixels.grad, tolerance / 10)
    assert_same_gradients(ours, theirs, table, tolerance / 10, besides)
