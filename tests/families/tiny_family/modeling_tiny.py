"""A model that another package might bring: patches with positions, each mixed with all others and then with itself."""

from torch import Tensor, nn, zeros
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.configuration_utils import strict  # pyright: ignore[reportPrivateImportUsage]
from transformers.modeling_outputs import ImageClassifierOutput


@strict
class TinyConfig(PreTrainedConfig):
    model_type = "tiny_mixer"

    image_size: int = 8
    patch_size: int = 2
    num_channels: int = 3
    hidden_size: int = 16
    num_hidden_layers: int = 2
    hidden_dropout_prob: float = 0.0

    @property
    def patch_grid(self) -> tuple[int, int]:
        return self.image_size // self.patch_size, self.image_size // self.patch_size


class Positions(nn.Module):
    """b n d -> b n d"""

    def __init__(self, places: int, width: int):
        super().__init__()
        self.table = nn.Parameter(zeros(1, places, width))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.table


class Layer(nn.Module):
    """b n d -> b n d"""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.norm, self.mean = nn.LayerNorm(width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.mean(self.norm(tokens).mean(dim=1, keepdim=True))
        return tokens + self.dropout(self.outer(nn.functional.gelu(self.inner(self.norm(tokens)))))


class TinyForImageClassification(PreTrainedModel):
    """b c h w -> logits b labels"""

    config_class = TinyConfig
    main_input_name = "pixel_values"

    def __init__(self, config: TinyConfig):
        super().__init__(config)
        width, side, (rows, columns) = config.hidden_size, config.patch_size, config.patch_grid
        self.patches = nn.Conv2d(config.num_channels, width, side, stride=side)
        self.positions = Positions(rows * columns, width)
        self.layers = nn.ModuleList(Layer(width, config.hidden_dropout_prob) for _ in range(config.num_hidden_layers))
        self.classifier = nn.Linear(width, config.num_labels or 0)
        self.post_init()

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, return_dict: bool = True):
        tokens = self.positions(self.patches(pixel_values).flatten(2).mT)  # b n d
        for layer in self.layers:
            tokens = layer(tokens)
        logits = self.classifier(tokens.mean(dim=1))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        outputs = ImageClassifierOutput(loss=loss, logits=logits)
        return outputs if return_dict else outputs.to_tuple()


TinyConfig.register_for_auto_class()
TinyForImageClassification.register_for_auto_class("AutoModelForImageClassification")
