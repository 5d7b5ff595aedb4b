# SPDX-License-Identifier: Apache-2.0
"""What trit and a reference reader say of the same headers."""
import concurrent.futures

import schemas
from tritd import cli


def ours(path):
    """Names, types and shapes by `trit inspect`; None if it refuses the file."""
    done = cli(None, "inspect", path, "--json")
    if done.returncode == 3:
        assert done.stderr.startswith("trit: ") and len(done.stderr.splitlines()) == 1, done.stderr
        return None
    assert done.returncode == 0, done.stderr
    return {one["name"]: (one["dtype"], one["shape"]) for one in schemas.read(done.stdout)["tensors"]}


def answers(folder, suffix, blobs, theirs, refused=True):
    """For each blob what trit and the reader `theirs` say of it; unless `refused`, the reader is not
    asked about those that trit refuses."""
    def both(number):
        path = folder / f"{number}{suffix}"
        path.write_bytes(blobs[number])
        mine = ours(path)
        return mine, theirs(path) if refused or mine is not None else None

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(both, range(len(blobs))))
