"""Where texts lie, and where the head puts pictures so that inner products tell things apart.

In MiniLM all words for clothes are near to each other. Queries must stay as they are, so it is the
vectors on the picture's side that are whitened: directions in which texts differ anyway count for
less. Three sorts of difference are taken out: that between things of all sorts, that between the
trained kinds and their phrases, and that between ways to ask ("a photo of a ...").
"""

from __future__ import annotations

import numpy as np

from class_names import ClassName, useful
from head import unit
from text import TextTower

SYNONYMS = {
    "dress": ["dress", "frock"],
    "hat": ["hat", "cap", "headwear"],
    "longsleeve": ["long sleeve", "longsleeve", "long sleeve top", "long-sleeved shirt"],
    "outwear": ["outerwear", "outwear", "jacket", "coat"],
    "pants": ["pants", "trousers"],
    "shirt": ["shirt", "button-up shirt"],
    "shoes": ["shoes", "shoe", "footwear"],
    "shorts": ["shorts", "short pants"],
    "skirt": ["skirt"],
    "t-shirt": ["t-shirt", "tee shirt", "tshirt"],
}
WAYS_TO_ASK = [
    "{}", "a {}", "a photo of a {}", "a photo of {}", "a picture of a {}", "women's {}",
    "men's {}", "a {} for summer", "buy a {}", "a new {}",
]  # fmt: skip
NOUNS = [
    "dress", "hat", "shirt", "shoes", "bag", "chair", "lamp", "mug", "jacket", "pants", "rug",
    "cushion", "car", "skirt", "thing",
]  # fmt: skip
SAMPLE_STEP = 20  # every twentieth text shows what a way to ask does to texts

IDENTITY_SHARE = 0.1
KIND_SHARE = 200.0
ASKING_SHARE = 20.0
SHARED_LOSS = 0.15  # of what all kinds have in common
PARENT_SHARES = (0.5, 0.25, 0.125)  # of parents, grandparents and great-grandparents in a class


class TextSpace:
    """Places texts for heads that know `kinds` (names of SYNONYMS; there may be none)."""

    def __init__(self, tower: TextTower, names: list[ClassName], kinds: list[str]):
        self._tower, self._names, self._kinds = tower, names, kinds
        texts = sorted({text for name in names for text in _all_words(name)})
        vectors = tower(texts)
        self._mean = vectors.mean(axis=0)
        plain = np.cov((vectors - self._mean).T)
        self._shifts = self._asking_shifts(texts[::SAMPLE_STEP])
        spread = plain / np.diag(plain).mean() + IDENTITY_SHARE * np.eye(len(plain))
        spread += ASKING_SHARE * _second_moment(self._shifts)
        phrases = [_second_moment(self._phrases(kind).reshape(-1, len(plain))) for kind in kinds]
        if phrases:
            spread += KIND_SHARE * np.mean(phrases, axis=0)
        self._unmix = np.linalg.inv(spread)
        self._reach = _second_moment(vectors)

    def place(self, vectors: np.ndarray) -> np.ndarray:
        return unit((vectors - self._mean) @ self._unmix)

    def reach(self) -> np.ndarray:
        """[dimensions, dimensions]: the second moments of texts of all sorts and of the kinds'
        phrases, around zero. A small one belongs to a direction in which queries hardly reach."""
        moment = self._reach.copy()
        for kind in self._kinds:
            rows = (self._phrases(kind) + self._mean).reshape(-1, len(moment))
            moment += _second_moment(rows) / len(self._kinds)
        return moment

    def class_vectors(self) -> np.ndarray:
        """[1000, dimensions]: names and synonyms, with some of what is above them. Mean length 1;
        what has a specific name is longer than what many texts are near to."""
        means = np.stack([self._class_mean(name) for name in self._names])
        return _mean_length_one((means - self._mean) @ self._unmix)

    def kind_vectors(self) -> np.ndarray:
        """[kinds, dimensions]: the mean of all phrases, without what the ways to ask add. Mean
        length 1. Part of what the kinds share stays: it tells pictures of them from others."""
        means = [(self._phrases(k) - self._shifts[:, None]).mean(axis=(0, 1)) for k in self._kinds]
        vectors = unit(np.stack(means) @ self._unmix)
        return _mean_length_one(vectors - SHARED_LOSS * vectors.mean(axis=0))

    def color_vectors(self, words: list[str]) -> np.ndarray:
        """[words, dimensions]: what a color word adds to a noun; mean length 1."""
        added = np.stack([self._added(word) for word in words])
        return _mean_length_one((added - added.mean(axis=0)) @ self._unmix)

    def pattern_vectors(self, patterns: dict[str, list[str]]) -> np.ndarray:
        """[patterns, dimensions], unit length: the same for patterns with their synonyms."""
        added = [np.mean([self._added(word) for word in words], 0) for words in patterns.values()]
        return unit(np.stack(added) @ self._unmix)

    def _class_mean(self, name: ClassName) -> np.ndarray:
        levels, shares = [[name.name], name.synonyms], [1.0, 1.0]
        for share, level in zip(PARENT_SHARES, name.parents):
            if words := useful(level):
                levels.append(words)
                shares.append(share)
        return np.average([self._tower.mean(words) for words in levels], axis=0, weights=shares)

    def _phrases(self, kind: str) -> np.ndarray:
        """[ways to ask, synonyms, dimensions], around the mean of all texts."""
        texts = [[way.format(word) for word in SYNONYMS[kind]] for way in WAYS_TO_ASK]
        return np.stack([self._tower(row) for row in texts]) - self._mean

    def _asking_shifts(self, texts: list[str]) -> np.ndarray:
        """[ways to ask, dimensions]: what each adds to a text, on average."""
        ways = [self._tower.mean([way.format(text) for text in texts]) for way in WAYS_TO_ASK]
        return np.stack(ways) - ways[0]

    def _added(self, word: str) -> np.ndarray:
        return self._tower.mean([f"{word} {noun}" for noun in NOUNS]) - self._tower.mean(NOUNS)


def _all_words(name: ClassName) -> list[str]:
    return [name.name, *name.synonyms, *(word for level in name.parents for word in level)]


def _mean_length_one(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1).mean()


def _second_moment(rows: np.ndarray) -> np.ndarray:
    return rows.T @ rows / len(rows)
