# SPDX-License-Identifier: Apache-2.0
"""Fixtures: one daemon for the whole session, or as many as a test starts. conftest.py of each
suite takes those that it needs."""
import numpy as np
import pytest

from certificates import Authority
from held import Service
from tritd import Daemon


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    """A daemon that tests share; they store reports under runs of their own name."""
    root = tmp_path_factory.mktemp("checkpoints")
    subject = Daemon(tmp_path_factory.mktemp("daemon"), "--checkpoint-root", root)
    subject.root = root
    yield subject
    assert subject.stop() == 0, subject.log()[-4000:]


@pytest.fixture
def start(tmp_path):
    """Starts daemons for one test; a daemon of the same name keeps its data after a
    restart."""
    started = []

    def start(*words, name="own", **more):
        started.append(Daemon(tmp_path / name, *words, **more))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture
def run(request):
    """A run name that no other test uses."""
    return request.node.name


@pytest.fixture
def random():
    """Numbers that are the same each time the test runs."""
    return np.random.default_rng(20)


@pytest.fixture
def layers(daemon):
    """The Layers service of the daemon that tests share."""
    return Service(daemon)


@pytest.fixture
def name(request):
    """A layer name, or a prefix for several, that no other test uses."""
    return "e2e/" + request.node.name


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority of the test module."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority):
    """A certificate of the authority for the daemon."""
    return authority.issue("server")
