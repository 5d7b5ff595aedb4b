# SPDX-License-Identifier: Apache-2.0
from fixtures import (  # noqa: F401
    authority, daemon, layers, name, random, run, server, start)
