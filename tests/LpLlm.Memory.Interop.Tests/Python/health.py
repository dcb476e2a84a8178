"""grpc.health.v1.Health as tools use it: Check, and Watch until the server stops taking connections."""
import sys

import grpc
import health_pb2 as pb
import health_pb2_grpc
from common import channel, equal, refused

s = health_pb2_grpc.HealthStub(channel(sys.argv[1]))
for service in ("", "storage.Storage", "lpllm.memory.v1.Pool"):
    equal(s.Check(pb.HealthCheckRequest(service=service)).status, pb.HealthCheckResponse.SERVING, service)
refused(lambda: s.Check(pb.HealthCheckRequest(service="nobody")), grpc.StatusCode.NOT_FOUND, "nobody")
equal(next(iter(s.Watch(pb.HealthCheckRequest(service="nobody")))).status, pb.HealthCheckResponse.SERVICE_UNKNOWN, "unknown")
for change in s.Watch(pb.HealthCheckRequest()):
    print(pb.HealthCheckResponse.ServingStatus.Name(change.status), flush=True)
    if change.status == pb.HealthCheckResponse.NOT_SERVING:
        break
