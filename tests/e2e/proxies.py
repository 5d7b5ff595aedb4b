# SPDX-License-Identifier: Apache-2.0
"""Runs HAProxy, nginx and Envoy in front of daemons. The configurations of HAProxy and nginx
are those of docs/operations.md."""
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import textwrap
import time

import grpc
import pytest

from tritd import CALL_SECONDS, ROOT, UNLIMITED, ternary_pb2_grpc

OPERATIONS = ROOT / "docs" / "operations.md"
KINDS = ["haproxy", "nginx", "envoy"]

NGINX = """\
daemon off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path temp;
    fastcgi_temp_path temp;
    proxy_temp_path temp;
    scgi_temp_path temp;
    uwsgi_temp_path temp;
{server}
}}
"""

ENVOY = """\
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {listen}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: grpc
          codec_type: HTTP2
          route_config:
            virtual_hosts:
            - name: tritd
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route: {{cluster: tritd, timeout: 0s}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: tritd
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: tritd
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {rpc}}}}}}}
{tls}"""

ENVOY_TLS = """\
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          validation_context: {{trusted_ca: {{filename: {ca}}}}}
"""


def free_port():
    """A port below those of outgoing connections, one of which could take it before a daemon
    listens on it, again and again."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10_000, max(first, 20_000)), 100):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


def documented(heading):
    """The first code block below a heading of docs/operations.md."""
    text = OPERATIONS.read_text().split(f"\n## {heading}\n", 1)[1]
    return textwrap.dedent(re.search(r"(?:^    .*\n)+", text, re.M).group())


class Proxy:
    """A proxy process; `address` is where clients connect."""

    def __init__(self, folder, program, words, address):
        self.address, self.log_path, self._channel = address, folder / "proxy.log", None
        self._log = open(self.log_path, "ab")
        self.process = subprocess.Popen([program, *map(str, words)], cwd=folder,
                                        stdin=subprocess.DEVNULL, stdout=self._log,
                                        stderr=self._log)
        host, _, port = address.rpartition(":")
        deadline = time.monotonic() + CALL_SECONDS
        while True:
            try:
                socket.create_connection((host, int(port)), CALL_SECONDS).close()
                return
            except ConnectionRefusedError:
                pass
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def connect(self):
        """A channel that neither retries nor shares a connection."""
        return grpc.insecure_channel(self.address, options=UNLIMITED + [
            ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)])

    @property
    def channel(self):
        if self._channel is None:
            self._channel = self.connect()
        return self._channel

    @property
    def ternary(self):
        return ternary_pb2_grpc.TernaryStub(self.channel)

    def stop(self):
        if self._channel is not None:
            self._channel.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(CALL_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()


def program(name):
    """The path of a program, or the test is skipped."""
    named = os.environ.get("TRIT_" + name.upper(), "")
    found = shutil.which(named or name, path=os.environ["PATH"] + ":/usr/sbin")
    if not found:
        pytest.skip(f"{name} is not installed (make test-clients installs Envoy)")
    return found


def haproxy(folder, daemons, ca=None, inter="1s", more=""):
    """In front of all daemons."""
    address = f"127.0.0.1:{free_port()}"
    text = "global\n    log stderr format raw daemon\n" + documented("Behind HAProxy")
    text = text.replace("mode http", "mode http\n    log global\n    option httplog\n"
                        "    option dontlog-normal").replace("127.0.0.1:6560", address)
    text = text.replace("inter 1s", f"inter {inter}").replace("backend tritd\n    option",
                                                              f"backend tritd\n    {more}\n    option")
    text, _, server = text.rstrip().rpartition("\n")
    for index, one in enumerate(daemons):
        line = server.replace("tritd0", f"tritd{index}").replace("127.0.0.1:6561", one.rpc)
        text += "\n" + line.replace("6562", one.http.rpartition(":")[2])
        text += f" ssl alpn h2 ca-file {ca} verifyhost localhost check-ssl" if ca else ""
    (folder / "haproxy.cfg").write_text(text + "\n")
    return Proxy(folder, program("haproxy"), ["-db", "-f", folder / "haproxy.cfg"], address)


def nginx(folder, daemons, ca=None):
    address = f"127.0.0.1:{free_port()}"
    text = documented("Behind nginx").replace("127.0.0.1:6560", address)
    text = text.replace("server 127.0.0.1:6561;",
                        " ".join(f"server {one.rpc};" for one in daemons))
    if ca:
        text = text.replace("grpc_pass grpc:", "grpc_ssl_verify on;\ngrpc_ssl_name localhost;\n"
                            f"grpc_ssl_trusted_certificate {ca};\ngrpc_pass grpcs:")
    (folder / "nginx.conf").write_text(NGINX.format(server=text))
    return Proxy(folder, program("nginx"), ["-p", folder, "-c", folder / "nginx.conf"], address)


def envoy(folder, daemons, ca=None):
    """In front of the first daemon."""
    path, port = program("envoy"), free_port()
    (folder / "envoy.yaml").write_text(ENVOY.format(
        listen=port, rpc=daemons[0].rpc.rpartition(":")[2],
        tls=ENVOY_TLS.format(ca=ca) if ca else ""))
    return Proxy(folder, path, ["-c", folder / "envoy.yaml", "--use-dynamic-base-id",
                                "--concurrency", 1, "-l", "warning"], f"127.0.0.1:{port}")


def front(kind, folder, daemons, **more):
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    return {"haproxy": haproxy, "nginx": nginx, "envoy": envoy}[kind](folder, daemons, **more)
