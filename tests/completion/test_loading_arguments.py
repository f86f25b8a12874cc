"""Every argument of from_pretrained, with and without adapting, beside transformers' own ViT: it has its effect, or all
refuse it."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import images, tiny
from tqdm.auto import tqdm
from transformers import (
    GenerationConfig,
    KernelConfig,
    PreTrainedModel,
    TorchAoConfig,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.distributed.configuration_utils import DistributedConfig

from vit_hf import VisionTransformerForImageClassification, VisionTransformerModel
from vit_hf.errors import UserError

SIZES: dict[str, Any] = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 4, "intermediate_size": 48, "num_labels": 3}
# One file of each folder holds other weights than the rest, so that it shows which was read.
MARKED = {"variant": 2.0, "subfolder": 3.0, "pickle": 4.0}


def mark_of(model: Any) -> float:
    """What every bias of the last norm is."""
    return float(
        next(value for key, value in model.state_dict().items() if key.endswith(("vit.norm.bias", "layernorm.bias")))[0]
    )


def marked(model: Any, value: float) -> Any:
    for key, tensor in model.state_dict().items():
        if key.endswith(("vit.norm.bias", "layernorm.bias")):
            tensor.fill_(value)
    return model


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Of ours and theirs: a folder with weights, a variant, a subfolder, a pickle, and with keys of other names."""
    found = {}
    for name, model in {
        "ours": tiny(VisionTransformerForImageClassification, num_labels=3),
        "theirs": ViTForImageClassification(ViTConfig(**SIZES)),
    }.items():
        folder = found[name] = tmp_path_factory.mktemp(name)
        marked(model, MARKED["subfolder"]).save_pretrained(folder / "inner")
        marked(model, MARKED["variant"]).save_pretrained(folder, variant="fp16")
        marked(model, MARKED["pickle"]).save_pretrained(folder / "pickled")
        (folder / "pickled" / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pickled" / "pytorch_model.bin")
        marked(model, 1.0).save_pretrained(folder)
        model.save_pretrained(folder / "renamed")
        state = load_file(folder / "model.safetensors")
        renamed = {key.replace("vit.", "tower."): value for key, value in state.items()}
        save_file(renamed, folder / "renamed" / "model.safetensors", metadata={"format": "pt"})
    return found


@dataclass
class Argument:
    """given: what is passed. holds: whether a loaded model shows its effect; where nothing is to be seen, it loads as
    without it. inside: a folder within. refused: the error of all three. unadapted: refused where weights adapt."""

    given: dict[str, Any]
    holds: Callable[[Any], bool] = lambda model: mark_of(model) == 1.0
    inside: str = ""
    refused: type[Exception] | tuple[type[Exception], ...] | None = None
    unadapted: bool = False
    needs: str | None = None


def torchao_int8() -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    return TorchAoConfig(Int8WeightOnlyConfig())


def is_bfloat16(model: Any) -> bool:
    return model.dtype == torch.bfloat16


def offloads(model: Any) -> bool:
    return model.hf_device_map == {"vit": "disk", "classifier": "cpu"} and model(images()).logits.isfinite().all()


def quantized(model: Any) -> bool:
    return all(
        type(one.weight).__name__ == "Int8Tensor" for name, one in model.vit.named_modules() if is_linear(name, one)
    )


def is_linear(name: str, module: Any) -> bool:
    return isinstance(module, torch.nn.Linear) and "layer" in name


ARGUMENTS: dict[str, Argument] = {
    "config": Argument({"config": None}),
    "cache_dir": Argument({"cache_dir": "nowhere"}),
    "ignore_mismatched_sizes": Argument({"ignore_mismatched_sizes": True}),
    "force_download": Argument({"force_download": True}),
    "local_files_only": Argument({"local_files_only": True}),
    "token": Argument({"token": "hf_none"}),
    "revision": Argument({"revision": "main"}),
    "proxies": Argument({"proxies": {}}),
    "_commit_hash": Argument({"_commit_hash": None}),
    "subfolder": Argument({"subfolder": "inner"}, lambda model: mark_of(model) == MARKED["subfolder"]),
    "variant": Argument({"variant": "fp16"}, lambda model: mark_of(model) == MARKED["variant"]),
    "no variant": Argument({"variant": "fp8"}, refused=OSError),
    "use_safetensors": Argument(
        {"use_safetensors": False}, lambda model: mark_of(model) == MARKED["pickle"], inside="pickled"
    ),
    "weights_only": Argument(
        {"weights_only": True, "use_safetensors": False}, lambda model: mark_of(model) == MARKED["pickle"], "pickled"
    ),
    "key_mapping": Argument({"key_mapping": {r"^tower\.": "vit."}}, inside="renamed"),
    "disable_mmap": Argument({"disable_mmap": True}),
    "tqdm_class": Argument({"tqdm_class": tqdm}),
    "trust_remote_code": Argument({"trust_remote_code": False}),
    "_from_auto": Argument({"_from_auto": True}),
    "_from_pipeline": Argument({"_from_pipeline": "image-classification"}),
    "state_dict": Argument({"state_dict": {}}, refused=ValueError),
    "dtype": Argument({"dtype": torch.bfloat16}, is_bfloat16),
    "dtype in words": Argument({"dtype": "bfloat16"}, is_bfloat16),
    "torch_dtype": Argument({"torch_dtype": torch.bfloat16}, is_bfloat16),
    "device_map": Argument({"device_map": "meta"}, lambda model: model.device.type == "meta"),
    "max_memory": Argument({"device_map": "auto", "max_memory": {"cpu": "1GB"}}),
    "offload_folder": Argument({"device_map": {"vit": "disk", "classifier": "cpu"}}, offloads),
    "offload_buffers": Argument({"device_map": "cpu", "offload_buffers": True}),
    "quantization_config": Argument({}, quantized, needs="torchao"),
    "attn_implementation": Argument(
        {"attn_implementation": "eager"}, lambda model: model.config._attn_implementation == "eager"
    ),
    "experts_implementation": Argument(
        {"experts_implementation": "eager"}, lambda model: model.config._experts_implementation == "eager"
    ),
    "generation_config": Argument({"generation_config": GenerationConfig()}),
    "fusion_config": Argument({"fusion_config": {"nothing": True}}, refused=ValueError),
    "use_kernels": Argument({"use_kernels": True}, refused=(ValueError, ImportError)),
    "kernel_config": Argument({"kernel_config": KernelConfig({})}, refused=(ValueError, ImportError)),
    "allow_all_kernels": Argument({"allow_all_kernels": True}),
    "gguf_file": Argument({"gguf_file": "model.gguf"}, refused=(OSError, ValueError)),
    "distributed_config": Argument(
        {"distributed_config": DistributedConfig(tp_plan="auto", tp_size=1)}, unadapted=True
    ),
    "tp_plan": Argument({"tp_plan": "auto"}, unadapted=True),
    "tp_size": Argument({"tp_size": 1}, unadapted=True),
    "device_mesh": Argument({"device_mesh": None}),
    "adapter_kwargs": Argument({"adapter_kwargs": {}}),  # adapters themselves: test_loading_adapters.py
    "adapter_name": Argument({"adapter_name": "mine"}),
    **{name: Argument({name: None}) for name in ("mirror", "_fast_init", "low_cpu_mem_usage", "offload_state_dict")},
    **{name: Argument({name: False}) for name in ("from_tf", "from_flax")},
    "nonsense": Argument({"nonsense": 3}, refused=TypeError),
}
ADAPTED = [{"num_labels": 7}, {"image_size": 48}]
CASES = [("theirs", ViTForImageClassification, {}), ("ours", VisionTransformerForImageClassification, {})]
CASES += [("ours", VisionTransformerForImageClassification, words) for words in ADAPTED]


def test_the_table_names_every_argument_that_transformers_takes():
    loader: Any = PreTrainedModel.from_pretrained
    code = inspect.getsource(loader)
    taken = set(re.findall(r"\bkwargs\.pop\(\"(\w+)\"", code)) | set(
        re.findall(r"\"(\w+)\"", code.split("for name in [")[1].split("]")[0])
    )
    named = {name for name, one in inspect.signature(loader).parameters.items() if one.kind is one.KEYWORD_ONLY}
    spelt_otherwise = {"output_loading_info"}
    assert (taken | named) - spelt_otherwise - ARGUMENTS.keys() == set()


@pytest.mark.filterwarnings("ignore:Passing `tp_plan` directly:FutureWarning")
@pytest.mark.parametrize(("whose", "model_class", "words"), CASES, ids=["theirs", "ours", "labels", "size"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_has_its_effect_or_is_refused(name, whose, model_class, words, folders, tmp_path):
    argument = ARGUMENTS[name]
    given = dict(argument.given)
    if argument.needs:
        pytest.importorskip(argument.needs)
        given[name] = torchao_int8()
    if name == "offload_folder":
        given[name] = tmp_path
    folder = folders[whose] / argument.inside
    refused = argument.refused or (UserError if argument.unadapted and words else None)
    if refused:
        with pytest.raises(refused):
            model_class.from_pretrained(folder, **words, **given)
        return
    model = model_class.from_pretrained(folder, **words, **given)
    assert argument.holds(model)
    for field_name, value in words.items():
        assert getattr(model.config, field_name) == value


def test_the_account_of_keys_comes_with_an_adapted_model_too(folders):
    loader: Any = VisionTransformerForImageClassification
    model, info = loader.from_pretrained(folders["ours"], num_labels=7, output_loading_info=True)
    assert model.config.num_labels == 7
    assert info["missing_keys"] == set()


def test_what_only_the_model_knows_reaches_the_whole_one_that_is_adapted(tmp_path):
    model = tiny(VisionTransformerModel)
    painter: Any = VisionTransformerModel(model.config, use_mask_token=True)
    painter.save_pretrained(tmp_path)
    again: Any = VisionTransformerModel.from_pretrained(tmp_path, image_size=48, use_mask_token=True)
    assert torch.equal(again.embeddings.mask_token, painter.embeddings.mask_token)
