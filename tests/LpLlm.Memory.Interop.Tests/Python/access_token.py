"""An access token, right, wrong and missing."""
import sys

import grpc
import storage_pb2 as pb
from common import refused, stub

s = stub(sys.argv[1])
request = pb.GetServerConfigRequest()
s.GetServerConfig(request, metadata=[("authorization", f"Bearer {sys.argv[2]}")])
for metadata in ([], [("authorization", "Bearer wrong")], [("authorization", f"Bearer {sys.argv[2]}x")], [("authorization", sys.argv[2])], [("authorization", "Bearer ")]):
    refused(lambda: s.GetServerConfig(request, metadata=metadata), grpc.StatusCode.UNAUTHENTICATED, "AccessToken")
print("token passed")
