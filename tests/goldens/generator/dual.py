"""SigLIP 2 at a fixed resolution: the published checkpoints are SiglipModel with a Gemma tokenizer."""

import torch
from transformers import AutoTokenizer, SiglipConfig, SiglipImageProcessor, SiglipModel

from . import tokenizers, vision
from .fixture import Fixture, randomize, save_config, save_weights, write_json

TEXTS = [
    "a photo of a cat",
    "A Red Sofa, with wooden legs",
    "two lamps beside the window; a photo of gravity and of two bodies towards each other",
    "",
    "naïve 你好 🐱 <eos>",
    "  two  spaces ",
]
MAX_LENGTH = 16


def describe(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    return {
        "text": text,
        "input_ids": ids,
        "input_ids_no_special": tokenizer(text, add_special_tokens=False)["input_ids"],
        "tokens": tokenizer.convert_ids_to_tokens(ids),
        "decoded": tokenizer.decode(ids),
        "decoded_skip_special": tokenizer.decode(ids, skip_special_tokens=True),
        "tokenizer_json_agrees": True,
    }


def small_config(vocab_size):
    layers = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 24}
    return SiglipConfig(
        text_config={
            **layers, "intermediate_size": 56, "vocab_size": vocab_size, "max_position_embeddings": MAX_LENGTH, "projection_size": 24,
            "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0,
        },
        vision_config={**layers, "intermediate_size": 40, "image_size": 28, "patch_size": 7},
    )


@torch.no_grad()
def make_siglip2(folder):
    fixture = Fixture(folder)
    vision.write_pictures(fixture, seed=31)
    trained = tokenizers.train_gemma()
    tokenizers.save_gemma(trained, fixture.checkpoint, MAX_LENGTH)
    model = randomize(SiglipModel(small_config(trained.get_vocab_size())), seed=32)
    model.logit_scale.fill_(2.1)
    model.logit_bias.fill_(-3.7)
    save_weights(model, fixture.checkpoint)
    save_config(model, fixture.checkpoint, "SiglipModel")
    settings = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "processor_class": "SiglipProcessor",
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": 28, "width": 28},
    }
    write_json(fixture.checkpoint / "preprocessor_config.json", settings)

    tokenizer = AutoTokenizer.from_pretrained(fixture.checkpoint)
    model = SiglipModel.from_pretrained(fixture.checkpoint, dtype=torch.float32).eval()
    pixels = vision.process(fixture, SiglipImageProcessor.from_pretrained(fixture.checkpoint))
    del fixture.inputs["tower_images"]
    fixture.inputs.update({"images": list(vision.PICTURES), "texts": TEXTS, "padding": "max_length"})
    ids = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=MAX_LENGTH, return_tensors="pt")["input_ids"]
    outputs = model(input_ids=ids, pixel_values=pixels)
    fixture.tensors.update(
        {
            "input_ids": ids,
            "text_last_hidden_state": outputs.text_model_output.last_hidden_state,
            "vision_last_hidden_state": outputs.vision_model_output.last_hidden_state,
            "text_features": outputs.text_model_output.pooler_output,
            "image_features": outputs.vision_model_output.pooler_output,
            "text_embeds": outputs.text_embeds,
            "image_embeds": outputs.image_embeds,
            "logits_per_text": outputs.logits_per_text,
            "logits_per_image": outputs.logits_per_image,
        }
    )
    fixture.expected.update(
        {"images": list(vision.PICTURES), "logits": "sigmoid", "tokenize": [describe(tokenizer, text) for text in TEXTS]}
    )
    fixture.finish()
