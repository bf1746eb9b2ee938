"""Trains the head of the built-in dual encoder's image tower. Deterministic: there is no descent,
and everything drawn at random has a fixed seed. README.md has the command."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from class_names import class_names
from features import Cache, Tower
from parts import Material, add_drawings, fit_head
from pictures import cropped, list_drawings, list_photographs, open_all
from recolored_sets import studio_set, training_set
from text import TextTower

RECOLORED = 700
STUDIO_PER_KIND = 12
CROP_SEED = 1
RECOLOR_SEED = 1


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The flags that train.py and check.py share."""
    parser.add_argument("--photographs", type=Path, required=True, help="a folder for each kind")
    parser.add_argument("--drawings", type=Path, required=True, help="of `palate-train drawings`")
    parser.add_argument("--text", type=Path, required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--tower", type=Path, required=True, help="folder of EfficientNet-Lite2")
    parser.add_argument("--wordnet", type=Path, required=True, help="WordNet's file data.noun")
    parser.add_argument("--cache", type=Path, help="keeps features of pictures; delete it when the"
                        " pictures change")  # fmt: skip


def load_material(arguments: argparse.Namespace) -> tuple[Material, Cache]:
    torch.set_num_threads(1)
    cache = Cache(Tower(arguments.tower), arguments.cache)
    photographs = list_photographs(arguments.photographs)
    drawings = list_drawings(arguments.drawings)
    views = [
        cache.get("photographs", lambda: open_all(photographs)),
        cache.get("cropped", lambda: cropped(photographs, CROP_SEED)),
    ]
    labels, recolored = cache.get_labeled(
        "recolored", lambda: training_set(photographs, RECOLORED, RECOLOR_SEED)
    )
    material = Material(
        text=TextTower(arguments.text),
        names=class_names(arguments.wordnet),
        photographs=photographs,
        views=views,
        recolored_labels=labels,
        recolored=recolored,
        studio=cache.get("studio", lambda: studio_set(photographs, STUDIO_PER_KIND)),
        drawings=drawings,
        drawn=cache.get("drawings", lambda: open_all(drawings)),
    )
    return material, cache


def kinds_of(material: Material) -> list[str]:
    return sorted({photograph.kind for photograph in material.photographs})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_inputs(parser)
    parser.add_argument("--out", type=Path, required=True, help="config.json and model.safetensors")
    arguments = parser.parse_args()
    material, _ = load_material(arguments)
    head = fit_head(material, kinds_of(material))
    add_drawings(head, material)
    head.save(arguments.out)
    size = (arguments.out / "model.safetensors").stat().st_size
    print(f"{arguments.out}: {size} bytes")


if __name__ == "__main__":
    main()
