"""Closed-form fits: ridge regression, and the calibration of its scores to probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from head import sigmoid

LEAST_DEVIATION = 1e-3  # of an input, so that constant ones do not blow up
NEWTON_STEPS = 50


@dataclass
class Line:
    """scores = inputs @ weight.T + bias"""

    weight: np.ndarray  # [targets, inputs]
    bias: np.ndarray  # [targets]
    # [n, targets]: the score that each row would have had without its group in the fit
    left_out: np.ndarray

    def scaled(self, slope: float, offset: float) -> Line:
        left_out = slope * self.left_out + offset
        return Line(slope * self.weight, slope * self.bias + offset, left_out)


def deviation(inputs: np.ndarray) -> np.ndarray:
    return inputs.std(axis=0) + LEAST_DEVIATION


def fit_line(
    inputs: np.ndarray,
    targets: np.ndarray,
    metric: np.ndarray,
    penalty: float,
    copies: int = 1,
) -> Line:
    """Ridge regression in its kernel form, since there are more inputs than rows.

    inputs [n, d] are centered and multiplied by `metric` [d] first; `penalty` is relative to the
    mean squared length of a row after that. With copies = 2, row i + n / 2 is another view of what
    row i shows, and the two are left out together.
    """
    center, mean = inputs.mean(axis=0), targets.mean(axis=0)
    rows = ((inputs - center) * metric).astype(np.float32)
    kernel = (rows @ rows.T).astype(np.float64)
    scale = np.trace(kernel) / len(rows)
    inverse = np.linalg.inv(kernel / scale + penalty * np.eye(len(rows)))
    dual = inverse @ (targets - mean)
    weight = (rows.T @ dual) * metric[:, None] / scale
    bias = mean - center @ weight
    return Line(weight.T, bias, targets - _residuals(inverse, dual, copies))


def _residuals(inverse: np.ndarray, dual: np.ndarray, copies: int) -> np.ndarray:
    """Targets minus left-out scores: for a group g they are inverse[g, g]^-1 dual[g]."""
    groups = np.arange(len(dual)).reshape(copies, -1).T
    blocks = inverse[groups[:, :, None], groups[:, None, :]]
    residuals = np.empty_like(dual)
    residuals[groups] = np.linalg.solve(blocks, dual[groups])
    return residuals


def calibrated(line: Line, truth: np.ndarray) -> Line:
    """One slope and one offset for all targets so that sigmoid(score) is a probability (Platt),
    fitted to the left-out scores by Newton's method. `truth` [n, targets] holds zeros and ones."""
    inputs = np.stack([line.left_out.ravel(), np.ones(line.left_out.size)])
    truth = truth.ravel()
    parameters = np.array([8.0, -4.0])
    for _ in range(NEWTON_STEPS):
        probability = sigmoid(parameters @ inputs)
        gradient = inputs @ (probability - truth)
        curvature = (inputs * (probability * (1 - probability))) @ inputs.T
        parameters = parameters - np.linalg.solve(curvature + 1e-6 * np.eye(2), gradient)
    return line.scaled(*parameters)
