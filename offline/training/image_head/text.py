"""The text tower, all-MiniLM-L6-v2, in plain torch: BERT, mean of the tokens, unit length.

It stays as it is: the head is fitted to it, and queries are embedded as they are typed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional

LAYERS = 6
HEADS = 12
WIDTH = 384
EPSILON = 1e-12
BATCH = 64


class TextTower:
    """Embeds texts, each only once."""

    def __init__(self, folder: Path):
        self._weights = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(256)
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, texts: list[str]) -> np.ndarray:
        """[n, 384], unit length."""
        self._embed(sorted(set(texts) - self._known.keys()))
        return np.stack([self._known[text] for text in texts])

    def mean(self, texts: list[str]) -> np.ndarray:
        """[384]: the mean of the texts' vectors, not of unit length."""
        return self(texts).mean(axis=0)

    def _embed(self, texts: list[str]) -> None:
        """Texts of one length make a batch, so that nothing is padded."""
        by_length: dict[int, list[tuple[str, list[int]]]] = {}
        for text in texts:
            ids = self._tokenizer.encode(text).ids
            by_length.setdefault(len(ids), []).append((text, ids))
        for group in by_length.values():
            for start in range(0, len(group), BATCH):
                batch = group[start : start + BATCH]
                vectors = self._forward(torch.tensor([ids for _, ids in batch]))
                self._known.update(zip([text for text, _ in batch], vectors))

    @torch.inference_mode()
    def _forward(self, ids: torch.Tensor) -> np.ndarray:
        """ids [n, tokens] to [n, 384]."""
        x = self._weights["embeddings.word_embeddings.weight"][ids]
        x = x + self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + self._weights["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            x = self._layer(x, f"encoder.layer.{layer}.")
        return functional.normalize(x.mean(dim=1), dim=1).numpy()

    def _layer(self, x: torch.Tensor, prefix: str) -> torch.Tensor:
        count, tokens, _ = x.shape

        def heads(name: str) -> torch.Tensor:
            projected = self._linear(x, f"{prefix}attention.self.{name}")
            return projected.view(count, tokens, HEADS, WIDTH // HEADS).transpose(1, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        mixed = functional.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).reshape(count, tokens, WIDTH)
        attended = x + self._linear(mixed, prefix + "attention.output.dense")
        x = self._norm(attended, prefix + "attention.output.LayerNorm")
        inner = functional.gelu(self._linear(x, prefix + "intermediate.dense"))
        x = x + self._linear(inner, prefix + "output.dense")
        return self._norm(x, prefix + "output.LayerNorm")

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, self._weights[name + ".weight"], self._weights[name + ".bias"])

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = self._weights[name + ".weight"], self._weights[name + ".bias"]
        return functional.layer_norm(x, (WIDTH,), weight, bias, EPSILON)
