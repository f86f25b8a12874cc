"""What a bootstrap says of a sample, beside what the report says of it."""

from typing import Any

import numpy as np
import pytest


def assert_same_figures(of_sample: dict[str, Any], of_report: dict[str, Any]) -> None:
    """of_sample: by name, those of one sample; of a class or target as classes.NAME, in the order of the report."""
    for name, value in of_sample.items():
        if name.startswith("classes."):
            expected = [row[name.removeprefix("classes.")] for row in of_report["classes"].values()]
            np.testing.assert_allclose(value[0], expected, rtol=1e-5)
        else:
            assert float(value) == pytest.approx(of_report[name], rel=1e-5), name
