"""The original's calls for models, as its client makes them: a whole life of one model, and the errors, while other clients do the same."""
import sys

import grpc
import storage_pb2 as pb
from common import equal, refused, stub

target, model, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
rounds = int(sys.argv[4])
s = stub(target)
CPU, GPU, DISK = pb.DEVICE_TYPE_CPU, pb.DEVICE_TYPE_GPU, pb.DEVICE_TYPE_DISK


def load(path, device=CPU, replica=""):
    return lambda: s.LoadModelAsync(pb.LoadModelRequest(model_path=path, target_device_type=device, replica_uuid=replica), timeout=30)


def confirm(path, device=CPU, replica=""):
    return lambda: s.ConfirmModel(pb.ConfirmModelRequest(model_path=path, target_device_type=device, replica_uuid=replica), timeout=30)


def unload(path, device=CPU):
    return lambda: s.UnloadModel(pb.UnloadModelRequest(model_path=path, target_device_type=device), timeout=30)


def register(path):
    return lambda: s.RegisterModel(pb.RegisterModelRequest(model_path=path), timeout=30)


config = s.GetServerConfig(pb.GetServerConfigRequest(), timeout=30)
equal((config.mem_pool_size, config.chunk_size), (64 << 20, 2 << 20), "config")

code = grpc.StatusCode
refused(register(""), code.INVALID_ARGUMENT, "model_path")
refused(register("nothing"), code.INTERNAL, "nothing")
refused(register("../" + model), code.INVALID_ARGUMENT, "refused")
refused(register("/etc"), code.INVALID_ARGUMENT, "absolute")
refused(load(""), code.INVALID_ARGUMENT, "model_path")
refused(load("nothing"), code.INTERNAL, "nothing")
refused(load(model, DISK), code.UNIMPLEMENTED, "target_device_type")
refused(load(model, GPU), code.INVALID_ARGUMENT, "replica_uuid")
refused(load(model, GPU, "r"), code.FAILED_PRECONDITION, "")
refused(confirm(model, GPU, "r"), code.FAILED_PRECONDITION, "no devices")
refused(confirm("never-loaded"), code.INTERNAL, "never-loaded")
refused(confirm(model, DISK), code.UNIMPLEMENTED, "target_device_type")
refused(unload(""), code.INVALID_ARGUMENT, "model_path")
refused(unload("never-loaded"), code.INTERNAL, "never-loaded")
refused(unload(model, GPU), code.UNIMPLEMENTED, "target_device_type")

for _ in range(rounds):
    reply = register(model)()
    equal((reply.model_path, reply.model_size), (model, size), "register")
    equal(load(model)().model_path, model, "load")
    equal(load(model)().model_path, model, "load again")
    # Another client's ClearMem, or its eviction, may come in between: then this is an error, and never a wait.
    try:
        equal(confirm(model)().code, 0, "confirm")
        unload(model)()
    except grpc.RpcError as error:
        equal(error.code(), code.INTERNAL, error.details())
        if len(sys.argv) > 5:
            raise
    s.ClearMem(pb.ClearMemRequest(), timeout=30)

print("models passed")
