"""Several views of one image, whose answers are averaged."""

from dataclasses import dataclass

from ...errors import UserError
from ..decode.preparation import MIDDLE, View

# Of the whole image, then of its middle and of its corners: ten crops, and the image itself (Krizhevsky et al. 2012).
CORNERS = [None, (0.5, 0.5), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]
TTA_WORDS = ("flip", "crops")
MOST_VIEWS = 2 * len(CORNERS)


@dataclass(frozen=True)
class ImageViews:
    """What `--tta` asks for: the image as the processor makes it is always the first view."""

    views: tuple[View, ...] = (MIDDLE,)

    @classmethod
    def parse(cls, text: str) -> "ImageViews":
        """flip (and the mirrored image), crops (of seven eighths of each side), flip,crops, or a number of views: the
        first of those that flip,crops gives. Raises: UserError for anything else."""
        everything = [View(corner=corner, flip=flip) for corner in CORNERS for flip in (False, True)]
        if text.isdecimal() and 1 <= int(text) <= MOST_VIEWS:
            return cls(tuple(everything[: int(text)]))
        words = [word.strip() for word in text.split(",")]
        if not {*words} <= {*TTA_WORDS}:
            raise UserError(
                f"--tta {text} is none of flip, crops and flip,crops, and no number of views from 1 to {MOST_VIEWS}."
            )
        return cls(
            tuple(
                view
                for view in everything
                if (not view.flip or "flip" in words) and (view.corner is None or "crops" in words)
            )
        )

    @property
    def count(self) -> int:
        return len(self.views)

    def each(self) -> list[View]:
        return [*self.views]
