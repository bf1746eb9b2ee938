"""Writes the reference of tests/models/families/conse: a tiny head with random weights, what it
makes of some pictures in float64, and the color words of three generated pictures.

    golden.py --out tests/models/families/conse/golden
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

import color
from head import Head, apply, kind_features, unit

DIMENSIONS, CLASSES, DETAIL = 8, 5, 3
KINDS = ["dress", "hat", "shoes"]
COLORS = ["black", "white", "red", "blue"]
PATTERNS = ["striped", "dotted"]
FEATURES = 1280
SCALES = np.array([1, 0.8, 0.6, 1.3, 0.9])  # of the pictures' feature maps


def feature_maps() -> np.ndarray:
    """[pictures, 1280, 9, 9] by a formula, which the test repeats: stored, they would be large."""
    index = np.arange(len(SCALES) * FEATURES * 81, dtype=np.int64)
    values = np.maximum(0, (index * 7919 % 1009) / 1009 * 6 - 3)
    maps = values.reshape(len(SCALES), FEATURES, 9, 9) * SCALES[:, None, None, None]
    return maps.astype(np.float32)


def random_head(random: np.random.Generator, grid: np.ndarray) -> Head:
    """Biases are such that no probability is next to 0 or 1."""

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return scale * random.standard_normal(shape)

    root = np.sqrt(grid.mean(axis=(2, 3)))
    kinds = normal(len(KINDS), 6 * FEATURES, scale=0.15)
    patterns = normal(len(PATTERNS), FEATURES, scale=0.3)
    gate = normal(FEATURES)
    gate *= 3 / (root @ gate).std()
    tensors = {
        "class_vectors": unit(normal(CLASSES, DIMENSIONS)),
        "class_familiarity": random.random(CLASSES),
        "kind_weight": kinds,
        "kind_bias": normal(len(KINDS)) - (kind_features(grid) @ kinds.T).mean(axis=0) - 1.5,
        "kind_vectors": unit(normal(len(KINDS), DIMENSIONS)),
        "color_vectors": normal(len(COLORS), DIMENSIONS, scale=0.4),
        "pattern_weight": patterns,
        "pattern_bias": normal(len(PATTERNS)) - (root @ patterns.T).mean(axis=0),
        "pattern_vectors": 0.2 * unit(normal(len(PATTERNS), DIMENSIONS)),
        "drawing_weight": normal(DIMENSIONS, FEATURES + len(COLORS), scale=0.05),
        "drawing_bias": normal(DIMENSIONS),
        "drawing_gate_weight": gate,
        "drawing_gate_bias": -np.median(root @ gate, keepdims=True),
        "detail_weight": normal(DETAIL, FEATURES, scale=0.05),
        "detail_bias": normal(DETAIL),
        "detail_directions": np.linalg.qr(normal(DIMENSIONS, DETAIL))[0],
    }
    config = {
        "model_type": "conse_head",
        "format": 1,
        "dimensions": DIMENSIONS,
        "num_classes": CLASSES,
        "temperature": 2.0,
        "class_share": 0.3,
        "detail_components": DETAIL,
        "color_softness": color.SOFTNESS,
        "kinds": KINDS,
        "colors": [{"word": word, "prototypes": color.PROTOTYPES[word]} for word in COLORS],
        "patterns": PATTERNS,
    }
    return Head(config, {name: value.astype(np.float32) for name, value in tensors.items()})


def pictures() -> dict[str, np.ndarray]:
    """Uint8 [height, width, 3]: waves in two shapes, and a red disc whose lower half is darker."""

    def wave(width: int, height: int) -> np.ndarray:
        y, x = np.mgrid[:height, :width]
        channels = [x * 5 + y * 3, x * 2 + y * 7, x * y // 4]
        return (np.stack(channels, axis=-1) % 256).astype(np.uint8)

    y, x = np.mgrid[:64, :64]
    inside = (x - 32) ** 2 + (y - 32) ** 2 < 22.4**2
    disc = np.where(inside[..., None], [200, 30, 35], [236, 233, 228]) - 20 * (y > 32)[..., None]
    return {"disc": disc.astype(np.uint8), "narrow": wave(13, 300), "wave": wave(140, 100)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    random = np.random.default_rng(1)

    maps = feature_maps().astype(np.float64)
    grid = maps.reshape(*maps.shape[:2], 3, 3, 3, 3).mean(axis=(3, 5))
    head = random_head(random, grid)
    head.save(out)
    logits = (3 * random.standard_normal((len(SCALES), CLASSES))).astype(np.float32)
    shares = random.random((len(SCALES), len(COLORS)))
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    exact = Head(head.config, {k: v.astype(np.float64) for k, v in head.tensors.items()})
    vectors = apply(exact, grid, logits.astype(np.float64), shares.astype(np.float64)).vectors

    expected = {"map_scales": SCALES, "logits": logits, "histograms": shares, "vectors": vectors}
    for name, pixels in pictures().items():
        picture = Image.fromarray(pixels)
        picture.save(out / f"{name}.png")
        thumbnail = np.asarray(picture.resize((64, 64), Image.Resampling.BOX))
        expected[f"pictures/{name}"] = color.histogram(thumbnail)
    arrays = {name: np.ascontiguousarray(v, np.float32) for name, v in expected.items()}
    save_file(arrays, out / "expected.safetensors")
    (out / "expected.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
