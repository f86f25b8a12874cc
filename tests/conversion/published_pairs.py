"""config.json and preprocessor_config.json of published models, written by hand after them; widths and depths are cut
down, which no pixel depends on."""

from typing import Any

HALF, IMAGENET_MEAN, IMAGENET_STD = [0.5] * 3, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
NARROW: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SWIN: dict[str, Any] = {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1], "mlp_ratio": 1.0}


def normalized(mean: list[float], std: list[float], **more: Any) -> dict[str, Any]:
    return {"do_normalize": True, "image_mean": mean, "image_std": std, **more}


def sides(size: int) -> dict[str, int]:
    return {"height": size, "width": size}


def vit(size: int, patch: int = 16, **more: Any) -> dict[str, Any]:
    return {
        "model_type": "vit",
        "architectures": ["ViTModel"],
        "image_size": size,
        "patch_size": patch,
        **NARROW,
        **more,
    }


def named(model_type: str, architecture: str, size: int, patch: int, **more: Any) -> dict[str, Any]:
    words = {"model_type": model_type, "architectures": [architecture], "image_size": size, "patch_size": patch}
    return {**words, **NARROW, **more}


def swin(model_type: str, architecture: str, size: int, window: int) -> dict[str, Any]:
    words = {"model_type": model_type, "architectures": [architecture], "image_size": size, "patch_size": 4}
    return {**words, "window_size": window, **SWIN}


VIT_JSON = {"do_resize": True, "resample": 2, "size": 224, **normalized(HALF, HALF)}
DINOV2_JSON = {
    "crop_size": sides(224),
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_rescale": True,
    "do_resize": True,
    "image_processor_type": "BitImageProcessor",
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 224 + 32},
    **normalized(IMAGENET_MEAN, IMAGENET_STD),
}
DEIT_JSON = {
    "crop_size": 224,
    "do_center_crop": True,
    "do_resize": True,
    "feature_extractor_type": "DeiTFeatureExtractor",
    "resample": 3,
    "size": 256,
    **normalized(IMAGENET_MEAN, IMAGENET_STD),
}
CLIP_JSON = {
    "crop_size": 224,
    "do_center_crop": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "resample": 3,
    "size": 224,
    **normalized(CLIP_MEAN, CLIP_STD),
}
SIGLIP_JSON = {
    "do_rescale": True,
    "do_resize": True,
    "image_processor_type": "SiglipImageProcessor",
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    **normalized(HALF, HALF),
}
SWIN_JSON = {
    "do_resize": True,
    "feature_extractor_type": "ViTFeatureExtractor",
    "resample": 3,
    **normalized(IMAGENET_MEAN, IMAGENET_STD),
}
BEIT_JSON = {"do_resize": True, "feature_extractor_type": "BeitFeatureExtractor", "resample": 2}
VITMAE_JSON = {"do_resize": True, "feature_extractor_type": "ViTFeatureExtractor", "resample": 2, "size": 224}
DINO_WORDS = {"layerscale_value": 1.0, "mlp_ratio": 1}
DINOV3_JSON = {
    "do_rescale": True,
    "do_resize": True,
    "image_processor_type": "DINOv3ViTImageProcessorFast",
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": sides(224),
    **normalized(IMAGENET_MEAN, IMAGENET_STD),
}

VIDEOMAE_JSON = {
    "crop_size": sides(224),
    "do_center_crop": True,
    "do_rescale": True,
    "do_resize": True,
    "image_processor_type": "VideoMAEImageProcessor",
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 224},
    **normalized([0.45] * 3, [0.225] * 3),
}
VIDEOS = {
    "facebook/timesformer-base-finetuned-k400": (
        named("timesformer", "TimesformerForVideoClassification", 224, 16, num_frames=2),
        VIDEOMAE_JSON,
    ),
    "facebook/timesformer-hr-finetuned-k400": (
        named("timesformer", "TimesformerForVideoClassification", 448, 16, num_frames=2),
        {**VIDEOMAE_JSON, "size": {"shortest_edge": 448}, "crop_size": sides(448)},
    ),
}

PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "google/vit-base-patch16-224": (
        vit(224),
        {**VIT_JSON, "size": sides(224), "image_processor_type": "ViTImageProcessor"},
    ),
    "google/vit-base-patch16-224-in21k": (vit(224), VIT_JSON),
    "google/vit-base-patch16-384": (vit(384), {**VIT_JSON, "size": 384}),
    "google/vit-huge-patch14-224-in21k": (vit(224, 14), {**VIT_JSON, "feature_extractor_type": "ViTFeatureExtractor"}),
    "google/vit-hybrid-like, do_center_crop in ViT's JSON": (
        vit(224),
        {**VIT_JSON, "do_center_crop": True, "crop_size": sides(224), "image_processor_type": "ViTImageProcessor"},
    ),
    "a ViT fine-tuned without do_resize": (
        vit(224),
        {**VIT_JSON, "do_resize": False, "image_processor_type": "ViTImageProcessor"},
    ),
    "a ViT scaled to -1..1 by a factor alone": (
        vit(224),
        {
            "image_processor_type": "ViTImageProcessor",
            "size": sides(224),
            "do_normalize": False,
            "rescale_factor": 1 / 127.5,
        },
    ),
    "a ViT of bytes": (vit(224), {**VIT_JSON, "do_rescale": False, "image_processor_type": "ViTImageProcessor"}),
    "facebook/dino-vits8": (vit(224, 8), {**SWIN_JSON, "size": 224}),
    "facebook/dino-vitb16": (vit(224), {**SWIN_JSON, "size": 224, "image_processor_type": "ViTImageProcessor"}),
    "facebook/vit-mae-base": (
        named("vit_mae", "ViTMAEForPreTraining", 224, 16, decoder_hidden_size=16, decoder_num_hidden_layers=1)
        | {"decoder_num_attention_heads": 2, "decoder_intermediate_size": 16},
        {**VITMAE_JSON, **normalized(IMAGENET_MEAN, IMAGENET_STD)},
    ),
    "facebook/vit-msn-small": (named("vit_msn", "ViTMSNModel", 224, 16), {**SWIN_JSON, "size": 224}),
    "facebook/deit-base-patch16-224": (
        vit(224),
        DEIT_JSON,
    ),
    "facebook/deit-base-distilled-patch16-224": (named("deit", "DeiTModel", 224, 16), DEIT_JSON),
    "facebook/deit-base-distilled-patch16-384": (
        named("deit", "DeiTModel", 384, 16),
        {**DEIT_JSON, "size": 438, "crop_size": 384},
    ),
    "microsoft/beit-base-patch16-224": (
        named("beit", "BeitModel", 224, 16, use_relative_position_bias=True, use_mean_pooling=True),
        {**BEIT_JSON, "size": 224, "do_center_crop": False, "crop_size": 224, **normalized(HALF, HALF)},
    ),
    "microsoft/beit-base-patch16-384": (
        named("beit", "BeitModel", 384, 16, use_relative_position_bias=True, use_mean_pooling=True),
        {**BEIT_JSON, "size": 384, "do_center_crop": False, "crop_size": 384, **normalized(HALF, HALF)},
    ),
    "microsoft/dit-base": (
        named("beit", "BeitModel", 224, 16, use_absolute_position_embeddings=True),
        {**BEIT_JSON, "size": 256, "do_center_crop": True, "crop_size": 224, **normalized(HALF, HALF)},
    ),
    "facebook/dinov2-small": (named("dinov2", "Dinov2Model", 518, 14, **DINO_WORDS), DINOV2_JSON),
    "facebook/dinov2-base-imagenet1k-1-layer": (
        named("dinov2", "Dinov2ForImageClassification", 518, 14, **DINO_WORDS),
        DINOV2_JSON,
    ),
    "facebook/dinov2-with-registers-small": (
        named("dinov2_with_registers", "Dinov2WithRegistersModel", 518, 14, num_register_tokens=4, **DINO_WORDS),
        DINOV2_JSON,
    ),
    "facebook/dinov3-vits16-pretrain-lvd1689m": (
        named("dinov3_vit", "DINOv3ViTModel", 224, 16, num_register_tokens=4),
        DINOV3_JSON,
    ),
    "openai/clip-vit-base-patch32": (named("clip_vision_model", "CLIPVisionModel", 224, 32), CLIP_JSON),
    "openai/clip-vit-large-patch14-336": (
        named("clip_vision_model", "CLIPVisionModel", 336, 14),
        {**CLIP_JSON, "size": 336, "crop_size": 336},
    ),
    "laion/CLIP-ViT-B-32, without a mean": (
        named("clip_vision_model", "CLIPVisionModel", 224, 32),
        {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224}, "crop_size": sides(224)},
    ),
    "google/siglip-base-patch16-224": (
        named("siglip_vision_model", "SiglipVisionModel", 224, 16),
        {**SIGLIP_JSON, "size": sides(224)},
    ),
    "google/siglip-base-patch16-384": (
        named("siglip_vision_model", "SiglipVisionModel", 384, 16),
        {**SIGLIP_JSON, "size": sides(384)},
    ),
    "google/siglip-so400m-patch14-384": (
        named("siglip_vision_model", "SiglipVisionModel", 384, 14),
        {**SIGLIP_JSON, "do_convert_rgb": None, "processor_class": "SiglipProcessor", "size": sides(384)},
    ),
    "microsoft/swin-tiny-patch4-window7-224": (swin("swin", "SwinModel", 224, 7), {**SWIN_JSON, "size": 224}),
    "microsoft/swin-base-patch4-window12-384": (swin("swin", "SwinModel", 384, 12), {**SWIN_JSON, "size": 384}),
    "a Swin of 448 pixels": (
        swin("swin", "SwinModel", 448, 14),
        {**SWIN_JSON, "size": sides(448), "image_processor_type": "ViTImageProcessor"},
    ),
    "microsoft/swinv2-tiny-patch4-window8-256": (swin("swinv2", "Swinv2Model", 256, 8), {**SWIN_JSON, "size": 256}),
    "microsoft/swinv2-base-patch4-window16-256, of ConvNeXt's processor": (
        swin("swinv2", "Swinv2Model", 256, 16),
        {
            "image_processor_type": "ConvNextImageProcessor",
            "size": {"shortest_edge": 256},
            "crop_pct": 0.875,
            "resample": 3,
        }
        | normalized(IMAGENET_MEAN, IMAGENET_STD),
    ),
}
