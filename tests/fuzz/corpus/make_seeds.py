#!/usr/bin/env python3
"""Writes the seeds of the fuzzers' corpora (seed-*) into its folder. Needs Pillow for the JPEG and WebP pictures, otherwise the standard library.

Usage: tests/fuzz/corpus/make_seeds.py        the result is committed, so this runs only when a seed is added
"""

import io
import json
import pathlib
import struct
import zlib

HERE = pathlib.Path(__file__).parent


def write(name, seed, content):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / f"seed-{seed}").write_bytes(content if isinstance(content, bytes) else content.encode())


def safetensors(header, data=b""):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    def tensor(dtype, shape, begin, end):
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    write("safetensors", "two", safetensors(
        {"__metadata__": {"format": "pt"}, "a.weight": tensor("F32", [2, 3], 0, 24), "b": tensor("BF16", [4], 24, 32)}, bytes(range(32))))
    write("safetensors", "types", safetensors(
        {t: tensor(t, [1], 8 * i, 8 * i + s) for i, (t, s) in enumerate([("F64", 8), ("I64", 8)])}, bytes(16)))
    write("safetensors", "scalar", safetensors({"s": tensor("I32", [], 0, 4), "e": tensor("U8", [0, 5], 4, 4)}, bytes(4)))
    write("safetensors", "empty", safetensors({}))
    write("safetensors", "gap", safetensors({"a": tensor("U8", [4], 4, 8)}, bytes(8)))
    write("safetensors", "huge", safetensors({"a": tensor("F32", [2**62, 2**62], 0, 2**62)}, bytes(8)))
    write("safetensors", "long-header", struct.pack("<Q", 2**63) + b"{}")


def config_seeds():
    decoder = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 128,
               "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2, "head_dim": 16, "vocab_size": 320,
               "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "initializer_range": 0.02, "tie_word_embeddings": True,
               "attention_bias": False, "rope_theta": 1000000.0, "eos_token_id": [2, 3], "bos_token_id": 1}
    write("config", "qwen3", json.dumps(decoder))
    write("config", "qwen2-yarn", json.dumps({
        **decoder, "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "use_sliding_window": True, "sliding_window": 32,
        "max_window_layers": 1, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}}))
    llama = {key: value for key, value in decoder.items() if key not in ("head_dim", "rope_theta")}
    write("config", "llama", json.dumps({
        **llama, "model_type": "llama", "architectures": ["LlamaForCausalLM"], "mlp_bias": False,
        "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                            "original_max_position_embeddings": 64}}))
    text = {**decoder, "model_type": "qwen3_vl_text",
            "rope_scaling": {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True}}
    vision3 = {"model_type": "qwen3_vl", "depth": 3, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 16,
               "temporal_patch_size": 2, "spatial_merge_size": 2, "in_channels": 3, "out_hidden_size": 64, "num_position_embeddings": 16,
               "deepstack_visual_indexes": [0, 1], "hidden_act": "gelu_pytorch_tanh"}
    write("config", "qwen3-vl", json.dumps({"architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "image_token_id": 7,
                                            "vision_start_token_id": 5, "vision_end_token_id": 6, "tie_word_embeddings": True,
                                            "text_config": text, "vision_config": vision3}))
    vision25 = {"depth": 4, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 14, "temporal_patch_size": 2,
                "spatial_merge_size": 2, "in_chans": 3, "out_hidden_size": 64, "window_size": 56, "fullatt_block_indexes": [1, 3],
                "hidden_act": "silu"}
    write("config", "qwen25-vl", json.dumps({**decoder, "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl",
                                             "image_token_id": 7, "vision_start_token_id": 5, "vision_end_token_id": 6,
                                             "rope_scaling": {"type": "mrope", "mrope_section": [4, 2, 2]}, "vision_config": vision25}))
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2, "image_size": 48, "patch_size": 16,
             "layer_norm_eps": 1e-5, "hidden_act": "quick_gelu", "projection_dim": 16, "num_channels": 3}
    words = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 100,
             "max_position_embeddings": 16, "eos_token_id": 2, "layer_norm_eps": 1e-5, "hidden_act": "quick_gelu", "projection_size": 32}
    write("config", "clip", json.dumps({"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 16, "text_config": words,
                                        "vision_config": tower}))
    write("config", "siglip", json.dumps({"architectures": ["SiglipModel"], "model_type": "siglip", "text_config": words,
                                          "vision_config": {**tower, "hidden_act": "gelu_pytorch_tanh"}}))
    write("config", "vit", json.dumps({**tower, "architectures": ["ViTModel"], "model_type": "vit", "hidden_act": "gelu", "qkv_bias": True,
                                       "layer_norm_eps": 1e-12}))
    write("config", "bert", json.dumps({"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 32, "intermediate_size": 64,
                                        "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 100, "max_position_embeddings": 64,
                                        "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}))
    write("config", "processor-clip", json.dumps({"image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"shortest_edge": 48},
                                                  "do_center_crop": True, "crop_size": {"height": 48, "width": 48}, "resample": 3,
                                                  "do_rescale": True, "rescale_factor": 0.00392156862745098, "do_normalize": True,
                                                  "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}))
    write("config", "processor-vl", json.dumps({"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 16, "temporal_patch_size": 2,
                                                "merge_size": 2, "size": {"shortest_edge": 4096, "longest_edge": 65536},
                                                "min_pixels": 1024, "max_pixels": 65536, "image_mean": [0.5, 0.5, 0.5],
                                                "image_std": [0.5, 0.5, 0.5]}))
    write("config", "adapter", json.dumps({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "use_rslora": True,
                                           "fan_in_fan_out": False, "bias": "none", "target_modules": ["q_proj", "v_proj"],
                                           "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3},
                                           "base_model_name_or_path": "../base", "modules_to_save": None, "use_dora": False}))
    write("config", "index", json.dumps({"metadata": {"total_size": 10}, "weight_map": {"a": "model-1.safetensors", "b": "../x"}}))
    write("config", "pooling", json.dumps({"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True, "max_seq_length": 128,
                                           "do_lower_case": False, "prompts": {"query": "query: "}, "default_prompt_name": None}))


def png(width, height, color_type, depth, rows, extra=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def exif(orientation, little):
    order = "<" if little else ">"
    return (b"II" if little else b"MM") + struct.pack(order + "HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def image_seeds():
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    write("image", "rgb.png", png(3, 2, 2, 8, (b"\0" + bytes(range(9))) * 2))
    write("image", "rgba.png", png(2, 2, 6, 8, (b"\1" + bytes(range(8))) * 2))
    write("image", "gray16.png", png(2, 1, 0, 16, b"\0\1\2\3\4"))
    write("image", "bilevel.png", png(9, 1, 0, 1, b"\0\xaa\x80"))
    write("image", "palette.png", png(4, 1, 3, 2, b"\0\x1b", chunk(b"PLTE", bytes(range(12))) + chunk(b"tRNS", b"\x80\0")))
    write("image", "exif.png", png(2, 1, 2, 8, b"\0" + bytes(6), chunk(b"eXIf", exif(6, True))))
    write("image", "huge.png", png(50000, 50000, 2, 8, b""))

    from PIL import Image

    def picture(mode, size=(19, 13)):
        image = Image.new("RGB", size)
        image.putdata([((x * 37) % 256, (x * 91) % 256, (x * 11) % 256) for x in range(size[0] * size[1])])
        return image.convert(mode)

    def encoded(image, **options):
        out = io.BytesIO()
        image.save(out, **options)
        return out.getvalue()

    write("image", "baseline.jpg", encoded(picture("RGB"), format="JPEG", quality=50))
    write("image", "progressive.jpg", encoded(picture("RGB"), format="JPEG", quality=50, progressive=True, subsampling=2))
    write("image", "gray.jpg", encoded(picture("L"), format="JPEG", quality=50))
    write("image", "cmyk.jpg", encoded(picture("CMYK"), format="JPEG", quality=50))
    write("image", "exif.jpg", encoded(picture("RGB"), format="JPEG", quality=30, exif=b"Exif\0\0" + exif(8, False)))
    write("image", "lossy.webp", encoded(picture("RGB"), format="WEBP", quality=40))
    write("image", "lossless.webp", encoded(picture("RGBA"), format="WEBP", lossless=True))
    write("image", "exif.webp", encoded(picture("RGB"), format="WEBP", quality=40, exif=b"Exif\0\0" + exif(3, True)))
    write("image", "animated.webp", encoded(picture("RGB"), format="WEBP", save_all=True, append_images=[picture("L").convert("RGB")]))


def text_seeds():
    for index in range(3):
        write("text", f"encode{index}", bytes([0, index + 3 * (5 + index)]) + "A walnut chair, caf\u00e9 <|im_end|> 12345 \u732b\U0001f600\n".encode())
    write("text", "decode", bytes([1, 0]) + struct.pack("<8I", 1, 200, 250, 255, 299, 300, 301, 2**32 - 1))
    byte_level = {"version": "1.0", "truncation": None, "padding": None,
                  "added_tokens": [{"id": 6, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                                    "special": True}],
                  "normalizer": {"type": "NFC"},
                  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                      {"type": "Split", "pattern": {"Regex": "\\p{N}| ?[^\\s\\p{L}\\p{N}]+|\\s+"}, "behavior": "Isolated", "invert": False},
                      {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]},
                  "post_processor": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
                  "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
                  "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                            "vocab": {"a": 0, "w": 1, "l": 2, "wa": 3, "wal": 4, "\u0120": 5}, "merges": [["w", "a"], ["wa", "l"]]}}
    write("text", "bpe-file", b"\2" + json.dumps(byte_level).encode())
    unigram = {"version": "1.0", "added_tokens": [], "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "NFKD"}]},
               "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True},
               "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                                                           {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                                  "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                                  "special_tokens": {"</s>": {"id": "</s>", "ids": [0], "tokens": ["</s>"]}}},
               "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                                                            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
               "model": {"type": "Unigram", "unk_id": 0, "vocab": [["</s>", 0.0], ["\u2581", -1.0], ["a", -2.5]], "byte_fallback": False}}
    write("text", "unigram-file", b"\2" + json.dumps(unigram).encode())
    write("text", "template", b"\3" + (
        "{%- if messages[0].role == 'system' %}{{ '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}"
        "{%- for message in messages %}{%- if message.content is string %}{%- set content = message.content %}"
        "{%- else %}{%- set content = '' %}{%- endif %}{{- '<|im_start|>' + message.role + '\\n' + content.split('</think>')[-1].lstrip('\\n') }}"
        "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}").encode())
    write("text", "template-macro", b"\3" + (
        "{% macro part(x) %}[{{ x | tojson }}]{% endmacro %}{% set ns = namespace(n=0) %}{% for m in messages[::-1] %}{% set ns.n = ns.n + 1 %}"
        "{{ part(m) }}{{ loop.index0 }}{% endfor %}{{ ns.n }}{{ raise_exception('no') if ns.n > 9 }}").encode() +
        b'\0{"messages":[{"role":"user","content":"x"}],"tools":[{"name":"f"}]}')


if __name__ == "__main__":
    safetensors_seeds()
    config_seeds()
    image_seeds()
    text_seeds()
