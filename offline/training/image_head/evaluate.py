"""Measures how well a model's picture vectors fit its text vectors, from what `palate embed` wrote.

Needs numpy only. The commands are in README.md; `--help` lists the parameters.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from measures import photograph_figures, read_vectors, recolored_figures, ways_to_ask

AT_MOST = 40  # pictures of a kind, the first by file name


def write_lines(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{path}: {len(rows)} lines")


def write_inputs(photographs: Path, out: Path) -> None:
    """Lines for `palate embed`; the ids say what the figures need to know."""
    kinds = sorted(path for path in photographs.iterdir() if path.is_dir())
    pictures = [
        {"id": f"{kind.name}/{path.name}", "images": [f"{kind.name}/{path.name}"]}
        for kind in kinds
        for path in sorted(kind.glob("*.jpg"))[:AT_MOST]
    ]
    queries = [
        {"id": f"{way}/{kind.name}", "text": text}
        for kind in kinds
        for way, text in ways_to_ask(kind.name).items()
    ]
    write_lines(out / "pictures.jsonl", pictures)
    write_lines(out / "queries.jsonl", queries)


def print_figures(figures: dict[str, float]) -> None:
    for name, value in figures.items():
        print(f"{name:32} {value:.3f}")


def show_photograph_figures(pictures: Path, queries: Path) -> None:
    ids, vectors = read_vectors(pictures)
    kinds = np.array([name.split("/")[0] for name in ids])
    by_way: dict[str, dict[str, np.ndarray]] = {}
    for name, vector in zip(*read_vectors(queries)):
        way, kind = name.split("/")
        by_way.setdefault(way, {})[kind] = vector
    print(f"{len(ids)} pictures of {len(set(kinds))} kinds")
    print_figures(photograph_figures(vectors, kinds, by_way))
    different = (vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)]
    print(f"inner products of different pictures: {different.mean():.3f} +- {different.std():.3f}")


def show_recolored_figures(pictures: Path, queries: Path) -> None:
    ids, vectors = read_vectors(pictures)
    labels = [tuple(name.split("/")[:4]) for name in ids]
    by_word = {tuple(n.split("/")[:2]): v for n, v in zip(*read_vectors(queries))}
    print(f"{len(ids)} pictures")
    print_figures(recolored_figures(vectors, labels, by_word))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    inputs = commands.add_parser("inputs", help="write the lines that `palate embed` reads")
    inputs.add_argument("--photographs", type=Path, required=True, help="a folder for each kind")
    inputs.add_argument("--out", type=Path, required=True)
    for name, text in (
        ("figures", "photographs by kind"),
        ("recolored", "the pictures of check.py recolored-pictures"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--pictures", type=Path, required=True, help="vectors of pictures")
        command.add_argument("--queries", type=Path, required=True, help="vectors of queries")
    arguments = parser.parse_args()
    if arguments.command == "inputs":
        write_inputs(arguments.photographs, arguments.out)
    elif arguments.command == "figures":
        show_photograph_figures(arguments.pictures, arguments.queries)
    else:
        show_recolored_figures(arguments.pictures, arguments.queries)


if __name__ == "__main__":
    main()
