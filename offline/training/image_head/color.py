"""Color of what a picture shows: a foreground histogram over color words. Nothing is trained.

The network forgets color, since ImageNet's classes come in every color. So the head reads it from
a thumbnail of 64 x 64 pixels instead: each pixel belongs softly to the words whose prototypes are
near in CIELAB, and counts for as much as it looks like the thing in front.
"""

from __future__ import annotations

import numpy as np

SIDE = 64
LIGHTNESS_WEIGHT = 0.5  # of a difference in L, against one in a or b
CENTER_DEVIATION = 0.30  # of the Gaussian around the center, in sides
BACKGROUND_SCALE = 288.0  # squared distance from the border at which a pixel counts as foreground
LEAST_FOREGROUND = 0.05  # of a pixel that equals the border: things may have the ground's color
BORDER_WIDTH = 3
BORDER_STEP = 8  # every eighth pixel of the border is a sample
NEAREST_SAMPLES = 5
SOFTNESS = 8.0  # deviation of a color word around its prototypes

# Prototypes of color words in sRGB, chosen by hand.
PROTOTYPES: dict[str, list[list[int]]] = {
    "black": [[15, 15, 17], [38, 38, 40]],
    "white": [[250, 250, 250], [228, 228, 226]],
    "grey": [[190, 190, 190], [150, 150, 152], [110, 112, 114], [75, 76, 78]],
    "red": [[200, 25, 35], [225, 55, 50], [165, 25, 35]],
    "burgundy": [[115, 25, 45], [85, 25, 35]],
    "orange": [[240, 130, 35], [225, 100, 30]],
    "yellow": [[245, 215, 45], [235, 200, 90]],
    "green": [[50, 150, 70], [30, 100, 50], [110, 190, 90]],
    "olive": [[115, 115, 55], [85, 90, 50]],
    "teal": [[35, 130, 130], [60, 170, 165]],
    "blue": [[40, 90, 190], [70, 130, 215], [50, 75, 140]],
    "light blue": [[150, 195, 230], [120, 165, 205]],
    "navy": [[28, 38, 80], [35, 45, 70]],
    "purple": [[115, 60, 155], [85, 45, 110], [155, 110, 190]],
    "pink": [[240, 150, 180], [225, 90, 145], [240, 190, 200]],
    "brown": [[115, 75, 45], [80, 50, 35], [150, 100, 65]],
    "beige": [[215, 195, 160], [190, 165, 130], [235, 222, 198]],
}
WORDS = list(PROTOTYPES)

# Linear sRGB to CIE XYZ, and the white point D65.
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE_POINT = np.array([0.95047, 1.0, 1.08883])


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB from 0 to 255, [..., 3], to CIELAB."""
    srgb = np.asarray(rgb, np.float64) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ XYZ.T / WHITE_POINT
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def histogram(
    thumbnail: np.ndarray,
    prototypes: dict[str, list[list[int]]] = PROTOTYPES,
    softness: float = SOFTNESS,
) -> np.ndarray:
    """[64, 64, 3] RGB bytes to the share of each color word in the foreground; the sum is 1."""
    lab = _scaled_lab(thumbnail)
    words = [_scaled_lab(np.array(rgb)) for rgb in prototypes.values()]
    distance = np.stack([_distances(lab.reshape(-1, 3), w).min(axis=1) for w in words], axis=1)
    return _foreground(lab) @ softmax(-distance / (2 * softness**2))


def histograms(thumbnails: np.ndarray) -> np.ndarray:
    return np.stack([histogram(thumbnail) for thumbnail in thumbnails]).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _scaled_lab(rgb: np.ndarray) -> np.ndarray:
    return to_lab(rgb) * np.array([LIGHTNESS_WEIGHT, 1.0, 1.0])


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances of the rows of a to those of b."""
    return ((a[:, None] - b[None]) ** 2).sum(axis=2)


def _foreground(lab: np.ndarray) -> np.ndarray:
    """[64, 64, 3] to one weight a pixel: near to the center, and unlike the border."""
    w = BORDER_WIDTH
    sides = [lab[:w], lab[-w:], lab[:, :w], lab[:, -w:]]
    border = np.concatenate([side.reshape(-1, 3) for side in sides])[::BORDER_STEP]
    distance = np.sort(_distances(lab.reshape(-1, 3), border), axis=1)[:, :NEAREST_SAMPLES]
    unlike = 1 - np.exp(-distance.mean(axis=1) / BACKGROUND_SCALE) + LEAST_FOREGROUND
    weight = _center_weights() * unlike
    return weight / weight.sum()


def _center_weights() -> np.ndarray:
    position = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    squared = position[:, None] ** 2 + position[None] ** 2
    return np.exp(-squared / (2 * CENTER_DEVIATION**2)).ravel()
