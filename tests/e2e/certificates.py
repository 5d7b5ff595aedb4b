# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by the openssl command line."""
import subprocess

import grpc


class Pair:
    """A certificate and its key, as paths."""

    def __init__(self, cert, key):
        self.cert, self.key = cert, key


def openssl(*words, text=None):
    return subprocess.run(["openssl", *map(str, words)], input=text, capture_output=True,
                          text=True, check=True, timeout=60).stdout


class Authority:
    """Issues certificates; `path` is its own."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name = folder, name
        self.path, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-days", 30, "-subj", f"/CN={name}",
                "-addext", "keyUsage=critical,keyCertSign", "-out", self.path)

    def issue(self, stem, subject="/CN=tritd", names="DNS:localhost,IP:127.0.0.1", client=False,
              days=10):
        """`days` -1: it expired yesterday."""
        key, request, cert = (self.folder / f"{stem}{end}" for end in (".key", ".csr", ".pem"))
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        lines = ["extendedKeyUsage=" + ("clientAuth" if client else "serverAuth")]
        if not client:
            lines.append("subjectAltName=" + names)
        extensions = self.folder / f"{stem}.ext"
        extensions.write_text("\n".join(lines) + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key,
                "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", cert)
        return Pair(cert, key)


def tls_words(pair, client_ca=None):
    """The options of tritd."""
    words = ["--tls-cert", pair.cert, "--tls-key", pair.key]
    return words + (["--tls-client-ca", client_ca] if client_ca else [])


def channel(daemon, authority, client=None, options=()):
    """A connection of its own, by grpcio."""
    credentials = grpc.ssl_channel_credentials(
        authority.path.read_bytes(), client and client.key.read_bytes(),
        client and client.cert.read_bytes())
    return grpc.secure_channel(daemon.rpc, credentials, options=[
        ("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1), *options])
