"""Writing a fixture: folders, JSON, tensors, weights, pictures."""

import json
import pathlib
import shutil

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file


class Fixture:
    """One fixture's folder, which is made anew. Collects what finish() writes."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.checkpoint.mkdir(parents=True)
        self.pictures.mkdir()
        self.inputs = {}
        self.expected = {}
        self.tensors = {}

    @property
    def checkpoint(self):
        return self.folder / "checkpoint"

    @property
    def pictures(self):
        return self.folder / "inputs"

    def finish(self):
        write_json(self.folder / "inputs" / "inputs.json", self.inputs)
        write_json(self.folder / "expected.json", self.expected)
        tensors = {name: tensor.detach().contiguous() for name, tensor in self.tensors.items()}
        save_file(tensors, self.folder / "expected.safetensors")

    def picture(self, name):
        return load_picture(self.pictures / name)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def randomize(model, seed):
    """Fills every parameter so that each part of the model matters: matrices keep the size of what passes through them, norms and
    biases are near 1 and 0 but not there."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = torch.randn(parameter.shape, generator=generator)
            if name.endswith("bias") or parameter.dim() == 0:
                parameter.copy_(0.1 * values)
            elif parameter.dim() == 1:
                parameter.copy_((0.0 if "embedding" in name else 1.0) + 0.2 * values)
            elif "embed" in name or "token" in name or "probe" in name:
                parameter.copy_(0.4 * values)
            else:
                parameter.copy_(1.2 * values / parameter[0].numel() ** 0.5)
    return model.eval()


def save_weights(model, folder, rename=lambda name: name, drop=()):
    """model.safetensors with the names that published checkpoints carry."""
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name not in drop}
    save_file({rename(name): tensor for name, tensor in state.items()}, folder / "model.safetensors", metadata={"format": "pt"})


# What the library keeps in a config and published files do not hold.
NOT_PUBLISHED = {
    "_name_or_path", "chunk_size_feed_forward", "id2label", "is_encoder_decoder", "label2id", "output_attentions", "output_hidden_states",
    "problem_type", "return_dict",
}


def published(config):
    if not isinstance(config, dict):
        return config
    return {key: published(value) for key, value in config.items() if key not in NOT_PUBLISHED and value is not None}


def save_config(model, folder, architecture):
    config = published(model.config.to_dict())
    config["architectures"] = [architecture]
    write_json(folder / "config.json", config)


def draw(path, width, height, seed):
    """A picture with soft ramps and some noise, so that every resize has something to get wrong."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    pixels = numpy.zeros((height, width, 3))
    for channel in range(3):
        slope = random.uniform(-1, 1, size=2)
        waves = numpy.sin(x * random.uniform(0.1, 0.7) + y * random.uniform(0.1, 0.7))
        pixels[..., channel] = 128 + 90 * (slope[0] * x / width + slope[1] * y / height) + 35 * waves
    pixels += random.integers(-8, 9, size=pixels.shape)
    Image.fromarray(numpy.clip(pixels, 0, 255).astype(numpy.uint8)).save(path)


def load_picture(path):
    return Image.open(path).convert("RGB")
