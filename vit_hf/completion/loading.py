"""Loading that adapts weights to the asked-for sizes, and refuses what does not fit."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from ..errors import UserError, first_few, first_line
from .adaptation import adapt, adapted_units, changed_fields, keys_with, starts_uncalibrated
from .configurations import writer_of
from .headers import is_beyond_torch, mismatch, refuse_other_numbers, refuse_vast_grid, shapes_in, uncounted
from .peft_adapters import WITHOUT_ADAPTER, adapter_of, attach

logger = logging.getLogger(__name__)

# Where a checkpoint lies, as `from_pretrained` takes it.
WHEREABOUTS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder", "proxies")
# How its files are read, and by whom.
OF_THE_FILES = ("variant", "use_safetensors", "weights_only", "key_mapping", "disable_mmap", "tqdm_class")
OF_THE_FILES += ("trust_remote_code", "_from_auto", "_from_pipeline")
# What becomes of the model that is built of them, by the names that transformers takes.
OF_THE_RESULT = ("dtype", "torch_dtype", "device_map", "max_memory", "offload_folder", "offload_buffers")
OF_THE_RESULT += ("quantization_config", "generation_config", "use_kernels", "kernel_config", "allow_all_kernels")
OF_THE_RESULT += ("fusion_config", "attn_implementation", "experts_implementation")
# What transformers does while it reads the files of a whole model, and to no other.
OF_WHOLE_FILES = ("gguf_file", "distributed_config", "device_mesh", "tp_plan", "tp_size")
# Of these, what reads an adapter's files too.
OF_ADAPTERS = ("use_safetensors", "weights_only", "disable_mmap")
# Names that `from_pretrained` takes for the model although configurations have them too.
OF_THE_MODEL = ("dtype", "torch_dtype", "quantization_config")
# Parts that come and go with the task; everything else belongs to the trunk, which is never left untrained.
HEAD_PARTS = {"classifier", "distillation_classifier", "decoder", "norms", "pool", "pooler", "mask_token"}


class AdaptingModel:
    """What our models inherit in the package: weights that adapt when they are loaded, and a card on every push."""

    @classmethod
    def from_pretrained(
        cls: Any,
        pretrained_model_name_or_path: Any,
        *inputs: Any,
        config: Any = None,
        ignore_mismatched_sizes: bool = False,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As in transformers; beyond it, `image_size`, `patch_size`, `window_size`, `num_frames`, `num_channels`
        and labels may differ.

        What is learned of positions and patches is resampled, channels are adapted, and a head for other labels
        starts anew; each says so in one line of the log. With `ignore_mismatched_sizes` transformers' own rule
        holds instead: what does not fit is drawn at random.

        Raises: UserError if the weights are of another architecture, OSError if they cannot be read. Who asks
        for `output_loading_info` is told of strange and missing weights there instead.
        """
        kwargs.setdefault("use_safetensors", True)
        source = pretrained_model_name_or_path
        if source is None or ignore_mismatched_sizes or kwargs.get("state_dict") is not None:
            return super().from_pretrained(  # pyright: ignore[reportAttributeAccessIssue]
                source,
                *inputs,
                config=config,
                ignore_mismatched_sizes=ignore_mismatched_sizes,
                output_loading_info=output_loading_info,
                **kwargs,
            )
        where = {name: kwargs.pop(name) for name in WHEREABOUTS if name in kwargs}
        adapter, source, kwargs = adapter_of(source, where, kwargs)
        if adapter is not None:
            kwargs["adapter_kwargs"] = WITHOUT_ADAPTER
        refuse_other_numbers(Path(source))
        saved, config, kwargs = both_configs(cls.config_class, source, config, where, kwargs)
        for one in (saved, config):
            refuse_vast_grid(one)
        if changed := changed_fields(saved, config):
            model, info = read_and_adapt(
                cls, source, *inputs, saved=saved, config=config, changed=changed, where=where, **kwargs
            )
        else:
            model, info = reading(cls, source, *inputs, config=config, **where, **kwargs)
        if not output_loading_info:
            writer = writer_of(vars(saved))
            refuse_unaccounted(model, source, info["missing_keys"], info["unexpected_keys"], writer)
        if adapter is not None:
            files = {name: kwargs[name] for name in OF_ADAPTERS if name in kwargs}
            info = attach(model, adapter, **files)
        return (model, info) if output_loading_info else model

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:
        """As in transformers: weights, configuration and code in one commit, with a card where there is none.

        options: those of `vit_hf.publishing.push_to_hub.push_model`.
        """
        from ..publishing.push_to_hub import push_model  # which knows cards and the Hub

        return push_model(self, repo_id, **options)


class PushedProcessor:
    """What our processors inherit in the package: a card on every push."""

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:
        """As in transformers: the configuration and the code in one commit, with a card where there is none.

        options: those of `vit_hf.publishing.push_to_hub.push_processor`.
        """
        from ..publishing.push_to_hub import push_processor  # which knows cards and the Hub

        return push_processor(self, repo_id, **options)


def both_configs(config_class: Any, source, config, where: dict, kwargs: dict) -> tuple[Any, Any, dict]:
    """-> the configuration as it was saved, as it is asked for, and what of the arguments is left for the model."""
    if isinstance(config, PreTrainedConfig):
        return config_class.from_pretrained(source, **where), config, kwargs
    of_model = {name: kwargs.pop(name) for name in OF_THE_MODEL if name in kwargs}
    asked, unused = config_class.from_pretrained(config or source, return_unused_kwargs=True, **where, **kwargs)
    untouched = config is None and unused.keys() == kwargs.keys()
    saved = asked if untouched else config_class.from_pretrained(source, **where)
    return saved, asked, {**unused, **of_model}


def read_and_adapt(
    cls: Any, source, *inputs, saved, config, changed: set[str], where: dict, **kwargs
) -> tuple[Any, dict]:
    """The model of `config`, and transformers' account of the keys that it was made of.

    Each argument goes to the files or to what is built of them; those that only the model itself knows go to both.
    Raises: UserError for those that belong to reading a whole model, and would be lost.
    """
    if lost := [name for name in OF_WHOLE_FILES if kwargs.get(name) is not None]:
        raise UserError(
            f"{', '.join(lost)} cannot be given where weights are adapted to another {', '.join(sorted(changed))}; "
            "load and save the adapted model first, then load that."
        )
    files = {name: kwargs.pop(name) for name in (*OF_THE_FILES, "adapter_kwargs") if name in kwargs}
    of_both = {name: value for name, value in kwargs.items() if name not in OF_THE_RESULT}
    # The whole model as it was saved, so that any form of checkpoint (sharded, other dtypes) will do.
    whole, info = reading(cls, source, *inputs, config=saved, **where, **files, **of_both)
    return adapted(whole, config, source, *inputs, **kwargs), info


def adapted(whole: PreTrainedModel, config, source, *inputs, **kwargs) -> Any:
    """A new model of `config` with the weights of another, adapted; the log says to what, and names `source`."""
    old = whole.config
    state, report = adapt(whole.state_dict(), old, config)
    if starts_uncalibrated(state, old, config):
        config = copy(config)
        config.temperature = 1.0
    if (before := getattr(old, "temperature", 1)) != 1 and config.temperature == 1:
        report.append(f"the temperature starts from 1 again, in place of {before:g}")
    if hasattr(old, "target_std") and keys_with(whole.state_dict(), "classifier"):
        config = copy(config)
        config.target_mean, config.target_std = adapted_units(state, old, config)
    with silent_transformers():  # what is missing is left out on purpose, and told below
        model, _ = reading(type(whole), None, *inputs, config=config, state_dict=state, **kwargs)
    model.config.name_or_path = model.name_or_path = str(source)
    for line in report:
        logger.warning("%s: %s", source, line)
    return model


def reading(model_class: type[PreTrainedModel], source, *inputs, **kwargs) -> tuple[Any, dict]:
    """The model and transformers' account of its keys. Raises: OSError for a file that is cut off or damaged."""
    try:
        of_transformers: Any = model_class
        if issubclass(model_class, AdaptingModel):  # as models of families from outside need not be
            of_transformers = super(AdaptingModel, model_class)
        return of_transformers.from_pretrained(source, *inputs, output_loading_info=True, **kwargs)
    except ImportError as error:
        raise UserError(f"{source} cannot be loaded: {first_line(error)}") from error
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{source} cannot be loaded: {first_line(error)}") from error
    except (RuntimeError, TypeError) as error:
        if is_beyond_torch(error):
            raise UserError(f"{source}: {uncounted(kwargs['config'])}") from error
        if "ignore_mismatched_sizes" not in str(error):
            raise
        shapes = shapes_in(Path(source)) if source is not None else None
        raise UserError(mismatch(model_class, kwargs["config"], shapes, source)) from error
    except SafetensorError as error:
        raise OSError(
            f"The weights in {source} cannot be read ({error}): the file is truncated or damaged. "
            "Copy or download it again."
        ) from error
    except OSError as error:
        if "model.safetensors" not in str(error):
            raise
        raise OSError(
            f"{source} has no file named model.safetensors. Pickles (pytorch_model.bin) are not opened, because one "
            "can run any code as it is read; convert them, or pass use_safetensors=False if you made them yourself."
        ) from error


@contextmanager
def silent_transformers() -> Iterator[None]:
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)


def refuse_unaccounted(model: PreTrainedModel, source, missing, unexpected, writer: str = "") -> None:
    """writer: a sentence on who wrote the weights, where that may be why.

    Raises: UserError unless only heads are missing, as a whole, or left over; those are named in the log.
    """
    wanted = type(model).__name__
    there = {layer_of(key) for key in model.state_dict() if key not in missing and of_head(layer_of(key))}
    lost = {key for key in missing if not of_head(key) or layer_of(key) in there}
    strange = {key for key in unexpected if not of_head(key)}
    if lost or strange:
        complaints = [f"lacks {first_few(sorted(lost))}"] * bool(lost) + [
            f"has unknown {first_few(sorted(strange))}"
        ] * bool(strange)
        raise UserError(
            f"The weights in {source} are not those of a {wanted}: the file {' and '.join(complaints)}. "
            f"Load the class that saved them, or convert them first.{writer}"
        )
    if missing:
        logger.warning("%s: %s start untrained; the checkpoint has none.", source, first_few(sorted(missing)))
    if unexpected:
        logger.warning("%s: %s are left out; %s has no place for them.", source, first_few(sorted(unexpected)), wanted)


def layer_of(key: str) -> str:
    """The name of the module whose weight or bias it is."""
    return key.rpartition(".")[0]


def of_head(key: str) -> bool:
    return not HEAD_PARTS.isdisjoint(key.split("."))
