# SPDX-License-Identifier: Apache-2.0
"""A client of the memory socket that knows only trit/v1/memory.proto."""
import array
import contextlib
import fcntl
import mmap
import os
import socket

from tritd import CALL_SECONDS
from trit.v1 import memory_pb2

F_ADD_SEALS, SHRINK, GROW, WRITE = 1033, 2, 4, 8
PAGE = mmap.PAGESIZE


def memory_file(size, seals=SHRINK | GROW, allocated=None):
    """A descriptor of memfd_create; only `allocated` bytes of it, by default all, are there."""
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if allocated != 0:
        os.posix_fallocate(fd, 0, allocated or size)
    if seals:
        fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


class Buffer:
    """Memory that the daemon knows by `id`."""

    def __init__(self, identity, fd, size):
        self.id, self.bytes = identity, mmap.mmap(fd, size)

    def region(self, offset, size):
        return memory_pb2.MemoryRegion(buffer=self.id, offset=offset, bytes=size)

    def put(self, data, offset=0):
        self.bytes[offset:offset + len(data)] = data
        return self.region(offset, len(data))


class Sharing:
    """A connection to the memory socket beside `path`."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(CALL_SECONDS)
        self.socket.connect(str(path) + ".memory")
        self.sequence = 0

    def send(self, fds=(), **fields):
        self.sequence += 1
        packet = memory_pb2.MemoryRequest(sequence=self.sequence, **fields).SerializeToString()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([packet], rights)
        return self.sequence

    def receive(self):
        packet = self.socket.recv(4096)
        assert packet, "the daemon has closed the memory socket"
        return memory_pb2.MemoryReply.FromString(packet)

    def ask(self, fds=(), **fields):
        sequence = self.send(fds, **fields)
        reply = self.receive()
        assert reply.sequence == sequence
        return reply

    def register(self, size, **more):
        fd = memory_file(size, **more)
        try:
            return self.ask([fd], register_bytes=size)
        finally:
            os.close(fd)

    def buffer(self, size):
        fd = memory_file(size)
        try:
            reply = self.ask([fd], register_bytes=size)
            assert reply.status == 0, reply.message
            return Buffer(reply.buffer, fd, size)
        finally:
            os.close(fd)

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def sharing(path):
    connection = Sharing(path)
    try:
        yield connection
    finally:
        connection.close()
