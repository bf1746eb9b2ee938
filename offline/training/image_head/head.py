"""The head as a file, and how it is applied. This is what the C++ side computes too.

A head turns what EfficientNet-Lite2 says of a picture into a vector in the text space of
all-MiniLM-L6-v2. Its parts are plain matrices; every part past the class vectors may be missing,
and then its step is left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from color import softmax

FORMAT = 1


@dataclass
class Head:
    config: dict
    tensors: dict[str, np.ndarray]

    @staticmethod
    def load(folder: Path) -> Head:
        config = json.loads((folder / "config.json").read_text())
        return Head(config, load_file(folder / "model.safetensors"))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = json.dumps(self.config, indent=2)
        config = re.sub(r"\[\s+(\d+),\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2, \3]", config)  # colors
        (folder / "config.json").write_text(config + "\n")
        tensors = {k: np.ascontiguousarray(v, np.float32) for k, v in self.tensors.items()}
        save_file(tensors, folder / "model.safetensors")
        (folder / "model.safetensors").chmod(0o644)


@dataclass
class Stages:
    """What the head computes on the way, one row a picture; absent parts are None."""

    classes: np.ndarray  # [n, dimensions]: the mean of the class vectors, unit length
    familiarity: np.ndarray | None = None  # [n]: share of classes that the training has shown
    kinds: np.ndarray | None = None  # [n, kinds]: probabilities, their sum is at most 1
    content: np.ndarray | None = None  # [n, dimensions]: kind and class, before color
    vectors: np.ndarray | None = None  # [n, dimensions]: the result, unit length


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def kind_features(grid: np.ndarray) -> np.ndarray:
    """[n, channels, 3, 3] to [n, 6 * channels], the same for a picture and its mirror image:
    the middle column, then the mean of the two outer ones; rows change fastest."""
    middle, outer = grid[..., 1], (grid[..., 0] + grid[..., 2]) / 2
    columns = [np.sqrt(c).reshape(len(grid), -1) for c in (middle, outer)]
    return np.concatenate(columns, axis=1)


def apply(head: Head, grid: np.ndarray, logits: np.ndarray, colors: np.ndarray) -> Stages:
    """Embeds n pictures.

    grid [n, 1280, 3, 3] holds the means of the 3 x 3 blocks of the network's last map, logits
    [n, 1000] its classifier's output, and colors [n, words] the histograms of color.py.
    """
    tensors = head.tensors
    probability = softmax(logits / head.config["temperature"])
    stages = Stages(classes=unit(probability @ tensors["class_vectors"]))
    stages.content = stages.classes
    if "kind_weight" in tensors:
        _apply_kinds(head, grid, probability, stages)

    root = np.sqrt(grid.mean(axis=(2, 3)))
    vectors = stages.content
    if "color_vectors" in tensors:
        vectors = vectors + colors @ tensors["color_vectors"]
    if "pattern_weight" in tensors:
        patterns = sigmoid(root @ tensors["pattern_weight"].T + tensors["pattern_bias"])
        vectors = vectors + patterns @ tensors["pattern_vectors"]
    stages.vectors = unit(vectors)
    if "drawing_weight" in tensors:
        _apply_drawings(head, root, colors, stages)
    if "detail_weight" in tensors:
        _add_look(head, root, stages)
    return stages


def _apply_kinds(head: Head, grid: np.ndarray, probability: np.ndarray, stages: Stages) -> None:
    """Blends kinds, as far as the classes are familiar, with the class names."""
    tensors = head.tensors
    scores = kind_features(grid) @ tensors["kind_weight"].T + tensors["kind_bias"]
    kinds = sigmoid(scores)
    stages.kinds = kinds / np.maximum(1, kinds.sum(axis=1, keepdims=True))
    stages.familiarity = probability @ tensors["class_familiarity"]
    known = stages.familiarity[:, None]
    share = head.config["class_share"] + 1 - known
    named = stages.kinds @ tensors["kind_vectors"]
    stages.content = unit(known * named + share * stages.classes)


def _apply_drawings(head: Head, root: np.ndarray, colors: np.ndarray, stages: Stages) -> None:
    """Replaces the vectors of drawings, which the classifier does not know, by mapped captions."""
    tensors = head.tensors
    gate = sigmoid(root @ tensors["drawing_gate_weight"] + tensors["drawing_gate_bias"])[:, None]
    inputs = np.concatenate([root, np.sqrt(colors)], axis=1)
    drawn = unit(inputs @ tensors["drawing_weight"].T + tensors["drawing_bias"])
    stages.vectors = unit((1 - gate) * stages.vectors + gate * drawn)


def _add_look(head: Head, root: np.ndarray, stages: Stages) -> None:
    """Puts the look in place of what the words have in its directions, at the same length."""
    tensors = head.tensors
    directions = tensors["detail_directions"]
    aside = stages.vectors @ directions
    look = unit(root @ tensors["detail_weight"].T + tensors["detail_bias"])
    length = np.linalg.norm(aside, axis=1, keepdims=True)
    stages.vectors = unit(stages.vectors + (length * look - aside) @ directions.T)
