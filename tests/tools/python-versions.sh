#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The package under one Python after another, each with the newest NumPy it takes:
#   tests/tools/python-versions.sh VENVS WHEEL PYTHON...
# VENVS is the folder for their environments; TRIT_O names that of tritd. From the
# root of the tree.
set -uo pipefail
venvs=$1 wheel=$2
shift 2

failed=0 seen=
for python; do
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || exit 1
    [[ " $seen " == *" $version "* ]] && continue
    seen+=" $version"
    venv=$venvs/$version
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || exit 1
    "$venv/bin/pip" install -q --disable-pip-version-check -r tests/python/requirements.txt \
        numpy ml_dtypes &&
        "$venv/bin/pip" install -q --disable-pip-version-check --no-deps --force-reinstall \
            "$wheel" || exit 1
    echo "Python $version, NumPy $("$venv/bin/python" -c 'import numpy; print(numpy.__version__)')"
    "$venv/bin/python" -m pytest -q -p no:cacheprovider tests/python || failed=1
done
exit $failed
