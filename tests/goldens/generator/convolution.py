"""Convolutional image towers."""

import pathlib

import torch
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor

from . import vision
from .fixture import Fixture, load_picture, randomize, save_weights, write_json

# Odd, so that "same" padding is even on some maps and uneven on others: 35, 18, 9, 5, 3, 2.
IMAGE_SIZE = 35
LABELS = ["drawer", "fountain", "goose", "harp", "icicle"]


def randomize_norms(model, seed):
    """Statistics of batch normalization that are neither 0 and 1 nor alike."""
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in sorted(model.named_buffers()):
        if name.endswith("running_mean"):
            buffer.copy_(0.3 * torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.copy_(0.4 + torch.rand(buffer.shape, generator=generator))
        else:
            buffer.fill_(1234)


@torch.no_grad()
def make_efficientnet_lite(folder):
    fixture = Fixture(folder)
    vision.write_pictures(fixture, seed=41)
    coefficients = {"width_coefficient": 0.2, "depth_coefficient": 0.5}
    model = EfficientNet.from_name("efficientnet-lite0", image_size=IMAGE_SIZE, num_classes=len(LABELS), **coefficients)
    randomize(model, seed=42)
    randomize_norms(model, seed=43)
    # Half precision in the file keeps it small; the values are the same in float32.
    model.half().float()
    save_weights(model.half(), fixture.checkpoint)
    model.float()
    config = {
        "architectures": ["EfficientNetLite"],
        "batch_norm_eps": 0.001,
        "hidden_act": "relu6",
        "id2label": {str(index): label for index, label in enumerate(LABELS)},
        "image_size": IMAGE_SIZE,
        "model_type": "efficientnet_lite",
        "num_channels": 3,
        "num_labels": len(LABELS),
        **coefficients,
    }
    write_json(fixture.checkpoint / "config.json", config)
    settings = {
        "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [127.0, 127.0, 127.0],
        "image_processor_type": "CLIPImageProcessor",
        "image_std": [128.0, 128.0, 128.0],
        "resample": 3,
        "rescale_factor": 1.0,
        "size": {"shortest_edge": 39},
    }
    write_json(fixture.checkpoint / "preprocessor_config.json", settings)
    pixels = vision.process(fixture, CLIPImageProcessor.from_pretrained(fixture.checkpoint))
    states = model.extract_features(pixels)
    fixture.tensors["last_hidden_state"] = states
    fixture.tensors["pooled_mean"] = states.mean(dim=(2, 3))
    fixture.tensors["logits"] = model(pixels)
    fixture.finish()


@torch.no_grad()
def make_published(checkpoint, out):
    """Features and logits of the pictures of efficientnet_lite-tiny, by the published EfficientNet-Lite2."""
    pictures = pathlib.Path(__file__).parent.parent / "efficientnet_lite-tiny" / "inputs"
    model = EfficientNet.from_name("efficientnet-lite2").eval()
    model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    processor = CLIPImageProcessor.from_pretrained(checkpoint)
    pixels = processor(images=[load_picture(pictures / name) for name in vision.PICTURES], return_tensors="pt")["pixel_values"]
    save_file({"features": model.extract_features(pixels).mean(dim=(2, 3)), "logits": model(pixels)}, out)
