"""What vit_hf must know of the family, which the entry point `tiny = tiny_family.family:Tiny` names."""

from vit_hf.completion.adaptation import adapt_positions
from vit_hf.families import Family
from vit_hf.modality import IMAGE

from .modeling_tiny import TinyConfig, TinyForImageClassification


class Tiny(Family):
    name = "tiny"
    title = "Tiny Mixer"
    modality = IMAGE
    config_class = TinyConfig
    classes = {"AutoModelForImageClassification": TinyForImageClassification}
    papers = "@misc{tiny, title = {A mixer for tests}}"
    adapts = ("image_size",)
    adapters = (adapt_positions,)

    def sizes(self):
        return {"xs": {"hidden_size": 16}, "s": {"hidden_size": 32}}
