"""Where the pictures come from: folders of photographs, and folders of drawings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from features import open_picture

LEAST_CROP = 0.7  # of a side


@dataclass
class Photograph:
    path: Path
    kind: str  # the name of its folder


@dataclass
class Drawing:
    path: Path
    caption: str
    kind: str
    text: str  # the product's text, a field a line


def list_photographs(folder: Path, at_most: int | None = None) -> list[Photograph]:
    """Of each kind the first `at_most` by file name."""
    kinds = sorted(path for path in folder.iterdir() if path.is_dir())
    return [
        Photograph(path, kind.name)
        for kind in kinds
        for path in sorted(kind.glob("*.jpg"))[:at_most]
    ]


def list_drawings(folder: Path) -> list[Drawing]:
    """Reads what `palate-train drawings` wrote."""
    lines = (folder / "products.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [Drawing(folder / r["file"], r["caption"], r["kind"], r["text"]) for r in rows]


def open_all(items: list[Photograph] | list[Drawing]) -> Iterator[Image.Image]:
    return (open_picture(item.path) for item in items)


def cropped(photographs: list[Photograph], seed: int) -> Iterator[Image.Image]:
    """One random part of each, mirrored at random: other cameras frame the thing otherwise."""
    random = np.random.default_rng(seed)
    for photograph in photographs:
        picture = open_picture(photograph.path)
        share = random.uniform(LEAST_CROP, 1, 2)
        width, height = (int(s * side) for s, side in zip(share, picture.size))
        left = random.integers(picture.width - width + 1)
        top = random.integers(picture.height - height + 1)
        part = picture.crop((left, top, left + width, top + height))
        yield part.transpose(Image.FLIP_LEFT_RIGHT) if random.random() < 0.5 else part
