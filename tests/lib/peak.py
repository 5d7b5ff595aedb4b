# SPDX-License-Identifier: Apache-2.0
"""Runs a command and writes its peak memory: peak.py FILE COMMAND...

The peak that the system tells of a child counts the memory of its parent at the fork. This
parent is small, so the figure is the command's own. FILE gets KiB; the exit code is the
command's.
"""
import resource
import subprocess
import sys

code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as out:
    out.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code if code >= 0 else 128 - code)
