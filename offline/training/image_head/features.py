"""What EfficientNet-Lite2 says of pictures, with a cache, since this is what takes time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image, ImageOps
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_tensors
from torch.nn.utils.fusion import fuse_conv_bn_eval

from color import SIDE, histograms

INPUT_SIDE = 260
BATCH = 8


@dataclass
class Features:
    """Of n pictures. Everything is small enough to hold in memory: 46 KB a picture."""

    grid: np.ndarray  # [n, 1280, 3, 3]: means of the 3 x 3 blocks of the last map
    logits: np.ndarray  # [n, 1000]
    colors: np.ndarray  # [n, words]: histograms of color.py

    def __len__(self) -> int:
        return len(self.grid)

    def __getitem__(self, rows: np.ndarray | slice) -> Features:
        return Features(self.grid[rows], self.logits[rows], self.colors[rows])

    @property
    def pooled_root(self) -> np.ndarray:
        """[n, 1280]: square roots of the pooled features, which are less skewed than these."""
        return np.sqrt(self.grid.mean(axis=(2, 3)))


def concatenate(parts: list[Features]) -> Features:
    names = ("grid", "logits", "colors")
    return Features(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


class Tower:
    """The network of the folder that scripts/setup.sh makes."""

    def __init__(self, folder: Path):
        config = json.loads((folder / "config.json").read_text())
        network = EfficientNet.from_name(f"efficientnet-{config['variant']}")
        network.load_state_dict(load_tensors(folder / "model.safetensors"))
        self._network = _fold_norms(network.eval()).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def features(self, pictures: Iterable[Image.Image]) -> Features:
        parts, iterator = [], iter(pictures)
        while batch := list(islice(iterator, BATCH)):
            parts.append(self._batch(batch))
        return concatenate(parts)

    def _batch(self, pictures: list[Image.Image]) -> Features:
        inputs = torch.stack([_pixels(picture) for picture in pictures])
        maps = self._network.extract_features(inputs.to(memory_format=torch.channels_last))
        grid = maps.reshape(len(pictures), -1, 3, 3, 3, 3).mean(dim=(3, 5))
        logits = self._network._fc(maps.mean(dim=(2, 3)))
        thumbnails = [picture.resize((SIDE, SIDE), Image.BOX) for picture in pictures]
        colors = histograms(np.stack([np.asarray(thumbnail) for thumbnail in thumbnails]))
        return Features(grid.numpy(), logits.numpy(), colors)


class Cache:
    """Keeps the features of named sets of pictures in files, if there is a folder for them."""

    def __init__(self, tower: Tower, folder: Path | None):
        self._tower, self._folder = tower, folder

    def get(self, name: str, pictures: Callable[[], Iterator[Image.Image]]) -> Features:
        path = self._folder / f"{name}.safetensors" if self._folder else None
        if path and path.exists():
            return Features(**load_file(path))
        print(f"features of {name} ...", flush=True)
        features = self._tower.features(pictures())
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({k: np.ascontiguousarray(v) for k, v in vars(features).items()}, path)
        return features

    def get_labeled(
        self, name: str, labeled: Callable[[], Iterator[tuple[Any, Image.Image]]]
    ) -> tuple[list[dict[str, Any]], Features]:
        """The same for pictures with labels, which are data classes; returns their fields."""
        labels: list[dict[str, Any]] = []

        def pictures() -> Iterator[Image.Image]:
            for label, picture in labeled():
                labels.append(vars(label))
                yield picture

        features = self.get(name, pictures)
        if self._folder:
            path = self._folder / f"{name}.json"
            if labels:
                path.write_text(json.dumps(labels))
            labels = json.loads(path.read_text())
        return labels, features


def open_picture(path: Path) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def _pixels(picture: Image.Image) -> torch.Tensor:
    """Squashed to a square, so that nothing of a tall or wide picture is lost."""
    squashed = picture.resize((INPUT_SIDE, INPUT_SIDE), Image.BILINEAR)
    return torch.from_numpy((np.asarray(squashed, np.float32) - 127) / 128).permute(2, 0, 1)


def _fold_norms(network: EfficientNet) -> EfficientNet:
    """Batch norms go into their convolutions, which computes the same in half the time."""
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network._blocks:
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
    for module, convolution, norm in pairs:
        fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
        setattr(module, convolution, fused)
        setattr(module, norm, torch.nn.Identity())
    return network
