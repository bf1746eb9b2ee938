"""What pictures look like, beside what words say of them.

Pictures of the same words would all have nearly the same vector. Principal components of the
features tell them apart. They take the place of the directions in which texts reach least, so that
the inner products with texts stay as they are.
"""

from __future__ import annotations

import numpy as np

COMPONENTS = 48
EVENNESS = 0.25  # 0 leaves the components' variances as they are, 0.5 makes them equal


def fit_detail(reach: np.ndarray, roots: np.ndarray) -> dict[str, np.ndarray]:
    """reach [dimensions, dimensions] is TextSpace.reach(), roots [n, 1280] are square roots of the
    pooled features of pictures."""
    center = roots.mean(axis=0)
    variances, components = np.linalg.eigh(np.cov((roots - center).T))
    variances, components = variances[::-1][:COMPONENTS], components[:, ::-1][:, :COMPONENTS]
    weight = (components / variances**EVENNESS).T
    _, directions = np.linalg.eigh(reach)  # the least first
    return {
        "detail_weight": weight,
        "detail_bias": -weight @ center,
        "detail_directions": directions[:, :COMPONENTS],
    }
