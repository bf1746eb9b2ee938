"""Makes the fixtures of this folder: tiny random checkpoints, inputs, and what the reference implementation makes of them.

    python3 tests/goldens/generate.py [--out FOLDER] [FIXTURE ...]
    python3 tests/goldens/generate.py --efficientnet-lite2 CHECKPOINT

Without names, all of them. The second form computes what the published EfficientNet-Lite2, as scripts/setup.sh lays it out, makes of the
pictures of efficientnet_lite-tiny, for a test that skips where the weights are absent. requirements.txt says what has to be installed; README.md says what a fixture is. The result depends on
nothing but these scripts and the versions in requirements.txt.
"""

import argparse
import os
import pathlib

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402

from generator import convolution, dual, embedding, rerank, vision  # noqa: E402

FIXTURES = {
    "vit-model": vision.make_vit,
    "clip-vision_projection": vision.make_clip_vision,
    "efficientnet_lite-tiny": convolution.make_efficientnet_lite,
    "siglip2-fixed": dual.make_siglip2,
    "embed-qwen3": embedding.make_qwen3,
    "embed-qwen3_vl": embedding.make_qwen3_vl,
    "rerank-qwen3": rerank.make_qwen3,
    "rerank-qwen3_vl": rerank.make_qwen3_vl,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    parser.add_argument("--efficientnet-lite2", type=pathlib.Path, metavar="CHECKPOINT", help="compute tests/models/families/efficientnet")
    parser.add_argument("fixtures", nargs="*", metavar="FIXTURE", help=", ".join(FIXTURES))
    arguments = parser.parse_args()
    unknown = set(arguments.fixtures) - set(FIXTURES)
    if unknown:
        parser.error("no such fixture: " + ", ".join(sorted(unknown)))
    torch.set_num_threads(1)
    if arguments.efficientnet_lite2:
        models = pathlib.Path(__file__).parent.parent / "models"
        convolution.make_published(arguments.efficientnet_lite2, models / "families" / "efficientnet" / "lite2.safetensors")
        return
    for name in arguments.fixtures or FIXTURES:
        FIXTURES[name](arguments.out / name)
        print(name)


if __name__ == "__main__":
    main()
