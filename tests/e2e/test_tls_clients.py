# SPDX-License-Identifier: Apache-2.0
"""trit and libtrit over TLS."""
import signal
import threading

import numpy as np
import pytest

from certificates import Authority, tls_words
from tritd import cli


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.npy"
    np.save(path, np.random.default_rng(8).standard_normal((512, 4096)).astype(np.float32))
    return path


def test_trit_projects_over_tls(start, authority, server, weights, tmp_path):
    """Options and variables lead to the same file as a plain connection; large tensors are
    streamed."""
    secure, plain = start(*tls_words(server)), start(name="plain")
    outs = [tmp_path / f"{i}.safetensors" for i in range(3)]
    assert cli(plain, "project", weights, "-o", outs[0]).returncode == 0
    done = cli(secure, "project", weights, "-o", outs[1], "--tls-ca", authority.path)
    assert done.returncode == 0, done.stderr
    done = cli(secure, "project", weights, "-o", outs[2], env={"TRIT_TLS_CA": str(authority.path)})
    assert done.returncode == 0, done.stderr
    assert outs[0].read_bytes() == outs[1].read_bytes() == outs[2].read_bytes()


def test_trit_shows_its_certificate(start, authority, server, weights):
    own = start(*tls_words(server, authority.path))
    pair = authority.issue("rank", subject="/CN=rank 1", client=True)
    words = ("verify", weights, "--mode", "latent", "--tls-ca", authority.path)
    done = cli(own, *words, "--tls-cert", pair.cert, "--tls-key", pair.key)
    assert done.returncode == 0, done.stderr
    done = cli(own, *words)
    assert done.returncode == 3 and "--tls-cert" in done.stderr


@pytest.mark.parametrize("make,words,expected", [
    (lambda a, t: a.issue("late", days=-1), (), "has expired"),
    (lambda a, t: a.issue("other", names="DNS:db.example"), (), "is for db.example, not for"),
    (lambda a, t: Authority(t, "stranger").issue("alien"), (), 'unknown: "CN=stranger"'),
    (lambda a, t: a.issue("fine"), ("--tls-server-name", "x.example"), 'not for "x.example"'),
])
def test_what_is_wrong_with_a_certificate_is_said_in_words(start, authority, tmp_path, make, words,
                                                           expected):
    own = start(*tls_words(make(authority, tmp_path)))
    done = cli(own, "ping", "--tls-ca", authority.path, *words)
    assert done.returncode == 3 and expected in done.stderr, done.stderr


def test_the_wrong_kind_of_port_is_said_in_words(start, authority, server):
    secure, plain = start(*tls_words(server)), start(name="plain")
    done = cli(secure, "ping")
    assert done.returncode == 3 and "this port speaks TLS" in done.stderr
    done = cli(plain, "ping", "--tls-ca", authority.path)
    assert done.returncode == 3 and "may be a plain one" in done.stderr


@pytest.mark.parametrize("words,expected", [
    (("--tls-ca", "/no/such.pem"), "trit: --tls-ca: /no/such.pem: No such file"),
    (("--tls-cert", "/no/such.pem"), "--tls-cert is set without --tls-key"),
    (("--server", "unix:/tmp/none", "--tls"), "a Unix socket does not speak TLS"),
])
def test_options_that_do_not_fit_are_refused_by_name(words, expected):
    done = cli(None, "ping", *words)
    assert done.returncode == 2 and expected in done.stderr, done.stderr


def test_idle_connections_outlive_a_reload(start, authority, server, weights, tmp_path):
    """trit works while certificates are read again and again."""
    own = start(*tls_words(server))
    over = threading.Event()

    def hang_up():
        while not over.wait(0.01):
            own.process.send_signal(signal.SIGHUP)

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        for i in range(3):
            done = cli(own, "project", weights, "-o", tmp_path / f"{i}.safetensors", "--tls-ca",
                       authority.path)
            assert done.returncode == 0, done.stderr
    finally:
        over.set()
        thread.join()
