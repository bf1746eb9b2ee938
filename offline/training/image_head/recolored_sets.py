"""Sets of recolored photographs: one to train on, and one to test colors and patterns with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pictures import Photograph
from recolor import PATTERNS, RGB, cut_out, on_plain_ground, recolor

TEST_COLORS = ["red", "blue", "green", "yellow", "purple", "black", "white", "pink"]
BRIGHT = ("white", "yellow", "pink")  # what navy, not white, makes a pattern with
STUDIO_GROUNDS = [(255, 255, 255), (246, 246, 246), (233, 228, 220), (221, 229, 232)]


@dataclass
class Recolored:
    photograph: int  # its place in the list
    kind: str
    color: str
    pattern: str


def training_set(
    photographs: list[Photograph], count: int, seed: int
) -> Iterator[tuple[Recolored, Image.Image]]:
    """`count` of the photographs, without those whose garment is not found, in random colors;
    every other one with a random pattern."""
    random = np.random.default_rng(seed)
    for place, i in enumerate(random.choice(len(photographs), count, replace=False)):
        color, second = (str(c) for c in random.choice(list(RGB), 2, replace=False))
        pattern = str(random.choice(PATTERNS)) if place % 2 else "plain"
        pattern_seed = int(random.integers(1 << 30))
        if (cut := cut_out(photographs[i].path)).found:
            label = Recolored(int(i), photographs[i].kind, color, pattern)
            yield label, recolor(cut, color, pattern, second, pattern_seed)


def test_set(
    photographs: list[Photograph], per_kind: int, seed: int
) -> Iterator[tuple[Recolored, Image.Image]]:
    """The first photographs of each kind whose garment is found, in every test color, and then in
    every pattern."""
    found: dict[str, int] = {}
    for i, photograph in enumerate(photographs):
        count = found.get(photograph.kind, 0)
        if count == per_kind or not (cut := cut_out(photograph.path)).found:
            continue
        found[photograph.kind] = count + 1
        for color in TEST_COLORS:
            yield Recolored(i, photograph.kind, color, "plain"), recolor(cut, color)
        for j, pattern in enumerate(PATTERNS):
            color = TEST_COLORS[(count + 2 * j) % len(TEST_COLORS)]
            second = "navy" if color in BRIGHT else "white"
            picture = recolor(cut, color, pattern, second, seed + 10 * count + j)
            yield Recolored(i, photograph.kind, color, pattern), picture


def studio_set(photographs: list[Photograph], per_kind: int) -> Iterator[Image.Image]:
    """Cut-outs on plain bright grounds."""
    found: dict[str, int] = {}
    for photograph in photographs:
        count = found.get(photograph.kind, 0)
        if count == per_kind or not (cut := cut_out(photograph.path)).found:
            continue
        found[photograph.kind] = count + 1
        yield on_plain_ground(cut, STUDIO_GROUNDS[count % len(STUDIO_GROUNDS)])
