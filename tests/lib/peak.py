# SPDX-License-Identifier: Apache-2.0
"""Runs a command and writes its peak memory and its time: peak.py FILE COMMAND...

The peak that the system tells of a child counts the memory of its parent at the fork. This
parent is small, so the figure is the command's own. FILE gets KiB and seconds; the exit code
is the command's.
"""
import resource
import subprocess
import sys
import time

begun = time.monotonic()
code = subprocess.call(sys.argv[2:])
seconds = time.monotonic() - begun
with open(sys.argv[1], "w") as out:
    out.write(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss} {seconds}")
sys.exit(code if code >= 0 else 128 - code)
