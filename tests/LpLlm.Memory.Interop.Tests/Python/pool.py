"""Our own contract from another language: hello, a lease by its path, its bytes, and errors with their data."""
import mmap
import os
import sys

import grpc
import pool_pb2 as pb
import pool_pb2_grpc
from common import channel, equal, refused

s = pool_pb2_grpc.PoolStub(channel(sys.argv[1]))
hello = s.Hello(pb.HelloRequest(min_version=1, max_version=1, client_name="python"))
request = pb.AcquireRequest(session=hello.session, request_id=os.urandom(16), length_bytes=4 << 20, name="from python")
lease = s.Acquire(request).lease
equal(sum(segment.length_bytes for segment in lease.segments), 4 << 20, "length")
for segment in lease.segments:
    file = os.open(segment.path, os.O_RDWR)
    with mmap.mmap(file, segment.length_bytes) as memory:
        equal(memory[:8], bytes(8), "zeroed")
        memory[:4] = b"test"
    os.close(file)
error = refused(
    lambda: s.Acquire(pb.AcquireRequest(session=hello.session, request_id=os.urandom(16), length_bytes=1 << 40)), grpc.StatusCode.RESOURCE_EXHAUSTED, "CapacityBytes")
data = pb.ErrorData.FromString(dict(error.trailing_metadata())["lpllm-error-bin"])
equal((data.cause, data.limit_name, data.requested_bytes), ("Limit", "CapacityBytes", 1 << 40), "data")
waiting = pb.AcquireRequest(session=hello.session, request_id=os.urandom(16), length_bytes=126 << 20, timeout_ms=60000)
refused(lambda: s.Acquire(waiting, timeout=0.3), grpc.StatusCode.DEADLINE_EXCEEDED, "")
equal(s.Statistics(pb.StatisticsRequest(session=hello.session)).leases, 1, "leases after the deadline")
watch = s.Watch(pb.WatchRequest(session=hello.session))
s.Renew(pb.RenewRequest(session=hello.session))
watch.cancel()
s.Release(pb.ReleaseRequest(session=hello.session, lease_id=lease.id))
refused(lambda: s.Release(pb.ReleaseRequest(session=hello.session, lease_id=lease.id)), grpc.StatusCode.NOT_FOUND, "")
print("pool passed")
