#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds clients and checkers of other projects, which some end-to-end tests use:
#   tests/tools/go-tools.sh FOLDER
# What cannot be built is left out with a word, and its tests are skipped.
set -u
mkdir -p "$1"
GOBIN=$(cd "$1" && pwd)
export GOBIN
command -v go >/dev/null || {
    echo "go is missing: tests with grpcurl, ghz, h2spec and grpc-go are skipped"
    exit 0
}
for module in \
    github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible \
    github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3 \
    github.com/bojand/ghz/cmd/ghz@v0.121.0 \
    google.golang.org/grpc/interop/client@v1.85.0; do
    name=${module%@*}
    [ -x "$GOBIN/${name##*/}" ] && continue
    echo "  GO    ${name##*/}"
    timeout 400 go install "$module" >"$GOBIN/${name##*/}.log" 2>&1 ||
        echo "$name cannot be built: its tests are skipped"
done
