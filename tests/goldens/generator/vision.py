"""Image towers that stand alone."""

import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, ViTConfig, ViTModel
from transformers import CLIPImageProcessor, ViTImageProcessor

from .fixture import Fixture, draw, randomize, save_config, save_weights, write_json

PICTURES = {"landscape.png": (37, 21), "portrait.png": (19, 40), "small.png": (7, 9), "square.png": (24, 24)}


def write_pictures(fixture, seed):
    for number, (name, (width, height)) in enumerate(PICTURES.items()):
        draw(fixture.pictures / name, width, height, seed + number)


def process(fixture, processor):
    """pixel_values of all pictures, from the default backend."""
    pictures = [fixture.picture(name) for name in PICTURES]
    fixture.expected["image_sizes_wh"] = [list(picture.size) for picture in pictures]
    fixture.tensors["pixel_values"] = processor(images=pictures, return_tensors="pt")["pixel_values"]
    fixture.inputs["tower_images"] = list(PICTURES)
    return fixture.tensors["pixel_values"]


@torch.no_grad()
def make_vit(folder):
    fixture = Fixture(folder)
    write_pictures(fixture, seed=11)
    config = ViTConfig(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=56, image_size=24, patch_size=8, hidden_act="gelu"
    )
    model = randomize(ViTModel(config), seed=12)
    # The library names ViT's tensors otherwise in memory than in files.
    model.save_pretrained(fixture.checkpoint)
    save_config(model, fixture.checkpoint, "ViTModel")
    settings = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "ViTImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": 24, "width": 24},
    }
    write_json(fixture.checkpoint / "preprocessor_config.json", settings)
    pixels = process(fixture, ViTImageProcessor.from_pretrained(fixture.checkpoint))
    states = ViTModel.from_pretrained(fixture.checkpoint, dtype=torch.float32).eval()(pixel_values=pixels).last_hidden_state
    fixture.tensors["last_hidden_state"] = states
    # An image's vector without a projection: the class token's state, or the mean of the patches.
    fixture.tensors["pooled_cls"] = states[:, 0]
    fixture.tensors["pooled_mean"] = states[:, 1:].mean(dim=1)
    fixture.finish()


@torch.no_grad()
def make_clip_vision(folder):
    fixture = Fixture(folder)
    write_pictures(fixture, seed=21)
    config = CLIPVisionConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=72, image_size=30, patch_size=10, projection_dim=20,
        hidden_act="gelu",
    )
    model = randomize(CLIPVisionModelWithProjection(config), seed=22)
    save_weights(model, fixture.checkpoint)
    save_config(model, fixture.checkpoint, "CLIPVisionModelWithProjection")
    settings = {
        "crop_size": {"height": 30, "width": 30},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "CLIPImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "resample": 3,
        "size": {"shortest_edge": 34},
    }
    write_json(fixture.checkpoint / "preprocessor_config.json", settings)
    pixels = process(fixture, CLIPImageProcessor.from_pretrained(fixture.checkpoint))
    outputs = CLIPVisionModelWithProjection.from_pretrained(fixture.checkpoint, dtype=torch.float32).eval()(pixel_values=pixels)
    fixture.tensors["last_hidden_state"] = outputs.last_hidden_state
    fixture.tensors["image_embeds"] = outputs.image_embeds
    fixture.finish()
