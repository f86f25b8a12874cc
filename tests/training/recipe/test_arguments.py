import os
from typing import Any
from unittest import mock

import pytest
import torch
from accelerate.utils import TorchDynamoPlugin

from vit_hf.training.recipe.arguments import TrainingArguments, agree_on_tf32


def dynamic_after(tmp_path, **arguments) -> bool | None:
    """What Accelerate gives to torch.compile, after arguments were made."""
    with mock.patch.dict(os.environ):
        TrainingArguments(output_dir=str(tmp_path), use_cpu=True, **arguments)
        return TorchDynamoPlugin().dynamic


def test_what_is_compiled_gets_a_graph_for_each_size(monkeypatch, tmp_path):
    assert dynamic_after(tmp_path, torch_compile=True) is False
    assert dynamic_after(tmp_path) is None


def test_a_user_may_want_one_graph_for_all_sizes(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCELERATE_DYNAMO_USE_DYNAMIC", "true")
    assert dynamic_after(tmp_path, torch_compile=True) is True


def copies_wait(tmp_path) -> bool:
    arguments: Any = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    return not arguments.accelerator_config.non_blocking


def test_batches_go_to_an_accelerator_without_waiting(monkeypatch, tmp_path):
    assert copies_wait(tmp_path)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert not copies_wait(tmp_path)


def test_the_compiler_may_ask_for_tf32():
    backends: Any = torch.backends
    before = backends.fp32_precision
    try:
        backends.fp32_precision = "tf32"
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            print(torch.backends.cuda.matmul.allow_tf32)
        agree_on_tf32()
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        backends.fp32_precision = before
        torch.set_float32_matmul_precision("highest")
    assert not torch.backends.cuda.matmul.allow_tf32
