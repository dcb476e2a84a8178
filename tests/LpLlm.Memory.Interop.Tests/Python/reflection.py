"""grpc.reflection.v1 as tools use it: what there is, and a call made with nothing but the server's own descriptors."""
import sys

import grpc
import reflection_pb2 as pb
import reflection_pb2_grpc
import storage_pb2
from common import channel, equal
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

c = channel(sys.argv[1])
Request = pb.ServerReflectionRequest
questions = [
    Request(host="h", list_services=""),
    Request(file_containing_symbol="storage.Storage"),
    Request(file_containing_symbol="storage.Storage.GetServerConfig"),
    Request(file_containing_symbol="lpllm.memory.v1.HelloRequest"),
    Request(file_by_filename="health.proto"),
    Request(file_by_filename="nobody.proto"),
    Request(file_containing_symbol="nobody"),
    Request(file_containing_extension=pb.ExtensionRequest(containing_type="storage.LoadModelRequest", extension_number=100)),
    Request(all_extension_numbers_of_type="storage.LoadModelRequest"),
    Request(all_extension_numbers_of_type="nobody"),
    Request(),
]
answers = list(reflection_pb2_grpc.ServerReflectionStub(c).ServerReflectionInfo(iter(questions)))
equal([a.original_request for a in answers], questions, "each question has its answer, in order")
equal(answers[0].valid_host, "h")
services = [s.name for s in answers[0].list_services_response.service]
equal(services, ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "lpllm.memory.v1.Pool", "storage.Storage"], "services")
equal([a.error_response.error_code for a in answers[1:]],
      [0, 0, 0, 0, *[grpc.StatusCode.NOT_FOUND.value[0]] * 3, 0, grpc.StatusCode.NOT_FOUND.value[0], grpc.StatusCode.INVALID_ARGUMENT.value[0]], "errors")
equal(list(answers[8].all_extension_numbers_response.extension_number), [])

files = [descriptor_pb2.FileDescriptorProto.FromString(f) for a in answers[1:5] for f in a.file_descriptor_response.file_descriptor_proto]
equal([f.name for f in files], ["storage.proto", "storage.proto", "pool.proto", "health.proto"], "files")
ours, theirs = descriptor_pb2.FileDescriptorProto(), files[0]
storage_pb2.DESCRIPTOR.CopyToProto(ours)
equal(theirs, ours, "storage.proto")

pool = descriptor_pool.DescriptorPool()
pool.Add(theirs)
method = pool.FindServiceByName("storage.Storage").FindMethodByName("GetServerConfig")
make = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
call = c.unary_unary(f"/{method.containing_service.full_name}/{method.name}", lambda m: m.SerializeToString(), make(method.output_type).FromString)
equal(call(make(method.input_type)()).chunk_size, 2 << 20, "chunk_size")

# The name it had before it was stable, with the same messages.
old = c.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Request.SerializeToString, pb.ServerReflectionResponse.FromString)
equal([a.list_services_response for a in old(iter(questions[:1]))], [answers[0].list_services_response], "v1alpha")
print("reflection passed")
