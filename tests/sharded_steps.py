"""A training step of each family, its layers sharded over processes by FSDP2 as people write it by hand."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState
from processes import shard_on_cpu
from safetensors.torch import save_file
from tiny import V2, clips, images, tiny, tiny_swin, tiny_timesformer
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

import vit_hf
from vit_hf.training.trainer.sharding import layers_to_shard

CASES: dict[str, Callable[[], tuple[Any, Tensor]]] = {
    "vit": lambda: (tiny(vit_hf.VisionTransformerForImageClassification), images(4)),
    "vit of many words": lambda: (
        tiny(
            vit_hf.VisionTransformerForImageClassification,
            patch_embedding="conv",
            position_embedding="rotary",
            qk_norm=True,
            layer_scale_init_value=0.1,
            num_register_tokens=2,
            pooling="attention",
        ),
        images(4),
    ),
    "swin": lambda: (tiny_swin(vit_hf.SwinTransformerForImageClassification), images(4, height=36)),
    "swin v2": lambda: (tiny_swin(vit_hf.SwinTransformerForImageClassification, **V2), images(4)),
    "timesformer": lambda: (tiny_timesformer(vit_hf.TimeSformerForVideoClassification), clips(4)),
}
LABELS = torch.tensor([0, 1, 2, 4])

BF16 = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
POLICIES = {
    "float32": (MixedPrecisionPolicy(), None),
    "bf16": (BF16, None),
    "bf16, norms float32": (BF16, MixedPrecisionPolicy(param_dtype=torch.float32, output_dtype=torch.bfloat16)),
}


def started_anew(case: str) -> tuple[Any, Tensor]:
    """The same model and inputs in each process."""
    torch.manual_seed(0)
    model, pixels = CASES[case]()
    return model.train(), pixels


def shard(model: Any, policy: MixedPrecisionPolicy, norms: MixedPrecisionPolicy | None) -> None:
    """Norms by themselves where they have a policy of their own, then each layer, then the rest."""
    for module in model.modules():
        if norms is not None and isinstance(module, nn.LayerNorm):
            fully_shard(module, mp_policy=norms)
    for module in model.modules():
        if type(module).__name__ in model._no_split_modules:
            fully_shard(module, mp_policy=policy)
    fully_shard(model, mp_policy=policy)


def save_step(model: Any, loss: Tensor, file: Path) -> None:
    """The loss of all processes, and the gradients whole, from the first one."""
    loss = loss.detach().float()
    distributed.all_reduce(loss)
    found = {key: value.grad.full_tensor() for key, value in model.named_parameters() if value.grad is not None}
    if distributed.get_rank() == 0:
        save_file({**found, "loss": loss / distributed.get_world_size()}, file)


def step(environment: dict[str, str], folder: Path) -> None:
    """What a process does: each case under each policy, on its part of the batch."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, processes = distributed.get_rank(), distributed.get_world_size()
    for case in CASES:
        for name, policies in POLICIES.items():
            model, pixels = started_anew(case)
            shard(model, *policies)
            loss = model(pixels.chunk(processes)[rank], labels=LABELS.chunk(processes)[rank]).loss
            loss.backward()
            save_step(model, loss, folder / f"{case}, {name}.st")
    distributed.destroy_process_group()


def step_by_accelerate(environment: dict[str, str], folder: Path) -> None:
    """The same by Accelerate's plugin. Told nothing of the layers, it takes all that may not be split, and then the
    patches within them, which torch refuses, of transformers' own ViT as well."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    shard_on_cpu()
    for case in CASES:
        model, pixels = started_anew(case)
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=layers_to_shard(model),
        )
        accelerator = Accelerator(cpu=True, mixed_precision="bf16", fsdp_plugin=plugin)
        model, _ = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
        rank, processes = accelerator.process_index, accelerator.num_processes
        loss = model(pixels.chunk(processes)[rank], labels=LABELS.chunk(processes)[rank]).loss
        accelerator.backward(loss)
        save_step(model, loss, folder / f"{case}, accelerate.st")
        accelerator.free_memory()
        AcceleratorState._reset_state()
    distributed.destroy_process_group()
