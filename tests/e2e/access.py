# SPDX-License-Identifier: Apache-2.0
"""Tokens, token files, and the policy that each method needs."""
import hashlib
import secrets

import grpc

from tritd import CALL_SECONDS

POLICIES = ("read", "verify", "project", "layers", "checkpoints", "admin")

# As the design has it: what a caller needs for each method.
NEEDS = {
    "trit.v1.Ternary": {"Project": "project", "ProjectStream": "project", "Pack": "project",
                        "PackStream": "project", "Unpack": "project", "Backward": "project",
                        "Verify": "verify", "VerifyStream": "verify"},
    "trit.v1.Reports": {"Get": "read", "List": "read", "Watch": "read", "Compare": "read",
                        "Rewind": "admin", "Fork": "admin", "Delete": "admin"},
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": "read"},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": "read"},
}
EVERYONE = ("grpc.health.v1.Health",)


def need(service, method):
    """The policy that a method needs; None: every caller may use it."""
    if service in EVERYONE:
        return None
    if service == "trit.v1.Layers":
        return "layers"
    if service == "trit.v1.Checkpoints":
        return "checkpoints"
    return NEEDS[service][method]


class Tokens:
    """A token file with one token per name; the values of `names` are its policies."""

    def __init__(self, path, **names):
        self.path, self.lines, self.token = path, {}, {}
        for name, policies in names.items():
            self.add(name, policies)

    def add(self, name, policies):
        self.token[name] = secrets.token_urlsafe(32)
        digest = hashlib.sha256(self.token[name].encode()).hexdigest()
        self.lines[name] = f"{name} sha256:{digest} {policies}"
        self.write()
        return self.token[name]

    def remove(self, name):
        del self.lines[name]
        self.write()

    def write(self):
        fresh = self.path.with_suffix(".new")
        fresh.write_text("# tokens of a test\n" + "\n".join(self.lines.values()) + "\n")
        fresh.replace(self.path)


def bearer(token):
    return (("authorization", f"Bearer {token}"),) if token else ()


def status_of(channel, path, token=None, request=b""):
    """How a call of the method ends, or OK once it has answered, and its message. Some
    streams never end by themselves, and Reports.Watch answers only when a report is
    filed: it gets a cursor that it refuses."""
    if path == "/trit.v1.Reports/Watch":
        request = request or b"\x12\x03bad"
    call = channel.unary_stream(path)(request, metadata=bearer(token), timeout=CALL_SECONDS)
    try:
        next(call, None)
    except grpc.RpcError as error:
        return error.code(), error.details()
    finally:
        call.cancel()
    return grpc.StatusCode.OK, ""
