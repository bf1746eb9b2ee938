"""The figures, and how kinds are asked for. Needs numpy only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

NEAREST = 10

WORDS = {
    "longsleeve": "long sleeve",
    "outwear": "outerwear",
}
PHOTO_WORDS = {
    "dress": "a dress",
    "hat": "a hat",
    "longsleeve": "a long sleeve top",
    "outwear": "outerwear",
    "pants": "pants",
    "shirt": "a shirt",
    "shoes": "shoes",
    "shorts": "shorts",
    "skirt": "a skirt",
    "t-shirt": "a t-shirt",
}

PATTERN_QUERIES = {
    "striped": "striped",
    "dotted": "polka dot",
    "checked": "checked",
    "floral": "floral",
}


def ways_to_ask(kind: str) -> dict[str, str]:
    """Three queries for a kind, which is the name of a folder."""
    return {
        "bare": WORDS.get(kind, kind),
        "folder": kind,
        "photo": f"a photo of {PHOTO_WORDS.get(kind, kind)}",
    }


def read_vectors(path: Path) -> tuple[list[str], np.ndarray]:
    """Ids and unit vectors [n, dimensions] of a file of `palate embed`."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    begin, end = header["vectors"]["data_offsets"]
    values = np.frombuffer(data[8 + length :][begin:end], "<f4")
    vectors = values.reshape(header["vectors"]["shape"])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return json.loads(header["__metadata__"]["ids"]), vectors / np.maximum(lengths, 1e-12)


def precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Share of right pictures among the ten with the highest scores."""
    return float(right[np.argsort(-scores, kind="stable")[:NEAREST]].mean())


def same_kind(vectors: np.ndarray, kinds: np.ndarray) -> float:
    """Share of a picture's ten nearest that are of its kind, on average."""
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :NEAREST]
    return float((kinds[nearest] == kinds[:, None]).mean())


def zero_shot(vectors: np.ndarray, kinds: np.ndarray, queries: dict[str, np.ndarray]) -> float:
    """Share of pictures whose own kind's query is the best of all."""
    best = np.argmax(vectors @ np.stack(list(queries.values())).T, axis=1)
    return float((np.array(list(queries))[best] == kinds).mean())


def photograph_figures(
    vectors: np.ndarray, kinds: np.ndarray, queries: dict[str, dict[str, np.ndarray]]
) -> dict[str, float]:
    """`queries` has for each way to ask the kinds' vectors."""
    figures = {}
    for way, by_kind in queries.items():
        found = [precision(vectors @ query, kinds == kind) for kind, query in by_kind.items()]
        figures[f"{way} P@10"] = float(np.mean(found))
        figures[f"{way} zero-shot"] = zero_shot(vectors, kinds, by_kind)
    figures["nearest ten"] = same_kind(vectors, kinds)
    return figures


def recolored_figures(
    vectors: np.ndarray,
    labels: list[tuple[str, str, str, str]],
    queries: dict[tuple[str, str], np.ndarray],
) -> dict[str, float]:
    """Of photographs that were each given the same colors, and the same patterns.

    `labels` are (kind, photograph, color, pattern) of the pictures, `queries` the vectors by (kind,
    word), where a word is a color or a pattern.
    """
    kinds, photographs, colors, patterns = (np.array(column) for column in zip(*labels))
    plain = patterns == "plain"
    color_words = sorted(set(colors[plain]))
    pattern_words = sorted(set(patterns[~plain]))
    by_color, best, by_pattern = [], [], []
    for photograph in sorted(set(photographs)):
        own = photographs == photograph
        kind = kinds[own][0]
        scores = _scores(vectors, colors, own & plain, kind, color_words, queries)
        by_color.append(_pairs_in_order(scores))
        best.append((scores.argmax(axis=0) == np.arange(len(color_words))).mean())
        scores = _scores(vectors, patterns, own & ~plain, kind, pattern_words, queries)
        by_pattern.append(_pairs_in_order(scores))
    figures = {
        "color: pair in order": float(np.mean(by_color)),
        "color: best of all": float(np.mean(best)),
        "pattern: pair in order": float(np.mean(by_pattern)),
    }
    return figures | _kind_and_color(vectors[plain], kinds[plain], colors[plain], queries)


def _scores(
    vectors: np.ndarray,
    names: np.ndarray,
    rows: np.ndarray,
    kind: str,
    words: list[str],
    queries: dict[tuple[str, str], np.ndarray],
) -> np.ndarray:
    """[pictures, queries] of one photograph, both in the order of `words`."""
    places = np.flatnonzero(rows)
    order = [places[names[places] == word][0] for word in words]
    return vectors[order] @ np.stack([queries[kind, word] for word in words]).T


def _pairs_in_order(scores: np.ndarray) -> float:
    """Share of pairs whose right one scores higher for its query; chance is one half."""
    count = len(scores)
    return float((np.diag(scores) > scores).sum() / (count * (count - 1)))


def _kind_and_color(
    vectors: np.ndarray,
    kinds: np.ndarray,
    colors: np.ndarray,
    queries: dict[tuple[str, str], np.ndarray],
) -> dict[str, float]:
    """Of the first n pictures for "red dress", where n of all are red dresses."""
    found = []
    for kind in sorted(set(kinds)):
        for color in sorted(set(colors)):
            right_kind, right_color = kinds == kind, colors == color
            count = int((right_kind & right_color).sum())
            top = np.argsort(-(vectors @ queries[kind, color]), kind="stable")[:count]
            found.append(((right_kind & right_color)[top].mean(), right_kind[top].mean()))
    both, kind_only = np.mean(found, axis=0)
    return {"kind and color right": float(both), "kind right": float(kind_only)}


def drawing_figures(
    vectors: np.ndarray, kinds: np.ndarray, texts: np.ndarray, kind_queries: dict[str, np.ndarray]
) -> dict[str, float]:
    """Row i of `texts` is the text of product i, and row i of `vectors` its picture."""
    order = np.argsort(-(vectors @ texts.T), axis=1)[:, :NEAREST]
    own = order == np.arange(len(order))[:, None]
    return {
        "own product text R@1": float(own[:, 0].mean()),
        "own product text R@10": float(own.any(axis=1).mean()),
        "kind by name": zero_shot(vectors, kinds, kind_queries),
    }
