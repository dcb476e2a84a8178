"""What the scripts share: a channel as the original's client makes it, and checks that say what they saw."""
import ast
import mmap
import os
import sys

import grpc
import storage_pb2
import storage_pb2_grpc


def channel(target, *options):
    return grpc.insecure_channel(target, options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1), *options])


def stub(target, *options):
    return storage_pb2_grpc.StorageStub(channel(target, *options))


def equal(actual, expected, what=""):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} instead of {expected!r}")


def refused(call, code, text):
    """The call fails with this status, and its details say something."""
    try:
        reply = call()
    except grpc.RpcError as error:
        equal(error.code(), code, error.details())
        if text not in (error.details() or ""):
            raise AssertionError(f"details {error.details()!r} without {text!r}")
        return error
    raise AssertionError(f"{reply!r} instead of {code}")


def attach(reply):
    """As the original's client: parse the text of the tuple, open its second item, map size_bytes from offset 0."""
    handle = ast.literal_eval(reply.memory_handles[0].decode())
    path = handle[1].decode()
    equal(path, reply.shared_memory_path, "path")
    equal(handle[2], reply.size_bytes, "handle's length")
    equal(reply.start_offset, 0, "start_offset")
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    memory = mmap.mmap(file, reply.size_bytes, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    os.close(file)
    return memory
