"""Measures heads with the trainer's own parts, beyond what evaluate.py can see from outside.

README.md has the commands. Choices are made by `five-fold`, which reads training photographs only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from evaluate import AT_MOST, print_figures, write_lines
from features import Cache, Features
from head import Head, apply, sigmoid, unit
from measures import (
    PATTERN_QUERIES,
    drawing_figures,
    photograph_figures,
    precision,
    recolored_figures,
    ways_to_ask,
)
from parts import Material, fit_head
from pictures import Drawing, Photograph, list_drawings, list_photographs, open_all
from recolored_sets import TEST_COLORS, studio_set, test_set
from text import TextTower
from train import add_inputs, kinds_of, load_material

FOLDS = 5
RECOLORED_PER_KIND = 4
RECOLORED_SEED = 5000
STUDIO_PER_KIND = 6

Queries = dict[str, dict[str, np.ndarray]]  # by way to ask, then by kind


def kind_queries(text: TextTower, kinds: list[str]) -> Queries:
    ways = list(ways_to_ask(kinds[0]))
    return {way: {k: text([ways_to_ask(k)[way]])[0] for k in kinds} for way in ways}


def embed(head: Head, features: Features) -> np.ndarray:
    return apply(head, features.grid, features.logits, features.colors).vectors


def five_fold(material: Material) -> None:
    """Mean figures of five heads that each saw four fifths of the training photographs."""
    kinds, names = kinds_of(material), np.array([p.kind for p in material.photographs])
    fold = np.empty(len(names), int)
    for kind in kinds:
        fold[names == kind] = np.arange((names == kind).sum()) % FOLDS
    queries, results = kind_queries(material.text, kinds), []
    for number in range(FOLDS):
        head = fit_head(material, kinds, np.flatnonzero(fold != number))
        vectors = embed(head, material.views[0][fold == number])
        results.append(photograph_figures(vectors, names[fold == number], queries))
    print_figures({name: float(np.mean([r[name] for r in results])) for name in results[0]})


def kinds_left_out(material: Material, features: Features, names: np.ndarray) -> None:
    """Of each kind that a head has never seen: the share of it among the ten best for its name.
    Nothing saw it: not the kinds, their familiarity or directions, and not the patterns."""
    kinds = kinds_of(material)
    queries = kind_queries(material.text, kinds)
    rows = []
    for kind in kinds:
        head = fit_head(material, [other for other in kinds if other != kind])
        vectors = embed(head, features)
        found = [precision(vectors @ q[kind], names == kind) for q in queries.values()]
        print(f"{kind:12}", *(f"{way} {value:.1f}" for way, value in zip(queries, found)))
        rows.append(found)
    print_figures(dict(zip(queries, np.mean(rows, axis=0))))


def no_photographs(material: Material, features: Features, names: np.ndarray) -> None:
    """Class names, the classifier and color words alone."""
    queries = kind_queries(material.text, kinds_of(material))
    print_figures(photograph_figures(embed(fit_head(material, []), features), names, queries))


def recolored_queries(kinds: list[str]) -> dict[tuple[str, str], str]:
    words = {color: color for color in TEST_COLORS} | PATTERN_QUERIES
    return {(k, w): f"{text} {ways_to_ask(k)['bare']}" for k in kinds for w, text in words.items()}


def check_recolored(head: Head, text: TextTower, labels: list[dict], features: Features) -> None:
    texts = recolored_queries(sorted({label["kind"] for label in labels}))
    queries = {key: text([query])[0] for key, query in texts.items()}
    rows = [(x["kind"], str(x["photograph"]), x["color"], x["pattern"]) for x in labels]
    print_figures(recolored_figures(embed(head, features), rows, queries))


def check_drawings(head: Head, text: TextTower, drawings: list[Drawing], drawn: Features) -> None:
    kinds = np.array([drawing.kind for drawing in drawings])
    texts = unit(np.stack([text.mean(drawing.text.split("\n")) for drawing in drawings]))
    names = {kind: text([kind])[0] for kind in sorted(set(kinds))}
    print_figures(drawing_figures(embed(head, drawn), kinds, texts, names))


def gate_share(head: Head, features: Features) -> float:
    """Share of pictures that pass for drawings."""
    weight, bias = head.tensors["drawing_gate_weight"], head.tensors["drawing_gate_bias"]
    return float((sigmoid(features.pooled_root @ weight + bias) > 0.5).mean())


def write_recolored(photographs: Path, out: Path) -> None:
    """The recolored pictures as files, with the lines that `palate embed` reads."""
    chosen, lines = list_photographs(photographs, AT_MOST), []
    out.mkdir(parents=True, exist_ok=True)
    for label, picture in test_set(chosen, RECOLORED_PER_KIND, RECOLORED_SEED):
        name = f"{label.kind}/{label.photograph}/{label.color}/{label.pattern}"
        file = name.replace("/", "_") + ".png"
        picture.save(out / file)
        lines.append({"id": name, "images": [file]})
    write_lines(out / "pictures.jsonl", lines)
    texts = recolored_queries(sorted({photograph.kind for photograph in chosen}))
    queries = [{"id": "/".join(key), "text": text} for key, text in texts.items()]
    write_lines(out / "queries.jsonl", queries)


def check_head(
    head: Head, material: Material, cache: Cache, photographs: list[Photograph], held: list[Path]
) -> None:
    """All figures of a head that was written: photographs, recolored ones, and drawings."""
    features = cache.get("validation", lambda: open_all(photographs))
    names = np.array([photograph.kind for photograph in photographs])
    queries = kind_queries(material.text, kinds_of(material))
    print_figures(photograph_figures(embed(head, features), names, queries))

    labels, recolored = cache.get_labeled(
        "recolored-test", lambda: test_set(photographs, RECOLORED_PER_KIND, RECOLORED_SEED)
    )
    check_recolored(head, material.text, labels, recolored)
    studio = cache.get("studio-test", lambda: studio_set(photographs, STUDIO_PER_KIND))
    for name, shown in (("validation", features), ("recolored", recolored), ("studio", studio)):
        print(f"gate open for {name}: {gate_share(head, shown):.3f}")

    for folder in held:
        drawings = list_drawings(folder)
        drawn = cache.get(f"held-{folder.name}", lambda: open_all(drawings))
        print(f"{folder}: gate open for {gate_share(head, drawn):.3f}")
        check_drawings(head, material.text, drawings, drawn)


def run(arguments: argparse.Namespace) -> None:
    material, cache = load_material(arguments)
    if arguments.command == "five-fold":
        five_fold(material)
        return
    photographs = list_photographs(arguments.validation, AT_MOST)
    if arguments.command == "head":
        check_head(Head.load(arguments.head), material, cache, photographs, arguments.held)
        return
    features = cache.get("validation", lambda: open_all(photographs))
    names = np.array([photograph.kind for photograph in photographs])
    check = {"kinds-left-out": kinds_left_out, "no-photographs": no_photographs}
    check[arguments.command](material, features, names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("five-fold", "kinds-left-out", "no-photographs", "head"):
        command = commands.add_parser(name)
        add_inputs(command)
        if name != "five-fold":
            command.add_argument("--validation", type=Path, required=True, help="photographs")
        if name == "head":
            command.add_argument("--head", type=Path, required=True, help="what train.py wrote")
            command.add_argument("--held", type=Path, nargs="*", default=[], help="drawings")
    pictures = commands.add_parser("recolored-pictures")
    pictures.add_argument("--photographs", type=Path, required=True)
    pictures.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "recolored-pictures":
        write_recolored(arguments.photographs, arguments.out)
    else:
        run(arguments)


if __name__ == "__main__":
    main()
