from pathlib import Path

import torch
from made_images import noise
from PIL import Image

from vit_hf.plots.curves import draw_confusion_matrix, draw_training_curve, series, shorten
from vit_hf.plots.galleries import choose, draw_predictions


def test_wrong_predictions_come_first_and_the_surest_before_all():
    logits = torch.tensor([[5.0, 0.0], [1.0, 0.0], [0.0, 3.0], [2.0, 0.0]])
    chosen = choose(logits, torch.tensor([0, 1, 1, 1]), count=8)
    assert chosen == [3, 1, 0, 2]


def test_a_quarter_of_the_gallery_is_wrong_at_most():
    logits = torch.eye(2)[torch.zeros(40, dtype=torch.long)]
    chosen = choose(logits, torch.tensor([0] * 20 + [1] * 20), count=8)
    assert [index >= 20 for index in chosen] == [True] * 2 + [False] * 6


def test_a_series_is_what_was_logged_under_its_name():
    history = [{"epoch": 1.0, "loss": 2.0}, {"epoch": 1.0, "eval_loss": 3.0}, {"epoch": 2.0, "loss": 1.0}]
    assert series(history, "loss") == ([1.0, 2.0], [2.0, 1.0])


def test_any_label_can_be_drawn(tmp_path: Path):
    names = ["$x_{", "cost: 5$ or 6$", "a very long name that has no room", "<b>"]
    labels, logits = torch.arange(4), torch.eye(4)
    draw_confusion_matrix(torch.eye(4, dtype=torch.long), names, tmp_path / "matrix.png")
    draw_predictions([noise(n) for n in range(4)], logits, labels.flip(0), names, tmp_path / "gallery.png")
    draw_training_curve([], tmp_path / "curve.png")
    for name in ("matrix", "gallery", "curve"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert len(set(image.convert("L").tobytes())) > 10


def test_a_few_mistakes_leave_no_half_of_the_picture_empty(tmp_path: Path):
    widths = []
    for count in (4, 8, 9):
        logits, labels = torch.eye(2)[torch.zeros(count, dtype=torch.long)], torch.ones(count, dtype=torch.long)
        draw_predictions([noise(n) for n in range(count)], logits, labels, ["ant", "bee"], tmp_path / "mistakes.png")
        with Image.open(tmp_path / "mistakes.png") as image:
            widths.append(image.width)
    assert widths[0] < 0.6 * widths[1]
    assert widths[1] == widths[2]


def test_long_names_end_in_dots():
    assert shorten("abcdefgh", 5) == "abcd…"
    assert shorten("abcde", 5) == "abcde"
