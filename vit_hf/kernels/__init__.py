"""Kernels for GPUs, and when models are computed by them."""

from .groups import attend_in_groups, attend_in_places, attends_in_groups

__all__ = ["attend_in_groups", "attend_in_places", "attends_in_groups"]
