"""TimeSformer (arXiv:2102.05095)."""

from ..completion import combinations
from ..modality import VIDEO
from ..models.configuration_timesformer import TimeSformerConfig
from ..models.modeling_timesformer import TimeSformerForVideoClassification, TimeSformerModel
from ..models.video_processing_timesformer import TimeSformerVideoProcessor
from .base import Family


class TimeSformer(Family):
    name = "timesformer"
    title = "TimeSformer"
    modality = VIDEO
    config_class = TimeSformerConfig
    classes = {
        "AutoModel": TimeSformerModel,
        "AutoModelForVideoClassification": TimeSformerForVideoClassification,
    }
    video_processor = TimeSformerVideoProcessor
    checks = (
        combinations.check_heads,
        combinations.check_timesformer_numbers,
        combinations.check_patch_grid,
        combinations.check_positions,
        combinations.check_space_and_time,
    )
