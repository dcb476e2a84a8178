"""All twelve calls of the original's contract, as its client makes them."""
import concurrent.futures
import sys

import grpc
import health_pb2
import health_pb2_grpc
import storage_pb2 as pb
from common import attach, channel, equal, refused, stub

target = sys.argv[1]
s = stub(target)
CHUNK = 2 << 20

config = s.GetServerConfig(pb.GetServerConfigRequest())
equal((config.mem_pool_size, config.chunk_size), (128 << 20, CHUNK), "config")

# AllocatePoolMemory: S1 (works at all), S2 (0 is a quarter), S4 (same again), S6 (negative), S8 (handle).
lease = s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(client_id="py", device_id=0, size_mb=10))
equal((lease.client_id, lease.size_mb, lease.size_bytes, lease.memory_ptr), ("py", 10, 10 << 20, 0), "lease")
equal(s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(client_id="py", size_mb=10)), lease, "the same lease again")
quarter = s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(client_id="quarter"))
equal(quarter.size_mb, 32, "a quarter")
refused(lambda: s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(client_id="py2", size_mb=-1)), grpc.StatusCode.INVALID_ARGUMENT, "size_mb is -1")
refused(lambda: s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(size_mb=1)), grpc.StatusCode.INVALID_ARGUMENT, "client_id")
refused(lambda: s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(client_id="py2", size_mb=120)), grpc.StatusCode.RESOURCE_EXHAUSTED, str(120 << 20))
refused(lambda: s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(client_id="py2", size_mb=2**31 - 1)), grpc.StatusCode.RESOURCE_EXHAUSTED, "CapacityBytes")

# The memory is shared: what is written here is read there, and the other way round.
memory = attach(lease)
equal(memory[:16], bytes(16), "zeroed")
allocation = s.AllocateFromPool(pb.AllocateFromPoolRequest(client_id="py", size_kb=4096))
equal((allocation.success, list(allocation.chunk_indices), allocation.chunk_size), (True, [0, 1], CHUNK), "chunks")
memory[CHUNK - 3:CHUNK + 4] = b"written"
equal(s.CopyFromPool(pb.CopyFromPoolRequest(client_id="py", allocation_id=allocation.allocation_id, chunk_offset=CHUNK - 3, size=7)).data, b"written", "CopyFromPool")
equal(s.CopyToPool(pb.CopyToPoolRequest(client_id="py", allocation_id=allocation.allocation_id, chunk_offset=CHUNK - 2, data=b"copied")).success, True, "CopyToPool")
equal(memory[CHUNK - 3:CHUNK + 5], b"wcopied\0", "CopyToPool's bytes")
whole = bytes(range(256)) * (CHUNK // 256)
s.CopyToPool(pb.CopyToPoolRequest(client_id="py", allocation_id=allocation.allocation_id, data=whole))
equal(memory[:CHUNK] == whole, True, "a whole chunk")
refused(lambda: s.CopyFromPool(pb.CopyFromPoolRequest(client_id="py", allocation_id=allocation.allocation_id, chunk_offset=2 * CHUNK - 1, size=2)),
        grpc.StatusCode.OUT_OF_RANGE, "chunk_offset")
refused(lambda: s.CopyToPool(pb.CopyToPoolRequest(client_id="py", allocation_id=99, data=b"x")), grpc.StatusCode.NOT_FOUND, "99")

# FreeFromPool and FreePoolMemory: true, then false.
equal(s.AllocateFromPool(pb.AllocateFromPoolRequest(client_id="py", size_kb=8192)).success, False, "too many chunks")
equal(s.FreeFromPool(pb.FreeFromPoolRequest(client_id="py", allocation_id=allocation.allocation_id)).success, True, "FreeFromPool")
again = s.FreeFromPool(pb.FreeFromPoolRequest(client_id="py", allocation_id=allocation.allocation_id))
equal((again.success, again.error_message != ""), (False, True), "FreeFromPool again")
memory.close()
for expected in (True, False):
    equal(s.FreePoolMemory(pb.FreePoolMemoryRequest(client_id="py")).success, expected, "FreePoolMemory")
equal(s.FreePoolMemory(pb.FreePoolMemoryRequest(client_id="quarter")).success, True, "FreePoolMemory")

# The calls of models.
for call, request in (
    (s.RegisterModel, pb.RegisterModelRequest(model_path="m")),
    (s.LoadModelAsync, pb.LoadModelRequest(model_path="m", target_device_type=pb.DEVICE_TYPE_CPU)),
    (s.ConfirmModel, pb.ConfirmModelRequest(model_path="m")),
    (s.UnloadModel, pb.UnloadModelRequest(model_path="m")),
    (s.ClearMem, pb.ClearMemRequest()),
):
    refused(lambda: call(request), grpc.StatusCode.UNIMPLEMENTED, "model store")

# Deadlines: one that passes while the server works on the call (a watch without end), and one that does not.
health = health_pb2_grpc.HealthStub(channel(target))
refused(lambda: list(health.Watch(health_pb2.HealthCheckRequest(), timeout=0.2)), grpc.StatusCode.DEADLINE_EXCEEDED, "")
s.GetServerConfig(pb.GetServerConfigRequest(), timeout=30)

# Unknown method; compressed request.
unknown = channel(target).unary_unary("/storage.Storage/Nothing", request_serializer=bytes, response_deserializer=bytes)
refused(lambda: unknown(b""), grpc.StatusCode.UNIMPLEMENTED, "/storage.Storage/Nothing")
packed = stub(target, ("grpc.default_compression_algorithm", grpc.Compression.Gzip))
refused(lambda: packed.FreePoolMemory(pb.FreePoolMemoryRequest(client_id="x" * 5000)), grpc.StatusCode.UNIMPLEMENTED, "")


def one(number):
    """A whole life of a client, beside 31 others on the same channel."""
    name = f"client-{number}"
    reply = s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(client_id=name, size_mb=2))
    chunk = s.AllocateFromPool(pb.AllocateFromPoolRequest(client_id=name, size_kb=1))
    s.CopyToPool(pb.CopyToPoolRequest(client_id=name, allocation_id=chunk.allocation_id, data=name.encode()))
    mapped = attach(reply)
    equal(mapped[:len(name)], name.encode(), name)
    mapped.close()
    equal(s.FreePoolMemory(pb.FreePoolMemoryRequest(client_id=name)).success, True, name)


with concurrent.futures.ThreadPoolExecutor(32) as pool:
    list(pool.map(one, range(32)))

print("all calls passed")
