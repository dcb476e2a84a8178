"""Leases memory, writes a pattern into it, and holds it until told otherwise."""
import sys

import storage_pb2 as pb
from common import attach, stub

s = stub(sys.argv[1])
lease = s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(client_id=sys.argv[2], size_mb=8))
memory = attach(lease)
memory[:] = b"\x5a" * len(memory)
print(lease.shared_memory_path)
for line in sys.stdin:
    command = line.strip()
    if command == "again":
        again = s.AllocatePoolMemory(pb.AllocatePoolMemoryRequest(client_id=sys.argv[2], size_mb=8))
        print(again == lease)
    elif command == "close":
        s = None
        print("closed")
    elif command == "free":
        print(s.FreePoolMemory(pb.FreePoolMemoryRequest(client_id=sys.argv[2])).success)
