"""Loading that adapts weights to the asked-for sizes, and refuses what does not fit."""

import logging

from safetensors import SafetensorError
from transformers import PreTrainedConfig

from .adaptation import adapt, changed_fields

logger = logging.getLogger(__name__)

# Where a checkpoint lies, as `from_pretrained` takes it.
WHEREABOUTS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder", "proxies")
# Parts that come and go with the task; everything else belongs to the trunk, which is never left untrained.
HEAD_PARTS = {"classifier", "decoder", "pool", "pooler", "mask_token"}


class AdaptingLoader:
    """A `from_pretrained` for classes that are also `PreTrainedModel`s."""

    @classmethod
    def from_pretrained(
        cls, source, *inputs, config=None, ignore_mismatched_sizes=False, output_loading_info=False, **kwargs
    ):
        """As in transformers; beyond it, `image_size`, `patch_size`, `num_channels` and labels may differ.

        What is learned of positions and patches is resampled, channels are adapted, and a head for other labels
        starts anew; each says so in one line of the log. With `ignore_mismatched_sizes` transformers' own rule
        holds instead: what does not fit is drawn at random.

        Raises: ValueError if the weights are of another architecture, OSError if they cannot be read.
        """
        if source is None or ignore_mismatched_sizes:
            load = super().from_pretrained
            return load(
                source,
                *inputs,
                config=config,
                ignore_mismatched_sizes=ignore_mismatched_sizes,
                output_loading_info=output_loading_info,
                **kwargs,
            )
        where = {name: kwargs[name] for name in WHEREABOUTS if name in kwargs}
        saved = cls.config_class.from_pretrained(source, **where)
        if not isinstance(config, PreTrainedConfig):
            config, kwargs = cls.config_class.from_pretrained(
                config or source, return_unused_kwargs=True, **kwargs
            )
        kwargs = {name: value for name, value in kwargs.items() if name not in WHEREABOUTS}

        if changed := changed_fields(saved, config):
            # The whole model as it was saved, so that any form of checkpoint (sharded, other dtypes) will do.
            whole, info = cls.load_strictly(source, *inputs, config=saved, **where)
            state, report = adapt(whole.state_dict(), saved, config, changed)
            model, _ = super().from_pretrained(
                None, *inputs, config=config, state_dict=state, output_loading_info=True, **kwargs
            )
            model.config.name_or_path = model.name_or_path = str(source)
            for line in report:
                logger.warning("%s: %s", source, line)
        else:
            model, info = cls.load_strictly(source, *inputs, config=config, **where, **kwargs)
        return (model, info) if output_loading_info else model

    @classmethod
    def load_strictly(cls, source, *inputs, **kwargs):
        try:
            model, info = super().from_pretrained(source, *inputs, output_loading_info=True, **kwargs)
        except SafetensorError as error:
            raise OSError(
                f"The weights in {source} cannot be read ({error}): the file is truncated or damaged. "
                "Copy or download it again."
            ) from error
        cls.account_for(source, info["missing_keys"], info["unexpected_keys"])
        return model, info

    @classmethod
    def account_for(cls, source, missing, unexpected) -> None:
        """Raises: ValueError unless only heads are missing or left over; those are named in the log."""
        lost = {key for key in missing if not of_head(key)}
        strange = {key for key in unexpected if not of_head(key)}
        if lost or strange:
            complaints = [f"lacks {first_few(lost)}"] * bool(lost) + [
                f"has unknown {first_few(strange)}"
            ] * bool(strange)
            raise ValueError(
                f"The weights in {source} are not those of a {cls.__name__}: the file {' and '.join(complaints)}. "
                "Load the class that saved them, or convert them first."
            )
        if missing:
            logger.warning("%s: %s start untrained; the checkpoint has none.", source, first_few(missing))
        if unexpected:
            logger.warning(
                "%s: %s are left out; %s has no place for them.", source, first_few(unexpected), cls.__name__
            )


def of_head(key: str) -> bool:
    return not HEAD_PARTS.isdisjoint(key.split("."))


def first_few(keys, count: int = 4) -> str:
    names = sorted(keys)
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
