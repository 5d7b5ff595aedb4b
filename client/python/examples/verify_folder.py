# SPDX-License-Identifier: Apache-2.0
"""A gate for CI: verifies every safetensors file of a folder, and exits with 0, 1 or 4.

    TRITD_ADDRESS=127.0.0.1:6561 python verify_folder.py FOLDER

A file LATENTS/NAME, if there is one, has the latents of FOLDER/NAME:

    python verify_folder.py FOLDER LATENTS

0: all pass. 1: a file fails. 4: none fails, but a file, or the folder, cannot be judged.
"""

import pathlib
import sys
from typing import Optional

import trit

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 4}


def main(folder: pathlib.Path, latents: Optional[pathlib.Path] = None) -> int:
    """Verifies the files; gives the exit code."""
    files = sorted(folder.glob("*.safetensors"))
    codes = [] if files else [4]
    with trit.Client(timeout=600) as client:
        for path in files:
            against = latents / path.name if latents is not None else None
            if against is not None and not against.exists():
                against = None
            result = client.checkpoint.verify(path, against=against)
            print(f"{path.name}: {result.verdict}: {result}")
            codes.append(EXIT_CODES[result.verdict])
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    folders = [pathlib.Path(word) for word in sys.argv[1:]]
    sys.exit(main(*folders) if len(folders) in (1, 2) else __doc__)
