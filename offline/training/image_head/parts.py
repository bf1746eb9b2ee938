"""Fits the parts of a head to what there is to train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import color
from class_names import ClassName
from detail import COMPONENTS, fit_detail
from features import Features, concatenate
from fit import calibrated, deviation, fit_line
from head import FORMAT, Head, kind_features
from pictures import Drawing, Photograph
from recolor import PATTERNS
from text import TextTower
from text_space import TextSpace

TEMPERATURE = 2.0  # of the classifier's logits
CLASS_SHARE = 0.1  # of the class names in a picture whose classes are all familiar
SOFTENING = 0.8  # of calibrated scores: doubtful kinds stay visible after the sum has unit length
HALF_FAMILIAR = 0.3  # pictures of a class that make it half familiar
COLOR_SHARE = 0.4
PATTERN_SHARE = 0.25

KIND_PENALTY = 1.0
PATTERN_PENALTY = 0.5
DRAWING_PENALTY = 0.1
GATE_PENALTY = 1.0
DRAWING_COLOR_METRIC = 20.0  # of a color's share, where a feature's deviation is 1
GATE_SLOPE = 20.0
GATE_CUT = 0.35  # photographs score about -1, drawings about 1

PATTERN_WORDS = {
    "striped": ["striped"],
    "dotted": ["polka dot", "dotted"],
    "checked": ["checked", "plaid"],
    "floral": ["floral", "flowery"],
}


@dataclass
class Material:
    text: TextTower
    names: list[ClassName]
    photographs: list[Photograph]
    views: list[Features]  # of the photographs: as they are, and cropped
    recolored_labels: list[dict[str, Any]]  # fields of recolored_sets.Recolored
    recolored: Features
    studio: Features  # of photographs' cut-outs on plain grounds
    drawings: list[Drawing]
    drawn: Features


def fit_head(material: Material, kinds: list[str], rows: np.ndarray | None = None) -> Head:
    """A head that knows `kinds`, from their photographs alone; without any it is made of class
    names and color words. `rows` are the photographs that may be used; all, if it is None."""
    space = TextSpace(material.text, material.names, kinds)
    tensors = {
        "class_vectors": space.class_vectors(),
        "color_vectors": COLOR_SHARE * space.color_vectors(color.WORDS),
    }
    if kinds:
        known = [i for i, p in enumerate(material.photographs) if p.kind in kinds]
        known = np.intersect1d(known, rows) if rows is not None else np.array(known)
        tensors |= _kinds(material, space, kinds, known)
        tensors |= _patterns(material, space, known)
        tensors |= fit_detail(space.reach(), material.views[0][known].pooled_root)
    return Head(_config(kinds), tensors)


def add_drawings(head: Head, material: Material) -> None:
    """The part for drawings, and the gate that tells these from photographs."""
    photographed = concatenate([material.views[0], material.recolored, material.studio])
    drawn = material.drawn
    roots = np.concatenate([photographed.pooled_root, drawn.pooled_root])
    side = np.repeat([-1.0, 1.0], [len(photographed), len(drawn)])[:, None]
    gate = fit_line(roots, side, 1 / deviation(roots), GATE_PENALTY)
    gate = gate.scaled(GATE_SLOPE, -GATE_SLOPE * GATE_CUT)

    root, shares = drawn.pooled_root, np.sqrt(drawn.colors)
    metric = np.append(1 / deviation(root), np.full(shares.shape[1], DRAWING_COLOR_METRIC))
    space = TextSpace(material.text, material.names, [])  # drawings show other kinds
    captions = space.place(material.text([drawing.caption for drawing in material.drawings]))
    # Without the captions' mean, which is the same for all and tells none apart.
    captions = captions - captions.mean(axis=0)
    drawing = fit_line(np.hstack([root, shares]), captions, metric, DRAWING_PENALTY)
    head.tensors |= {
        "drawing_weight": drawing.weight,
        "drawing_bias": drawing.bias,
        "drawing_gate_weight": gate.weight[0],
        "drawing_gate_bias": gate.bias,
    }


def _kinds(
    material: Material, space: TextSpace, kinds: list[str], known: np.ndarray
) -> dict[str, np.ndarray]:
    inputs = np.concatenate([kind_features(view.grid[known]) for view in material.views])
    names = np.array([material.photographs[i].kind for i in known])
    truth = np.tile(names[:, None] == np.array(kinds), (len(material.views), 1)).astype(float)
    # A metric between that of the raw features and that of standardized ones.
    metric = 1 / np.sqrt(deviation(inputs))
    line = fit_line(inputs, truth, metric, KIND_PENALTY, copies=len(material.views))
    line = calibrated(line, truth).scaled(SOFTENING, 0)
    shown = color.softmax(material.views[0].logits[known] / TEMPERATURE).sum(axis=0)
    return {
        "class_familiarity": shown / (shown + HALF_FAMILIAR),
        "kind_weight": line.weight,
        "kind_bias": line.bias,
        "kind_vectors": space.kind_vectors(),
    }


def _patterns(material: Material, space: TextSpace, known: np.ndarray) -> dict[str, np.ndarray]:
    """Learned from recolored photographs, plain ones included."""
    labels = material.recolored_labels
    rows = np.array([i for i, label in enumerate(labels) if label["photograph"] in known])
    names = np.array([labels[i]["pattern"] for i in rows])
    truth = (names[:, None] == np.array(PATTERNS)).astype(float)
    roots = material.recolored.pooled_root[rows]
    line = calibrated(fit_line(roots, truth, 1 / deviation(roots), PATTERN_PENALTY), truth)
    return {
        "pattern_weight": line.weight,
        "pattern_bias": line.bias,
        "pattern_vectors": PATTERN_SHARE * space.pattern_vectors(PATTERN_WORDS),
    }


def _config(kinds: list[str]) -> dict[str, Any]:
    return {
        "model_type": "conse_head",
        "format": FORMAT,
        "dimensions": 384,
        "num_classes": 1000,
        "temperature": TEMPERATURE,
        "class_share": CLASS_SHARE,
        "detail_components": COMPONENTS,
        "color_softness": color.SOFTNESS,
        "kinds": kinds,
        "colors": [{"word": w, "prototypes": p} for w, p in color.PROTOTYPES.items()],
        "patterns": PATTERNS,
    }
