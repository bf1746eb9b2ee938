#!/usr/bin/env python3
"""Converts a PyTorch state dict to safetensors without running the pickle in it.

    scripts/state_dict_to_safetensors.py STATE_DICT.pth MODEL.safetensors

Reads the format that torch.save wrote before PyTorch 1.6: five pickles (magic number, version, system, tensors, storage keys), then each
storage. A pickle is a program that may call any function. This script takes it apart with pickletools, which runs nothing, and follows
only the few operations that a plain state dict consists of: float32 and int64 tensors, each the whole of its own storage. Anything else is
refused. Needs only Python's own library. The result depends on nothing but the tensors.
"""

import collections
import io
import json
import math
import os
import pickletools
import struct
import sys

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
MAX_DIMENSIONS = 8

Global = collections.namedtuple("Global", "name")
Storage = collections.namedtuple("Storage", "key type numel")
Tensor = collections.namedtuple("Tensor", "storage shape strides")
Type = collections.namedtuple("Type", "name bytes code")  # the name of safetensors, the code of memoryview.cast

TYPES = {"torch FloatStorage": Type("F32", 4, "I"), "torch LongStorage": Type("I64", 8, "Q")}
ORDERED_DICT = Global("collections OrderedDict")
REBUILD_TENSOR = Global("torch._utils _rebuild_tensor_v2")
GLOBALS = {ORDERED_DICT.name, REBUILD_TENSOR.name, *TYPES}

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
NUMBERS_AND_TEXTS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
MARK = object()


class Refused(Exception):
    """The file is not a plain state dict."""


def demand(condition, text):
    if not condition:
        raise Refused(text)


def is_count(value):
    return type(value) is int and value >= 0


def to_storage(value):
    """A persistent id: ("storage", type, key, device, numel, None)."""
    demand(type(value) is tuple and len(value) == 6 and value[0] == "storage", "a persistent id that is not a storage")
    _, kind, key, device, numel, view = value
    demand(type(kind) is Global and kind.name in TYPES, "a storage without a supported type")
    demand(type(key) is str and type(device) is str and is_count(numel) and view is None, "a storage with unexpected values")
    return Storage(key, TYPES[kind.name], numel)


def is_permuted(shape, strides):
    """Whether the elements lie side by side, in any order of the dimensions."""
    expected = 1
    for stride, size in sorted((stride, size) for stride, size in zip(strides, shape) if size != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def to_tensor(arguments):
    """The arguments of _rebuild_tensor_v2: (storage, offset, shape, strides, requires_grad, hooks)."""
    demand(len(arguments) == 6, "a tensor with another number of values than 6")
    storage, offset, shape, strides, requires_grad, hooks = arguments
    demand(type(storage) is Storage and offset == 0, "a tensor that does not begin at the begin of a storage")
    for values in (shape, strides):
        demand(type(values) is tuple and len(values) <= MAX_DIMENSIONS and all(map(is_count, values)), "a tensor with unexpected sizes")
    demand(len(shape) == len(strides) and math.prod(shape) == storage.numel > 0, "a tensor of another size than its storage")
    demand(type(requires_grad) is bool and hooks == {}, "a tensor with hooks")
    demand(is_permuted(shape, strides), "a tensor that repeats or skips elements")
    return Tensor(storage, shape, strides)


class Reader:
    """Follows one pickle after the other. Values are None, bool, int, str, tuple, list, dict, Global, Storage and Tensor."""

    def __init__(self, file):
        self.file = file
        self.stack = []
        self.memo = {}

    def read(self):
        """The value of the next pickle."""
        self.stack = []
        self.memo = {}
        for operation, argument, _ in pickletools.genops(self.file):
            if operation.name == "STOP":
                demand(len(self.stack) == 1, "a pickle that leaves more or less than one value")
                return self.pop()
            self.follow(operation.name, argument)
        raise Refused("a pickle without an end")

    def pop(self, kind=object):
        demand(self.stack and self.stack[-1] is not MARK and isinstance(self.stack[-1], kind), "an operation without its operand")
        return self.stack.pop()

    def pop_to_mark(self):
        values = []
        while self.stack and self.stack[-1] is not MARK:
            values.append(self.stack.pop())
        demand(self.stack, "an operation without its mark")
        self.stack.pop()
        return values[::-1]

    def set_items(self, items):
        demand(len(items) % 2 == 0, "a dictionary with a key but no value")
        target = self.pop(dict)
        for key, value in zip(items[::2], items[1::2]):
            demand(type(key) is str, "a dictionary with a key that is no text")
            demand(key not in target, f"a dictionary with the key {key!r} twice")
            target[key] = value
        self.stack.append(target)

    def call(self):
        arguments = self.pop(tuple)
        function = self.pop(Global)
        if function == ORDERED_DICT and arguments == ():
            return {}
        demand(function == REBUILD_TENSOR, f"a call of {function.name!r}")
        return to_tensor(arguments)

    def follow(self, name, argument):
        if name == "PROTO":
            demand(argument == 2, f"pickle protocol {argument}")
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in NUMBERS_AND_TEXTS:
            self.stack.append(argument)
        elif name == "EMPTY_DICT":
            self.stack.append({})
        elif name == "EMPTY_LIST":
            self.stack.append([])
        elif name == "EMPTY_TUPLE":
            self.stack.append(())
        elif name == "MARK":
            self.stack.append(MARK)
        elif name == "TUPLE":
            self.stack.append(tuple(self.pop_to_mark()))
        elif name in TUPLES:
            values = [self.pop() for _ in range(TUPLES[name])]
            self.stack.append(tuple(reversed(values)))
        elif name == "APPENDS":
            values = self.pop_to_mark()
            target = self.pop(list)
            target.extend(values)
            self.stack.append(target)
        elif name == "SETITEM":
            value, key = self.pop(), self.pop()
            self.set_items([key, value])
        elif name == "SETITEMS":
            self.set_items(self.pop_to_mark())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.stack.append(self.pop())
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            demand(argument in self.memo, "a reference to nothing")
            self.stack.append(self.memo[argument])
        elif name == "GLOBAL":
            demand(argument in GLOBALS, f"the name {argument!r}, which no state dict of plain tensors has")
            self.stack.append(Global(argument))
        elif name == "BINPERSID":
            self.stack.append(to_storage(self.pop()))
        elif name == "REDUCE":
            self.stack.append(self.call())
        elif name == "BUILD":
            # PyTorch attaches the versions of the modules as an attribute.
            attributes = self.pop(dict)
            demand(set(attributes) <= {"_metadata"}, "an object with unexpected attributes")
            self.stack.append(self.pop(dict))
        else:
            raise Refused(f"the pickle operation {name}, which no state dict of plain tensors has")


def read_tensors(content):
    """Names to tensors, and storage keys to their bytes."""
    file = io.BytesIO(content)
    reader = Reader(file)
    demand(reader.read() == MAGIC_NUMBER and reader.read() == PROTOCOL_VERSION, "no state dict of PyTorch before 1.6")
    system = reader.read()
    demand(type(system) is dict and system.get("little_endian") is True, "a state dict that is not little-endian")
    tensors = reader.read()
    demand(type(tensors) is dict and tensors, "no dictionary of tensors")
    storages = {}
    for name, tensor in tensors.items():
        demand(name.isascii() and name != "__metadata__", f"a tensor of the name {name!r}")
        demand(type(tensor) is Tensor, f"{name!r}, which is no tensor")
        demand(tensor.storage.key not in storages, f"{name!r}, which shares its storage with another tensor")
        storages[tensor.storage.key] = tensor.storage
    keys = reader.read()
    demand(type(keys) is list and all(type(key) is str for key in keys), "no list of storages")
    demand(sorted(keys) == sorted(storages), "other storages than the tensors name")

    data = {}
    view = memoryview(content)
    position = file.tell()
    for key in keys:
        begin = position + 8
        position = begin + storages[key].numel * storages[key].type.bytes
        demand(position <= len(content), "a file that ends before its last storage")
        demand(struct.unpack("<q", view[begin - 8 : begin])[0] == storages[key].numel, "a storage of another size than declared")
        data[key] = view[begin:position]
    demand(position == len(content), "bytes behind the last storage")
    return tensors, data


def rows(elements, offset, dimensions):
    """The bytes of a tensor in the order of its dimensions, (size, stride) each, the last of them varying fastest."""
    if len(dimensions) < 2:
        size, stride = dimensions[0] if dimensions else (1, 1)
        yield elements[offset : offset + size * stride : stride].tobytes()
        return
    (size, stride), *inner = dimensions
    for index in range(size):
        yield from rows(elements, offset + index * stride, inner)


def write_safetensors(tensors, data, path):
    # Wider elements first, so that each tensor is aligned to its own.
    order = sorted(tensors.items(), key=lambda item: (-item[1].storage.type.bytes, item[0]))
    header = {}
    pieces = []
    position = 0
    for name, tensor in order:
        elements = data[tensor.storage.key].cast(tensor.storage.type.code)
        dimensions = [each for each in zip(tensor.shape, tensor.strides) if each[0] != 1]
        piece = b"".join(rows(elements, 0, dimensions))
        header[name] = {"dtype": tensor.storage.type.name, "shape": tensor.shape, "data_offsets": [position, position + len(piece)]}
        pieces.append(piece)
        position += len(piece)

    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(pieces)
    os.replace(path + ".part", path)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: scripts/state_dict_to_safetensors.py STATE_DICT.pth MODEL.safetensors")
    try:
        with open(sys.argv[1], "rb") as file:
            content = file.read()
        tensors, data = read_tensors(content)
        write_safetensors(tensors, data, sys.argv[2])
    except OSError as error:
        sys.exit(f"error: {error}")
    except Refused as error:
        sys.exit(f"error: {sys.argv[1]}: refused: it has {error}")
    except ValueError as error:  # of pickletools, for bytes that are no pickle
        sys.exit(f"error: {sys.argv[1]}: refused: {error}")


if __name__ == "__main__":
    main()
