"""Reranker protocols: Qwen3-Reranker (text) and Qwen3-VL-Reranker (text and pictures)."""

import torch
from transformers import AutoImageProcessor, AutoTokenizer

from . import language, tokenizers
from .fixture import Fixture, draw

JUDGE = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
TEXT_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
VL_INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."
KEPT_TOKENS = 5  # of a vision-language prompt's end, never cut
LONG_TEXT = "A red sofa with wooden legs, " * 12

TEXT_PAIRS = [
    {"query": "What is the capital of China?", "document": "The capital of China is Beijing."},
    {"instruction": "判断文档是否回答了问题", "query": "猫吃什么？", "document": "Gravity is a force."},
    {"instruction": "Find a sofa", "query": "red", "document": LONG_TEXT},
    {"query": LONG_TEXT + LONG_TEXT, "document": "never reached"},
    {"query": "", "document": ""},
]
VL_PAIRS = [
    {"query": "red sofa", "document": "A red sofa with wooden legs."},
    {"query": "red sofa", "document": "a photo", "document_images": ["landscape.png"]},
    {"query_images": ["portrait.png"], "document_images": ["landscape.png", "portrait.png"]},
    {"instruction": "Find two lamps", "query": "two lamps", "query_images": ["landscape.png"], "document": "the window"},
    {"query": "gravity"},
    {"query": "red", "document": LONG_TEXT + LONG_TEXT, "document_images": ["landscape.png"]},
]


def score(model, state, no_id, yes_id):
    logits = model.lm_head(state)[[no_id, yes_id]]
    return logits, torch.log_softmax(logits, dim=0)[1].exp()


def answer(fixture, model, tokenizer, pairs, encode):
    """Fills inputs, expected values and tensors; `encode` turns a pair into the model's inputs."""
    yes_id, no_id = (tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    cases, logits, scores = [], [], []
    for pair in pairs:
        inputs = encode(pair)
        pair_logits, pair_score = score(model, language.last_state(model, inputs), no_id, yes_id)
        cases.append({"input_ids": inputs["input_ids"][0].tolist(), "score": pair_score.item()})
        logits.append(pair_logits)
        scores.append(pair_score)
    fixture.inputs["rerank"] = pairs
    fixture.expected["rerank"] = {"yes_id": yes_id, "no_id": no_id, "cases": cases}
    fixture.tensors["rerank.no_yes_logits"] = torch.stack(logits)
    fixture.tensors["rerank.scores"] = torch.stack(scores)
    fixture.finish()


@torch.no_grad()
def make_qwen3(folder):
    fixture = Fixture(folder)
    trained = tokenizers.train_qwen()
    tokenizers.save_qwen(trained, fixture.checkpoint)
    model = language.make_qwen3(fixture.checkpoint, trained, seed=61, max_positions=256, tied=False, encoder_names=False)
    tokenizer = AutoTokenizer.from_pretrained(fixture.checkpoint)
    prefix = tokenizer.encode(f"<|im_start|>system\n{JUDGE}<|im_end|>\n<|im_start|>user\n", add_special_tokens=False)
    suffix = tokenizer.encode("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", add_special_tokens=False)
    room = min(8192, model.config.max_position_embeddings) - len(prefix) - len(suffix)

    def encode(pair):
        body = f"<Instruct>: {pair.get('instruction', TEXT_INSTRUCTION)}\n<Query>: {pair['query']}\n<Document>: {pair['document']}"
        ids = prefix + tokenizer(body, truncation="longest_first", max_length=room)["input_ids"] + suffix
        return {"input_ids": torch.tensor([ids])}

    answer(fixture, model, tokenizer, TEXT_PAIRS, encode)


def vl_prompt(pair):
    def content(text, images):
        media = "<|vision_start|><|image_pad|><|vision_end|>" * len(images)
        return media + text or "NULL"

    query = content(pair.get("query", ""), pair.get("query_images", []))
    document = content(pair.get("document", ""), pair.get("document_images", []))
    return (
        f"<|im_start|>system\n{JUDGE}<|im_end|>\n<|im_start|>user\n<Instruct>: {pair.get('instruction', VL_INSTRUCTION)}"
        f"<Query>:{query}\n<Document>:{document}<|im_end|>\n<|im_start|>assistant\n"
    )


def cut(ids, limit, special):
    """Keeps every special token, and of the others as many as there is room for."""
    if len(ids) <= limit:
        return ids
    room = limit - sum(id_ in special for id_ in ids)
    kept = []
    for id_ in ids:
        if id_ not in special:
            if room <= 0:
                continue
            room -= 1
        kept.append(id_)
    return kept


@torch.no_grad()
def make_qwen3_vl(folder):
    fixture = Fixture(folder)
    for number, (name, size) in enumerate({"landscape.png": (70, 45), "portrait.png": (33, 64)}.items()):
        draw(fixture.pictures / name, *size, seed=71 + number)
    trained = tokenizers.train_qwen()
    tokenizers.save_qwen(trained, fixture.checkpoint)
    model = language.make_qwen3_vl(fixture.checkpoint, trained, seed=75, max_positions=288)
    language.write_vl_processor(fixture.checkpoint, min_pixels=1024, max_pixels=8192)
    tokenizer = AutoTokenizer.from_pretrained(fixture.checkpoint)
    eyes = language.Eyes(AutoImageProcessor.from_pretrained(fixture.checkpoint), model.config.image_token_id, model)
    limit = min(10240, model.config.text_config.max_position_embeddings - KEPT_TOKENS)

    def encode(pair):
        names = pair.get("query_images", []) + pair.get("document_images", [])
        pixels, counts = eyes.read([fixture.picture(name) for name in names])
        ids = eyes.expand(tokenizer.encode(vl_prompt(pair)), counts)
        ids = cut(ids[:-KEPT_TOKENS], limit, set(tokenizer.all_special_ids)) + ids[-KEPT_TOKENS:]
        return eyes.inputs(ids, pixels)

    answer(fixture, model, tokenizer, VL_PAIRS, encode)
