"""One way in: a recipe by its name, or data of one's own and, where there is one, the model to begin with."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..conversion.pretrained import family_named_by
from ..data.settings import DataSettings
from ..errors import UserError, unknown_name
from ..families import FAMILIES
from ..finished_folder import refuse_finished
from ..one_writer import is_first_process, refuse_live_run
from ..training.recipe.arguments import argument_names
from ..training.recipe.optimization import OptimizationSettings
from ..training.recipe.recipe import CardSettings, ModelSettings, Recipe, resolve_recipe
from ..training.recipe.shipped import find_recipe, own_recipes
from ..training.recipe.yaml_files import read_yaml
from .cross_validation import train_and_cross_validate
from .results import FinishedRun
from .setup import prepare
from .train import writing

FROM_SCRATCH, FINE_TUNING = "photos", "photos_finetune"


def begin(given: str, source: str | None, overrides: Mapping[str, Any]) -> Recipe:
    """given: a recipe's name or file; or data of one's own, which the recipe `photos` takes, or `photos_finetune` where
    `source` names a model. overrides: by dotted paths; they win.

    Raises: UserError for what is none of these, and for wrong fields.
    """
    first: dict[str, Any] = {}
    if is_recipe(given):
        recipe = find_recipe(given)
    else:
        refuse_nothing(given)
        recipe = find_recipe(FINE_TUNING if source else FROM_SCRATCH)
        first = {"data.name": given, "training.output_dir": f"outputs/{name_of_data(given)}"}
    if source is not None:
        first["model.from"] = source
        if (family := family_named_by(source)) is not None:
            first["model.family"] = family
    return resolve_recipe(read_yaml(recipe), {**first, **overrides}, str(recipe))


def is_recipe(given: str) -> bool:
    if given == FROM_SCRATCH and Path(given).exists():
        return False  # the folder that this recipe would take anyway
    return given in own_recipes() or Path(given).suffix in (".yaml", ".yml")


def refuse_nothing(given: str) -> None:
    """Raises: UserError for what is no recipe, nothing that is there, and no id of a data set on the Hub."""
    if Path(given).expanduser().exists() or given.count("/") == 1:
        return
    raise UserError(
        f"{unknown_name('recipe', given, own_recipes())} Nor is {given!r} a folder, a table or an archive here. "
        "`vit-hf recipes` lists the recipes."
    )


def name_of_data(given: str) -> str:
    """What to call the folder of a run on these data: photos of ./photos/, labels of labels.csv."""
    path = Path(given).expanduser()
    return (path.resolve().stem if path.is_file() else path.resolve().name if path.exists() else path.name) or "photos"


def sections_of(name: str, family: str) -> list[str]:
    """The sections of a recipe that have a field of this name."""
    fields = {
        "model": {"from", *ModelSettings.model_fields, *FAMILIES[family].config_fields()},
        "data": set(DataSettings.model_fields),
        "optimization": set(OptimizationSettings.model_fields),
        "training": set(argument_names()),
        "card": set(CardSettings.model_fields),
    }
    return [section for section, names in fields.items() if name in names]


def as_overrides(fields: Mapping[str, Any], family: str = "vit") -> dict[str, Any]:
    """{"learning_rate": 1e-3, "data": {"mean": ...}} -> by dotted paths, in the section that has a field of the name.

    Raises: UserError for a name that no section has, or several have.
    """
    overrides: dict[str, Any] = {}
    for name, value in fields.items():
        if name in Recipe.model_fields:
            if not isinstance(value, Mapping):
                raise UserError(f"{name}={value!r} is a section of a recipe; give its fields, as {name}={{...}}.")
            overrides |= {f"{name}.{field}": own for field, own in value.items()}
            continue
        found = sections_of(name, family)
        if not found:
            known = [*DataSettings.model_fields, *OptimizationSettings.model_fields, *argument_names()]
            raise UserError(unknown_name("field", name, [*known, *FAMILIES[family].config_fields()]))
        if len(found) > 1:
            written = " or ".join(f"{section}={{{name!r}: ...}}" for section in found)
            raise UserError(f"{name}={value!r} could be of {' or '.join(found)}; write {written}.")
        overrides[f"{found[0]}.{name}"] = value
    return overrides


def train(
    data: str | Path,
    *,
    model: str | Path | None = None,
    transform: Callable[[Any], Any] | None = None,
    resume: str | bool | None = None,
    overwrite: bool = False,
    **fields: Any,
) -> FinishedRun:
    """Train a classifier on images of one's own, as `vit-hf train DATA --from MODEL` does. -> the run, whose `metrics`,
    `model` and `folder` are what it led to

    data: a folder, a table, an archive, the id of a data set on the Hub, or a recipe.
    model: where pretrained weights lie; None trains from scratch.
    transform: of one's own, from an image of Pillow, or a uint8 tensor c h w, to the same (those of torchvision and of
        albumentations too); it comes before the recipe's augmentation, in training alone.
    resume: as `--resume`.
    overwrite: whether a finished model in the output folder gives way, once there is another; else it is refused.
    fields: any of a recipe, by its name (learning_rate=1e-3), or by section (optimization={"ema": {"decay": 0.99}}).

    Raises: UserError for whatever is wrong, before the first step.
    """
    recipe = begin(str(data), None if model is None else str(model), as_overrides(fields, family_named(fields, model)))
    refuse_taken(recipe, overwrite=overwrite, resume=resume)
    prepared = prepare(recipe, transform)
    with writing(prepared):
        run = train_and_cross_validate(prepared, transform, resume, overwrite=overwrite)
        if run.trainer.is_world_process_zero():
            run.save()
    return run


def refuse_taken(recipe: Recipe, *, overwrite: bool, resume: str | bool | None) -> None:
    """Before any data is read. Raises: UserError for an output folder that another process writes into, or that holds a
    finished model.
    """
    if is_first_process():
        refuse_live_run(recipe.output_dir)
    refuse_finished(
        recipe.output_dir, overwrite=overwrite, resume=resume or recipe.training.get("resume_from_checkpoint")
    )


def family_named(fields: Mapping[str, Any], source: str | Path | None = None) -> str:
    """Whose configuration the fields are of."""
    named = fields.get("family") or fields.get("model", {}).get("family")
    if named is None:
        named = (family_named_by(str(source)) if source is not None else None) or ModelSettings().family
    if named not in FAMILIES:
        raise UserError(unknown_name("model family", named, FAMILIES))
    return named
