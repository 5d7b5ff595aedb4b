# SPDX-License-Identifier: Apache-2.0
"""Runs unit test programs and the end-to-end suite, shows what failed, and ends
with `N passed, N failed`.

    tests/run.py PROGRAM... [--e2e FOLDER] [-- pytest arguments]

A unit test program (tests/lib/check.h) prints `ok <sentence>` or `FAIL
<sentence>` for every case; one that dies or says nothing counts as a failure.
TRIT_RUNNER holds the words before every program, qemu-aarch64-static say. As many unit
test programs run at once as there are CPUs.
"""
import argparse
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

UNIT_SECONDS_MAX = 900


def run_program(program):
    """Passed, failed and the program's output."""
    command = os.environ.get("TRIT_RUNNER", "").split() + [program]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=UNIT_SECONDS_MAX)
        output, code = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace")
        output += f"\nstill running after {UNIT_SECONDS_MAX} s\n"
        code = -1
    lines = output.splitlines()
    passed = sum(line.startswith("ok ") for line in lines)
    failed = sum(line.startswith("FAIL ") for line in lines)
    if failed == 0 and (code != 0 or passed == 0):
        failed = 1
        output += f"\nFAIL {program} (exit {code}, {passed} cases)\n"
    return passed, failed, output


def run_timed(program):
    """The program, its counts and output, and the seconds it took."""
    started = time.monotonic()
    return program, *run_program(program), time.monotonic() - started


def run_units(programs):
    passed = failed = 0
    cpus = len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(cpus) as runners:
        runs = [runners.submit(run_timed, program) for program in programs]
        for run in concurrent.futures.as_completed(runs):
            program, p, f, output, seconds = run.result()
            name = "/".join(pathlib.Path(program).parts[-2:])
            print(f"  {'FAIL' if f else 'ok  '}  {name}: {p} passed, {f} failed "
                  f"({seconds:.1f} s)", flush=True)
            if f:
                print("\n".join(line for line in output.splitlines()
                                if not line.startswith("ok ")), flush=True)
            passed, failed = passed + p, failed + f
    return passed, failed


def run_e2e(folder, words):
    junit = pathlib.Path(os.environ["TRIT_O"]) / "e2e.xml"
    junit.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           "--tb=short", "-rs", f"--junit-xml={junit}", folder, *words],
                          env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
    passed = failed = 0
    if junit.exists():
        for suite in xml.etree.ElementTree.parse(junit).getroot().iter("testsuite"):
            count = {key: int(suite.get(key, 0))
                     for key in ("tests", "failures", "errors", "skipped")}
            bad = count["failures"] + count["errors"]
            failed += bad
            passed += count["tests"] - bad - count["skipped"]
    if done.returncode != 0 and failed == 0:
        print(f"FAIL pytest ended with {done.returncode}")
        failed = 1
    return passed, failed


def main():
    words = sys.argv[1:]
    after = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--e2e")
    args = parser.parse_args(words[:after])
    # A job in the background of a shell, or under nohup, ignores these. Programs under
    # test would inherit that, and tests that send them would fail.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

    passed, failed = run_units(args.programs)
    if args.e2e:
        p, f = run_e2e(args.e2e, words[after + 1:])
        passed, failed = passed + p, failed + f
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
