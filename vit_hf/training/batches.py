"""The batch of a whole step, however many processes share it, and the learning rate that belongs to it."""

from .arguments import TrainingArguments
from .optimisation import OptimisationSettings


def replicas(arguments: TrainingArguments) -> int:
    """How many copies of the model look at images at the same time."""
    return arguments.world_size * max(1, arguments.n_gpu)


def effective_batch(arguments: TrainingArguments) -> int:
    """Images in one step of the optimizer."""
    return arguments.per_device_train_batch_size * replicas(arguments) * arguments.gradient_accumulation_steps


def plan_steps(arguments: TrainingArguments, settings: OptimisationSettings, given: dict) -> list[str]:
    """Set the batch of each process, the accumulation and the learning rate. -> what was set, as lines.

    `given` holds the arguments that the recipe says itself: of the batch of a process and of the accumulation the
    one that is said stands, and the other makes up the whole.

    Raises: ValueError where the whole batch does not divide.
    """
    lines = []
    if settings.batch_size is not None:
        divide_batch(arguments, settings.batch_size, given)
    whole = effective_batch(arguments)
    shares = f"{replicas(arguments)} x {arguments.per_device_train_batch_size}"
    if arguments.gradient_accumulation_steps > 1:
        shares += f" x {arguments.gradient_accumulation_steps} accumulated"
    lines.append(f"Batch: {whole} images a step ({shares})")
    if settings.scale_learning_rate_from is not None:
        base = arguments.learning_rate
        arguments.learning_rate = base * whole / settings.scale_learning_rate_from
        lines.append(
            f"Learning rate: {arguments.learning_rate:.6g}, scaled from {base:g} for a batch of "
            f"{settings.scale_learning_rate_from} to this one of {whole}"
        )
    return lines


def divide_batch(arguments: TrainingArguments, whole: int, given: dict) -> None:
    devices = replicas(arguments)
    accumulated = arguments.gradient_accumulation_steps
    if "per_device_train_batch_size" in given and "gradient_accumulation_steps" not in given:
        each = arguments.per_device_train_batch_size
        refuse_rest(whole, devices * each, f"{devices} x {each} images (training.per_device_train_batch_size)")
        arguments.gradient_accumulation_steps = whole // (devices * each)
        return
    refuse_rest(whole, devices * accumulated, f"{devices} processes x {accumulated} accumulated batches")
    each = whole // (devices * accumulated)
    if given.get("per_device_train_batch_size", each) != each:
        raise ValueError(
            f"optimisation.batch_size={whole} is {each} images for each of {devices} processes and {accumulated} "
            f"accumulated batches, but training.per_device_train_batch_size is "
            f"{given['per_device_train_batch_size']}; leave one of the three out."
        )
    arguments.per_device_train_batch_size = each


def refuse_rest(whole: int, part: int, words: str) -> None:
    if whole % part:
        nearest = max(1, round(whole / part)) * part
        raise ValueError(f"optimisation.batch_size={whole} does not divide into {words}; {nearest} does.")
