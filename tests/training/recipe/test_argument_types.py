"""The arguments of a training, typed by their own annotations."""

from dataclasses import fields
from typing import Any

import pytest
from transformers import SchedulerType

from vit_hf.errors import UserError
from vit_hf.training.recipe.arguments import TrainingArguments, refuse_unknown_arguments, training_arguments

STRANGE: list[Any] = [
    *("x", "1e-3", "", 5, -1, 0, 1.5, float("nan"), float("inf"), 1e30, 10**30, True, None),
    *([], ["a"], [[1]], {}, {"a": 1}, {1: 2}),
]


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"learning_rate": "1e-3"}, "learning_rate='1e-3' is a str, and has to be float. Write 1e-3 without quotation"),
        ({"report_to": 5}, "report_to=5 is a int, and has to be list of str or nothing or str"),
        ({"report_to": [[1]]}, r"report_to=\[\[1\]\] is a list"),
        ({"lr_scheduler_type": 3}, "lr_scheduler_type=3 is a int, and has to be str"),
        ({"lr_scheduler_kwargs": [1]}, r"lr_scheduler_kwargs=\[1\] is a list, and has to be dict or nothing or str"),
        ({"output_dir": 5}, "output_dir=5 is a int"),
        ({"learning_rate": float("nan")}, "learning_rate=nan has to be a finite number, at least 0"),
        ({"per_device_train_batch_size": 0}, "per_device_train_batch_size=0 has to be a finite number, at least 1"),
        ({"adam_beta2": 1.0}, "adam_beta2=1.0 has to be a finite number, at least 0, below 1"),
        ({"seed": 2**32}, "seed=4294967296 has to be a finite number, at least 0, below 4294967296"),
        ({"save_steps": float("inf")}, "save_steps=inf has to be a finite number"),
    ],
)
def test_what_is_of_another_type_or_range_is_a_sentence(training: dict[str, Any], sentence: str):
    with pytest.raises(UserError, match=f"training.{sentence}"):
        refuse_unknown_arguments(training)


def test_every_argument_takes_every_strange_value_or_refuses_it_in_a_sentence(tmp_path):
    """A file that is asked for has its own sentence."""
    for field in fields(TrainingArguments):
        for value in STRANGE if field.init else []:
            try:
                refuse_unknown_arguments({field.name: value})
                if field.name in ("report_to", "accelerator_config", "lr_scheduler_type", "save_steps", "debug"):
                    training_arguments({"output_dir": str(tmp_path), field.name: value})
            except UserError as error:
                assert field.name in str(error)  # noqa: PT017 - most of them raise nothing


def test_the_defaults_are_of_their_own_types(tmp_path):
    own = TrainingArguments(output_dir=str(tmp_path))
    given = {one.name: getattr(own, one.name) for one in fields(TrainingArguments) if one.init}
    refused = []
    for name, value in given.items():
        try:
            refuse_unknown_arguments({name: value})
        except UserError as error:
            refused.append(str(error))
    assert [line for line in refused if "accelerator_config" not in line] == []  # a live object by then


def test_words_of_transformers_own_are_taken_as_they_are_in_python(tmp_path):
    given = {"lr_scheduler_type": SchedulerType.COSINE, "output_dir": tmp_path, "report_to": ["none"]}
    assert refuse_unknown_arguments(given) == given
