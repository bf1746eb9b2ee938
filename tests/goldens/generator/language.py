"""Tiny language models of the published layouts."""

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from .fixture import randomize, save_config, save_weights, write_json
from .tokenizers import QWEN_SPECIAL

DECODER = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
}
PATCH = 8

CHAT_TEMPLATE = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for content in message.content %}
            {%- if content.type == 'image' or 'image' in content %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif 'text' in content %}
                {{- content.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def padded_vocab(tokenizer):
    """Rows of the embedding: a multiple of 32, so that some belong to no token."""
    return (tokenizer.get_vocab_size() // 32 + 1) * 32


def make_qwen3(folder, tokenizer, seed, max_positions, tied, encoder_names):
    """With `encoder_names` the tensors are named as by a model saved without its output matrix."""
    config = Qwen3Config(
        **DECODER, vocab_size=padded_vocab(tokenizer), max_position_embeddings=max_positions, rope_theta=1000000.0,
        tie_word_embeddings=tied, bos_token_id=None, eos_token_id=tokenizer.token_to_id("<|im_end|>"),
    )
    model = randomize(Qwen3ForCausalLM(config), seed)
    rename = (lambda name: name.removeprefix("model.")) if encoder_names else (lambda name: name)
    save_weights(model, folder, rename, drop=["lm_head.weight"] if tied else [])
    save_config(model, folder, "Qwen3ForCausalLM")
    return Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()


def make_qwen3_vl(folder, tokenizer, seed, max_positions):
    ids = {token: tokenizer.token_to_id(token) for token in QWEN_SPECIAL}
    config = Qwen3VLConfig(
        text_config={
            **DECODER, "head_dim": 8, "vocab_size": padded_vocab(tokenizer), "max_position_embeddings": max_positions, "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5000000.0, "mrope_section": [2, 1, 1], "mrope_interleaved": True,
            },
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 28, "num_heads": 2, "patch_size": PATCH, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "out_hidden_size": DECODER["hidden_size"], "num_position_embeddings": 36,
            "deepstack_visual_indexes": [0], "hidden_act": "gelu_pytorch_tanh", "in_channels": 3,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    model = randomize(Qwen3VLForConditionalGeneration(config), seed)
    save_weights(model, folder, drop=["lm_head.weight"])
    save_config(model, folder, "Qwen3VLForConditionalGeneration")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    return Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()


def write_vl_processor(folder, min_pixels, max_pixels):
    settings = {
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "image_std": [0.5, 0.5, 0.5],
        "merge_size": 2,
        "patch_size": PATCH,
        "processor_class": "Qwen3VLProcessor",
        "size": {"longest_edge": max_pixels, "shortest_edge": min_pixels},
        "temporal_patch_size": 2,
    }
    write_json(folder / "preprocessor_config.json", settings)


def last_state(model, inputs):
    """The last token's state after the last norm: [hidden]."""
    return model.model(**inputs).last_hidden_state[0, -1]


class Eyes:
    """What a vision-language prompt needs beside its tokens."""

    def __init__(self, processor, image_token_id, model):
        self.processor = processor
        self.image_token_id = image_token_id
        self.model = model

    def read(self, pictures):
        """Processor outputs of the pictures, and how many tokens each becomes."""
        if not pictures:
            return {}, []
        outputs = self.processor(images=pictures, return_tensors="pt")
        grids = outputs["image_grid_thw"]
        return {"pixel_values": outputs["pixel_values"], "image_grid_thw": grids}, (grids.prod(dim=1) // 4).tolist()

    def expand(self, ids, counts):
        """One placeholder per picture becomes as many as it has tokens."""
        counts = iter(counts)
        return [token for id_ in ids for token in [id_] * (next(counts) if id_ == self.image_token_id else 1)]

    def inputs(self, ids, pixels):
        ids = torch.tensor([ids])
        kinds = (ids == self.image_token_id).int()
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": kinds, **pixels}
