#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make check-bare: a bare clone on a fresh, minimal Debian 12, where `make run`
# and `make test` have to bring all they need. Nothing is left behind.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1-}" = inside ]; then
    # Our own mount and process namespaces: what is mounted or left running here
    # is gone when this shell is.
    root=$2
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    inside() { chroot "$root" /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        $(env | grep '^PIP_' | grep -v '^PIP_FIND_LINKS=' || true) /bin/sh -ec "$1"; }
    inside 'apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends make >/dev/null'
    inside 'cd /src/tritd && make run'
    inside 'cd /src/tritd && make test'
    exit
fi

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
echo "a Debian 12 in $work/debian"
bash docker/debian.sh "$work/debian"
git clone -q --no-hardlinks . "$work/debian/src/tritd"
unshare --mount --pid --fork --kill-child bash docker/check-bare.sh inside "$work/debian"
