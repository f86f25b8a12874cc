"""Telling transformers' Auto classes of our families, at the moment when they are first imported, and completing ours.

At once would be simpler, but costs every `import vit_hf` the seconds that torch and transformers take to load.
"""

import sys
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from .families import FAMILIES, Family, load


def register_config(family: Family, auto: ModuleType, ours: ModuleType) -> None:
    auto.AutoConfig.register(family.model_type, load(family.config))


def register_models(family: Family, auto: ModuleType, ours: ModuleType) -> None:
    # Heads may lie in files of their own, which build on the module that is complete only now.
    for name, place in family.classes.items():
        getattr(auto, name).register(load(family.config), load(place))


def register_video_processor(family: Family, auto: ModuleType, ours: ModuleType) -> None:
    auto.AutoVideoProcessor.register(load(family.config), load(str(family.video_processor)))


def complete_family(family: Family, ours: ModuleType, completion: ModuleType) -> None:
    completion.complete(family)


def complete(module: ModuleType, completion: ModuleType) -> None:
    completion.complete(module)


def pairs_of(family: Family) -> list[tuple]:
    configuration, modeling = (
        f"vit_hf.models.{place.partition('.')[0]}" for place in (family.config, family.classifier)
    )
    videos = []
    if family.video_processor:
        module = f"vit_hf.models.{family.video_processor.partition('.')[0]}"
        register = partial(register_video_processor, family)
        videos = [("transformers.models.auto.video_processing_auto", module, register)]
    return [
        *videos,
        ("transformers.models.auto.configuration_auto", configuration, partial(register_config, family)),
        ("transformers.models.auto.modeling_auto", modeling, partial(register_models, family)),
        (configuration, "vit_hf.completion.configurations", partial(complete_family, family)),
        (modeling, "vit_hf.completion.losses", partial(complete_family, family)),
    ]


# A module, ours that belongs to it, and what brings them together once both are there: the Auto classes learn of our
# families, and our classes gain what the code that travels leaves to the package.
PAIRS = [
    *(pair for family in FAMILIES.values() for pair in pairs_of(family)),
    ("vit_hf.models.modeling_base", "vit_hf.completion.loading", complete),
    ("vit_hf.models.modeling_base", "vit_hf.publishing.push_to_hub", complete),
    ("vit_hf.models.image_processing_vit", "vit_hf.publishing.push_to_hub", complete),
]
WATCHED = {name for first, second, _ in PAIRS for name in (first, second)}
MODELS = "vit_hf.models."
loading: set[str] = set()
finished: set[str] = set()
together: list[tuple] = []


def register_what_is_there() -> None:
    """Bring each pair together whose first is loaded, once no model is half loaded; the end of that calls again."""
    if loading:
        return
    for pair in PAIRS:
        first, second, bring_together = pair
        if first in finished and second not in sys.modules:
            import_module(second)
        elif {first, second} <= finished and pair not in together:
            together.append(pair)
            bring_together(sys.modules[first], sys.modules[second])


class WatchedLoader(Loader):
    """Loads a module as its own loader does, and then registers."""

    def __init__(self, loader: Loader):
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        ours = {module.__name__} if module.__name__.startswith(MODELS) else set()
        loading.update(ours)
        try:
            self.loader.exec_module(module)
        finally:
            loading.difference_update(ours)
        finished.add(module.__name__)
        register_what_is_there()

    def __getattr__(self, name: str):
        return getattr(self.loader, name)


class WatchingFinder(MetaPathFinder):
    """Stands before the other finders for the watched modules, and for models, which must not need one that waits."""

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        if fullname not in WATCHED and not fullname.startswith(MODELS):
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
