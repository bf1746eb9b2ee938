"""Embedding protocols: Qwen3-Embedding (text) and Qwen3-VL-Embedding (text and pictures)."""

import unicodedata

import torch
from transformers import AutoImageProcessor, AutoTokenizer

from . import language, tokenizers
from .fixture import Fixture, draw, write_json

QUERY_TASK = "Given a web search query, retrieve relevant passages that answer the query"
DEFAULT_INSTRUCTION = "Represent the user's input."
NORMALISE = torch.nn.functional.normalize

LONG_TEXT = "A red sofa with wooden legs, " * 12

TEXT_CASES = [
    {"role": "query", "text": "What is the capital of China?"},
    {"role": "query", "instruction": "Find two lamps that fit beside the window", "text": "a photo of a cat"},
    {"role": "item", "text": "The capital of China is Beijing."},
    {"role": "item", "text": "Gravity is a force that attracts two bodies towards each other.", "dimensions": 20},
    {"role": "query", "text": "naïve 你好 🐱\n", "dimensions": 7},
    {"role": "item", "text": LONG_TEXT, "max_tokens": 40},
    {"role": "query", "text": LONG_TEXT, "max_tokens": 64},
]

VL_CASES = [
    {"role": "item", "text": "A red sofa with wooden legs."},
    {"role": "item", "images": ["landscape.png"]},
    {"role": "item", "text": "a photo of a cat", "images": ["portrait.png", "large.png"]},
    {"role": "query", "instruction": "Retrieve images that answer the query", "text": "two lamps 你好"},
    {"role": "query", "instruction": "  Which sofa?\n", "text": "red", "images": ["landscape.png"]},
    {"role": "query", "instruction": "代表用户的输入。", "text": "red sofa", "dimensions": 12},
    {"role": "query", "instruction": "ends with a symbol +", "text": "red sofa"},
    {"role": "item", "text": ""},
    {"role": "item", "text": LONG_TEXT, "images": ["landscape.png"], "max_tokens": 90},
    {"role": "item", "text": LONG_TEXT, "max_tokens": 64},
]


def write_sentence_layout(folder, hidden):
    """The files in which the published folder says how it pools and what stands before a query."""
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    write_json(
        folder / "modules.json",
        [{"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"} for i, (kind, path) in enumerate(modules)],
    )
    (folder / "1_Pooling").mkdir()
    modes = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
    pooling = {"word_embedding_dimension": hidden, **{f"pooling_mode_{mode}": mode == "lasttoken" for mode in modes}, "include_prompt": True}
    write_json(folder / "1_Pooling" / "config.json", pooling)
    write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": {"query": f"Instruct: {QUERY_TASK}\nQuery:", "document": ""}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )


def finish_vector(state, case):
    """Cut to the dimensions that the case asks for, at unit length."""
    return NORMALISE(state[: case.get("dimensions", state.numel())], dim=0)


@torch.no_grad()
def make_qwen3(folder):
    fixture = Fixture(folder)
    trained = tokenizers.train_qwen()
    tokenizers.end_with(trained, "<|endoftext|>")
    tokenizers.save_qwen(trained, fixture.checkpoint)
    model = language.make_qwen3(fixture.checkpoint, trained, seed=41, max_positions=512, tied=True, encoder_names=True)
    write_sentence_layout(fixture.checkpoint, model.config.hidden_size)
    tokenizer = AutoTokenizer.from_pretrained(fixture.checkpoint)
    fixture.inputs["embed"] = TEXT_CASES
    fixture.expected["embed"] = []
    for number, case in enumerate(TEXT_CASES):
        text = case["text"]
        if case["role"] == "query":
            text = f"Instruct: {case.get('instruction', QUERY_TASK)}\nQuery:{text}"
        limit = case.get("max_tokens", 8192)
        ids = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        assert ids[-1] == tokenizer.convert_tokens_to_ids("<|endoftext|>") and len(ids) <= limit
        fixture.expected["embed"].append({"input_ids": ids})
        fixture.tensors[f"embed.{number}"] = finish_vector(language.last_state(model, {"input_ids": torch.tensor([ids])}), case)
    fixture.finish()


def normalize_instruction(instruction):
    instruction = instruction.strip()
    if instruction and not unicodedata.category(instruction[-1]).startswith("P"):
        instruction += "."
    return instruction or DEFAULT_INSTRUCTION


def conversation(case):
    instruction = normalize_instruction(case.get("instruction", ""))
    content = [{"type": "image", "image": name} for name in case.get("images", [])]
    if case.get("text"):
        content.append({"type": "text", "text": case["text"]})
    return [
        {"role": "system", "content": [{"type": "text", "text": instruction}]},
        {"role": "user", "content": content or [{"type": "text", "text": "NULL"}]},
    ]


def cut(tokenizer, prompt, ids, limit):
    """Takes tokens from the end of the text, before what the template puts behind it."""
    if len(ids) <= limit:
        return ids
    kept = len(tokenizer.encode(prompt[prompt.rindex("<|im_end|>\n<|im_start|>assistant\n") :]))
    return ids[: limit - kept] + ids[-kept:]


@torch.no_grad()
def make_qwen3_vl(folder):
    fixture = Fixture(folder)
    for number, (name, size) in enumerate({"landscape.png": (75, 50), "portrait.png": (40, 90), "large.png": (100, 89)}.items()):
        draw(fixture.pictures / name, *size, seed=51 + number)
    trained = tokenizers.train_qwen()
    tokenizers.end_with(trained, "<|endoftext|>")
    tokenizers.save_qwen(trained, fixture.checkpoint)
    model = language.make_qwen3_vl(fixture.checkpoint, trained, seed=55, max_positions=1024)
    # The protocol's own budget, whatever the folder's says.
    language.write_vl_processor(fixture.checkpoint, min_pixels=1024, max_pixels=16384)
    processor = AutoImageProcessor.from_pretrained(fixture.checkpoint, size={"shortest_edge": 4096, "longest_edge": 1843200})
    tokenizer = AutoTokenizer.from_pretrained(fixture.checkpoint)
    eyes = language.Eyes(processor, model.config.image_token_id, model)
    fixture.inputs["embed"] = VL_CASES
    fixture.expected["embed"] = []
    for number, case in enumerate(VL_CASES):
        prompt = tokenizer.apply_chat_template(conversation(case), tokenize=False, add_generation_prompt=True)
        pixels, counts = eyes.read([fixture.picture(name) for name in case.get("images", [])])
        ids = cut(tokenizer, prompt, eyes.expand(tokenizer.encode(prompt), counts), case.get("max_tokens", 8192))
        fixture.expected["embed"].append({"input_ids": ids})
        fixture.tensors[f"embed.{number}"] = finish_vector(language.last_state(model, eyes.inputs(ids, pixels)), case)
    fixture.finish()
