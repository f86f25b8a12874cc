"""Telling transformers' Auto classes of our families, at the moment when they are first imported.

At once would be simpler, but costs every `import vit_hf` the seconds that torch and transformers take to load.
"""

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def register_configs(auto: ModuleType, ours: ModuleType) -> None:
    auto.AutoConfig.register(ours.VisionTransformerConfig.model_type, ours.VisionTransformerConfig)


def register_models(auto: ModuleType, ours: ModuleType) -> None:
    config = ours.VisionTransformerConfig
    auto.AutoModel.register(config, ours.VisionTransformerModel)
    auto.AutoModelForImageClassification.register(config, ours.VisionTransformerForImageClassification)
    auto.AutoModelForMaskedImageModeling.register(config, ours.VisionTransformerForMaskedImageModeling)
    auto.AutoBackbone.register(config, ours.VisionTransformerBackbone)


# A module of transformers, ours that it should know of, and what tells it once both are there.
PAIRS = [
    ("transformers.models.auto.configuration_auto", "vit_hf.models.configuration_vit", register_configs),
    ("transformers.models.auto.modeling_auto", "vit_hf.models.modeling_vit", register_models),
]
WATCHED = {name for auto, ours, _ in PAIRS for name in (auto, ours)}
finished: set[str] = set()


def register_what_is_there() -> None:
    """Register each pair whose Auto module is loaded. Ours may be loading at this moment; then its end calls again."""
    for auto, ours, register in PAIRS:
        if auto in finished and ours not in sys.modules:
            import_module(ours)
        elif auto in finished and ours in finished:
            register(sys.modules[auto], sys.modules[ours])


class WatchedLoader(Loader):
    """Loads a module as its own loader does, and then registers."""

    def __init__(self, loader: Loader):
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        finished.add(module.__name__)
        register_what_is_there()

    def __getattr__(self, name: str):
        return getattr(self.loader, name)


class WatchingFinder(MetaPathFinder):
    """Stands before the other finders for the watched modules alone."""

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        if fullname not in WATCHED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = WatchedLoader(spec.loader)
        return spec


def register_on_import() -> None:
    """Register now where the Auto classes are there already, else when they come."""
    sys.meta_path.insert(0, WatchingFinder())
    finished.update(WATCHED & sys.modules.keys())
    register_what_is_there()
