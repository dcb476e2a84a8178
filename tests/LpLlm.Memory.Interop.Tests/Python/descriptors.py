"""A descriptor beside HTTP/2's first bytes: the server takes none, and the kernel must not close it on the server's threads."""
import socket
import sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(sys.argv[1].removeprefix("unix:"))
try:
    socket.send_fds(s, [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], [sys.stdin.fileno()])
    print("taken")
except PermissionError:
    print("refused")
