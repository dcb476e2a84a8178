"""What newer clients send as :authority on Unix sockets, where Kestrel accepts a host's name only: the remedy is an option."""
import sys

import grpc
import storage_pb2 as pb
from common import stub

for authority in sys.argv[2:]:
    options = [] if authority == "default" else [("grpc.default_authority", authority)]
    try:
        stub(sys.argv[1], *options).GetServerConfig(pb.GetServerConfigRequest(), timeout=10)
        print("OK")
    except grpc.RpcError as error:
        print(error.code().name)
