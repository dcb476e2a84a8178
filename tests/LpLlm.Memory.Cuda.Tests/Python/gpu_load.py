"""The original's client against a running daemon, on a machine with a GPU and without grpcio-tools: the messages of storage.proto are written by hand.

Allocates device memory with CuPy or PyTorch, sends its IPC handle, has a model loaded into it, and compares every byte with the files.
Arguments: target, storage path, model, and the library ("cupy" or "torch").
"""
import ctypes
import glob
import json
import os
import sys
import time
import uuid

import grpc

CPU, GPU = 1, 2
TIMEOUT = 60


# Protocol buffers: a message is a list of (number, value); text and bytes have a length, the rest are varints.
def varint(number):
    out = bytearray()
    while True:
        out.append((number & 0x7F) | (0x80 if number > 0x7F else 0))
        number >>= 7
        if number == 0:
            return bytes(out)


def message(*fields):
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else bytes(value)
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return bytes(out)


def parse(data):
    fields, at = {}, 0

    def read():
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while at < len(data):
        key = read()
        if key & 7 == 0:
            fields[key >> 3] = read()
        else:
            length = read()
            fields[key >> 3] = data[at:at + length]
            at += length
    return fields


class Storage:
    def __init__(self, target):
        self.channel = grpc.insecure_channel(target)

    def call(self, name, *fields):
        method = self.channel.unary_unary(f"/storage.Storage/{name}")
        return parse(method(message(*fields), timeout=TIMEOUT))

    def load_gpu(self, model, replica, chunks, handles):
        """chunks: uuid -> [(src, size, dst, handle)]; handles: uuid -> [64 bytes]."""
        maps = []
        for key, tuples in chunks.items():
            listed = message(*((1, message((1, s), (2, n), (3, d), (4, h))) for s, n, d, h in tuples))
            maps.append((3, message((1, key), (2, listed))))
        for key, each in handles.items():
            maps.append((4, message((1, key), (2, message(*((1, message((1, handle))) for handle in each))))))
        self.call("LoadModelAsync", (1, model), (2, replica), *maps, (5, GPU))


class Driver:
    """What neither library gives: the handle and the base of an allocation, and the device's UUID."""

    def __init__(self):
        self.cuda = ctypes.CDLL("libcuda.so.1")

    def check(self, name, *arguments):
        result = getattr(self.cuda, name)(*arguments)
        if result != 0:
            raise RuntimeError(f"{name} failed with {result}")

    def uuid(self):
        device, raw = ctypes.c_int(), ctypes.create_string_buffer(16)
        self.check("cuCtxGetDevice", ctypes.byref(device))
        self.check("cuDeviceGetUuid", raw, device)
        return str(uuid.UUID(bytes=raw.raw))

    def export(self, pointer):
        """The handle is the allocation's, so what is sent along counts from its base."""
        base, size, handle = ctypes.c_uint64(), ctypes.c_size_t(), ctypes.create_string_buffer(64)
        self.check("cuMemGetAddressRange_v2", ctypes.byref(base), ctypes.byref(size), ctypes.c_uint64(pointer))
        self.check("cuIpcGetMemHandle", handle, base)
        return handle.raw, pointer - base.value


class Cupy:
    def __init__(self, size):
        import cupy
        self.array = cupy.full(size, 0xFF, dtype=cupy.uint8)
        self.pointer = self.array.data.ptr
        cupy.cuda.runtime.deviceSynchronize()

    def clear(self):
        import cupy
        self.array.fill(0xFF)
        cupy.cuda.runtime.deviceSynchronize()

    def bytes(self):
        return self.array.get().tobytes()


class Torch:
    def __init__(self, size):
        import torch
        self.tensor = torch.full((size,), 0xFF, dtype=torch.uint8, device="cuda")
        self.pointer = self.tensor.data_ptr()
        torch.cuda.synchronize()

    def clear(self):
        import torch
        self.tensor.fill_(0xFF)
        torch.cuda.synchronize()

    def bytes(self):
        return self.tensor.cpu().numpy().tobytes()


def equal(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} instead of {expected!r}"[:500])


def refused(call, *codes):
    started = time.monotonic()
    try:
        call()
    except grpc.RpcError as error:
        if error.code() not in codes or not error.details():
            raise AssertionError(f"{error.code()} with details {error.details()!r} instead of {codes}") from error
        if time.monotonic() - started > 10:
            raise AssertionError("The refusal took longer than 10 s.") from error
        return
    raise AssertionError(f"OK instead of {codes}")


def main(target, storage_path, model, library):
    folder = os.path.join(storage_path, model)
    parts = sorted(glob.glob(os.path.join(folder, "tensor.data_*")), key=lambda path: int(path.rsplit("_", 1)[1]))
    data = b"".join(open(path, "rb").read() for path in parts)
    with open(os.path.join(folder, "tensor_index.json"), encoding="utf-8") as file:
        index = json.load(file)

    # As the original packs: back to back in the index's order, each record once.
    chunks, places, end = [], {}, 0
    for name, (offset, size, *_) in index.items():
        if (offset, size) not in places:
            places[(offset, size)] = end
            chunks.append((offset, size, end, 0))
            end += size

    memory = {"cupy": Cupy, "torch": Torch}[library](end)
    driver = Driver()
    handle, shift = driver.export(memory.pointer)
    device = driver.uuid()
    chunks = [(source, size, target_offset + shift, h) for source, size, target_offset, h in chunks]
    storage = Storage(target)

    def check(what):
        got = memory.bytes()
        for (offset, size), place in places.items():
            if got[place:place + size] != data[offset:offset + size]:
                raise AssertionError(f"{what}: the record at {offset} is not what the file has")

    equal(storage.call("RegisterModel", (1, model))[2], len(data), "model_size")

    storage.call("LoadModelAsync", (1, model), (5, CPU))
    storage.load_gpu(model, "first", {device: chunks}, {device: [handle]})
    storage.call("ConfirmModel", (1, model), (2, "first"), (3, GPU))
    check("loaded from host memory")

    # Without a load into host memory before (U4), and into the same device memory again.
    memory.clear()
    storage.call("UnloadModel", (1, model), (3, CPU))
    storage.load_gpu(model, "second", {device: chunks}, {device: [handle]})
    storage.call("ConfirmModel", (1, model), (2, "second"), (3, GPU))
    check("loaded from disk")

    # What is wrong is this client's error, at once, and the daemon goes on (U1, U3, U7).
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    size = len(data)
    refused(lambda: storage.load_gpu(model, "a", {device: [(0, 1, 0, 0)]}, {device: [bytes(64)]}), invalid)
    refused(lambda: storage.load_gpu(model, "b", {device: [(0, 1, 0, 0)]}, {device: [handle[:63]]}), invalid)
    refused(lambda: storage.load_gpu(model, "c", {device: [(size, 1, 0, 0)]}, {device: [handle]}), invalid)
    refused(lambda: storage.load_gpu(model, "d", {device: [(0, 1, 1 << 60, 0)]}, {device: [handle]}), invalid)
    refused(lambda: storage.load_gpu(model, "e", {device: [(0, 1, 0, 1)]}, {device: [handle]}), invalid)
    refused(lambda: storage.load_gpu(model, "f", {"feedface": [(0, 1, 0, 0)]}, {"feedface": [handle]}), invalid)
    refused(lambda: storage.load_gpu(model, "g", {device: [(0, 1, 0, 0)]}, {}), invalid)
    refused(lambda: storage.call("ConfirmModel", (1, model), (2, "never begun"), (3, GPU)), grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL)

    memory.clear()
    started = time.monotonic()
    storage.load_gpu(model, "third", {device: chunks}, {device: [handle]})
    storage.call("ConfirmModel", (1, model), (2, "third"), (3, GPU))
    elapsed = time.monotonic() - started
    check("loaded after refusals")
    storage.call("UnloadModel", (1, model), (3, CPU))
    storage.call("ClearMem")
    print(f"ok {library}: {end} B in {len(places)} records, {elapsed * 1000:.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
