"""What only saves time: attention within small groups of tokens by a kernel for GPUs, which stays in the package."""

try:
    if not __name__.startswith("vit_hf."):
        raise ImportError
    from vit_hf.kernels import attend_in_groups, attend_in_places, attends_in_groups  # pyright: ignore[reportAssignmentType]
except ImportError:
    if __name__.startswith("vit_hf."):
        raise

    attend_in_groups = attend_in_places = None

    def attends_in_groups(*_) -> bool:
        return False
