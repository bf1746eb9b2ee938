"""The peer of the embedding benchmarks: runs transformers and OpenVINO on the token ids that the benchmark wrote.

Reads one JSON request per line and writes one JSON line per response; a function handles the request of its name. Started by
bench/embedding/peer.cc.
"""

import json
import os
import sys
import time
import warnings

import numpy as np
import safetensors.numpy
import torch

THREADS = int(os.environ["PALATE_BENCH_THREADS"])
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

warnings.filterwarnings("ignore")
torch.set_num_threads(THREADS)
engines = {}  # by name: a function from the index of a batch to its vectors


def hugging_face():
    """The transformers module, without its progress bars."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return transformers


def padded_batches(path):
    """Batches of ids padded to their longest text, with their masks."""
    file = safetensors.numpy.load_file(path)
    ids, lengths, sizes = file["ids"], file["lengths"], file["batches"]
    batches, start, text = [], 0, 0
    for size in sizes:
        rows = lengths[text : text + size]
        padded = np.zeros((size, rows.max()), dtype=np.int64)
        mask = np.zeros_like(padded)
        for i, length in enumerate(rows):
            padded[i, :length] = ids[start : start + length]
            mask[i, :length] = 1
            start += length
        batches.append((torch.from_numpy(padded), torch.from_numpy(mask)))
        text += size
    return batches


class MeanPooled(torch.nn.Module):
    """What sentence-transformers adds to a BERT: the mean over the tokens, of unit length."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state.float()
        weights = attention_mask.unsqueeze(-1).float()
        return torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=1)


def load_encoder(request):
    """A sentence encoder in one of the libraries."""
    batches = padded_batches(request["ids"])
    dtype = request["dtype"]
    # OpenVINO converts the float32 model and narrows it itself.
    stored = torch.float32 if request["library"] == "openvino" else DTYPES[dtype]
    model = hugging_face().AutoModel.from_pretrained(
        request["folder"], dtype=stored, attn_implementation="sdpa", add_pooling_layer=False
    )
    model = MeanPooled(model.eval()).eval()
    if request["library"] == "transformers":
        engines[request["name"]] = lambda i: model(*batches[i]).numpy()
    else:
        engines[request["name"]] = openvino_engine(model, batches, dtype)
    return {}


def openvino_engine(model, batches, dtype):
    import openvino

    with torch.no_grad():
        example = {"input_ids": batches[0][0], "attention_mask": batches[0][1]}
        converted = openvino.convert_model(model, example_input=example, input=[("input_ids", [-1, -1]), ("attention_mask", [-1, -1])])
    compiled = openvino.compile_model(
        converted,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": THREADS,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32" if dtype == "fp32" else dtype,
        },
    )
    call = compiled.create_infer_request()
    arrays = [(ids.numpy(), mask.numpy()) for ids, mask in batches]
    return lambda i: next(iter(call.infer({"input_ids": arrays[i][0], "attention_mask": arrays[i][1]}).values()))


def load_decoder(request):
    """A decoder whose vector is the state of the last token; its batches need no padding."""
    batches = padded_batches(request["ids"])
    dtype = DTYPES[request["dtype"]]
    model = hugging_face().AutoModel.from_pretrained(request["folder"], dtype=dtype, attn_implementation="sdpa").eval()
    engines[request["name"]] = lambda i: model(input_ids=batches[i][0], use_cache=False).last_hidden_state[:, -1].float().numpy()
    return {}


def save_random(request):
    """Writes a checkpoint of this config with random weights in bfloat16, and a picture of the given size."""
    from PIL import Image

    config = hugging_face().AutoConfig.for_model(**request["config"])
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        model = hugging_face().AutoModelForImageTextToText.from_config(config)
    finally:
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(request["folder"])
    side = request["picture"]
    wave = np.sin(np.arange(side * side * 3).reshape(side, side, 3) / 977.0)
    Image.fromarray(((wave + 1) * 127).astype(np.uint8)).save(os.path.join(request["folder"], "picture.jpg"), quality=90)
    return {}


def run(request):
    """Seconds of one batch."""
    start = time.perf_counter()
    engines[request["name"]](request["batch"])
    return {"seconds": time.perf_counter() - start}


def vectors(request):
    """Writes the vectors of all batches, one after the other."""
    rows = [np.array(engines[request["name"]](i)) for i in range(request["batches"])]
    safetensors.numpy.save_file({"vectors": np.concatenate(rows).astype(np.float32)}, request["path"])
    return {}


def versions(_):
    import openvino
    import transformers

    return {"torch": torch.__version__, "transformers": transformers.__version__, "openvino": openvino.__version__}


REQUESTS = {f.__name__: f for f in (load_encoder, load_decoder, save_random, run, vectors, versions)}


def main():
    # Libraries print to stdout at will; answers go to the file descriptor that it was.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with torch.inference_mode():
                answer = REQUESTS[request.pop("request")](request)
        except Exception as error:  # pylint: disable=broad-except
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
