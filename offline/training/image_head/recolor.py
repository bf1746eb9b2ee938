"""Photographs whose garment gets another color or a pattern: training data, and the color test.

GrabCut cuts the garment out, starting from a rectangle, so the cut does not depend on the head's
own idea of the foreground. The new color keeps part of the garment's shading.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from features import open_picture

RGB: dict[str, tuple[int, int, int]] = {
    "red": (200, 30, 35), "orange": (235, 125, 30), "yellow": (240, 205, 50),
    "green": (45, 140, 60), "blue": (40, 85, 185), "purple": (115, 55, 150),
    "pink": (240, 150, 180), "brown": (115, 75, 45), "black": (28, 28, 30),
    "white": (242, 242, 240), "grey": (135, 137, 140), "beige": (215, 195, 160),
    "navy": (28, 40, 85),
}  # fmt: skip
PATTERNS = ["striped", "dotted", "checked", "floral"]

SIDE = 400  # at most, of the pictures
CUT_SIDE = 160  # GrabCut's time grows with the area
LEAST_SHARE, MOST_SHARE = 0.08, 0.85  # of the picture that a garment takes; else the cut failed
SHADING = 0.6
LEAST_LIGHTNESS, MOST_LIGHTNESS = 3, 98


@dataclass
class CutOut:
    picture: np.ndarray  # [h, w, 3], RGB bytes
    mask: np.ndarray  # [h, w], from 0 to 1
    found: bool


def cut_out(path: Path) -> CutOut:
    image = open_picture(path)
    image.thumbnail((SIDE, SIDE), Image.BILINEAR)
    picture = np.asarray(image)
    mask = _grab_cut(picture)
    return CutOut(picture, _soften(mask, picture), LEAST_SHARE < mask.mean() < MOST_SHARE)


def recolor(
    cut: CutOut, color: str, pattern: str = "plain", second: str = "white", seed: int = 0
) -> Image.Image:
    lab = _lab(cut.picture)
    base = np.broadcast_to(_lab(np.array([RGB[color]]))[0], lab.shape).copy()
    if pattern != "plain":
        share = _pattern(pattern, *lab.shape[:2], np.random.default_rng(seed))[..., None]
        base = base * (1 - share) + _lab(np.array([RGB[second]]))[0] * share

    garment = lab[..., 0][cut.mask > 0.5]
    middle = np.median(garment) if garment.size else 50
    lightness = base[..., 0] + SHADING * (lab[..., 0] - middle)
    base[..., 0] = np.clip(lightness, LEAST_LIGHTNESS, MOST_LIGHTNESS)
    mask = cut.mask[..., None]
    return Image.fromarray((_rgb(base) * mask + cut.picture * (1 - mask)).astype(np.uint8))


def on_plain_ground(cut: CutOut, ground: tuple[int, int, int]) -> Image.Image:
    """As in a shop's studio: the drawings' gate must stay shut for such pictures too."""
    mask = cut.mask[..., None]
    mixed = cut.picture * mask + np.array(ground) * (1 - mask)
    return Image.fromarray(mixed.astype(np.uint8))


def _grab_cut(picture: np.ndarray) -> np.ndarray:
    """1 where the garment is, 0 elsewhere, in the reduced picture."""
    height, width = picture.shape[:2]
    scale = CUT_SIDE / max(height, width)
    size = max(8, int(width * scale)), max(8, int(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[..., ::-1].copy()
    left, top = int(size[0] * 0.06), int(size[1] * 0.05)
    rectangle = left, top, size[0] - 2 * left, size[1] - 2 * top
    cv2.setRNGSeed(1)
    cv2.setNumThreads(1)
    mask = np.zeros(small.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, mask, rectangle, *models, 4, cv2.GC_INIT_WITH_RECT)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)


def _soften(mask: np.ndarray, picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return cv2.GaussianBlur(cv2.resize(mask, (width, height)), (0, 0), 1.5)


def _lab(rgb: np.ndarray) -> np.ndarray:
    flat = rgb.astype(np.float32).reshape(1, -1, 3) / 255
    return cv2.cvtColor(flat, cv2.COLOR_RGB2LAB).reshape(rgb.shape)


def _rgb(lab: np.ndarray) -> np.ndarray:
    flat = cv2.cvtColor(lab.astype(np.float32).reshape(1, -1, 3), cv2.COLOR_LAB2RGB)
    return np.clip(flat.reshape(lab.shape), 0, 1) * 255


def _pattern(name: str, height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """[height, width]: the share of the second color."""
    period = random.uniform(14, 34)
    angle = random.choice([0, np.pi / 2, random.uniform(-0.2, 0.2)])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    along = (x * np.cos(angle) + y * np.sin(angle) + random.uniform(0, period)) / period
    across = (-x * np.sin(angle) + y * np.cos(angle) + random.uniform(0, period)) / period
    share = random.uniform(0.3, 0.5)
    if name == "striped":
        return (along % 1 < share).astype(np.float32)
    if name == "checked":
        return 0.5 * (along % 1 < 0.5) + 0.5 * (across % 1 < 0.5)
    if name == "dotted":
        shift = 0.5 * (np.floor(across) % 2)  # of every other row
        return (np.hypot((along + shift) % 1 - 0.5, across % 1 - 0.5) < share * 0.6) * 1.0
    return _flowers(x, y, period * 1.5, random)


def _flowers(
    x: np.ndarray, y: np.ndarray, spacing: float, random: np.random.Generator
) -> np.ndarray:
    """Flowers of five petals with a hole, scattered around a lattice."""
    mask = np.zeros(x.shape, bool)
    for center_y in np.arange(-spacing, len(y) + spacing, spacing):
        for center_x in np.arange(-spacing, x.shape[1] + spacing, spacing):
            dx = x - center_x - random.uniform(-0.3, 0.3) * spacing
            dy = y - center_y - random.uniform(-0.3, 0.3) * spacing
            radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx) + random.uniform(0, 6)
            petals = spacing * 0.42 * (0.65 + 0.35 * np.cos(5 * angle))
            mask |= (radius < petals) & (radius > spacing * 0.08)
    return mask.astype(np.float32)
