#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make check-image: builds docker/Dockerfile without an engine, starts the daemon
# from the image's root folder as the image's user, and calls it.
#   docker/check-image.sh BUILD_FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
base=$build/bookworm storage=$build/containers
mkdir -p "$build"

[ -e "$base/etc/debian_version" ] || { rm -rf "$base"; bash docker/debian.sh "$base"; }
# Storage of our own: what other images this machine has is none of our business.
bud() { buildah --root "$storage/root" --runroot "$storage/run" "$@"; }
mounted=
cleanup() {
    [ -z "${daemon-}" ] || kill -KILL "$daemon" 2>/dev/null || true
    [ -z "$mounted" ] || bud umount "$mounted" >/dev/null || true
    bud rm -a >/dev/null 2>&1 || true
    bud rmi -a -f >/dev/null 2>&1 || true
    rm -rf --one-file-system "$storage"
}
trap cleanup EXIT

slim=$(bud from scratch)
bud copy -q "$slim" "$base" / >/dev/null
bud commit -q "$slim" docker.io/library/debian:bookworm-slim >/dev/null
bud rm "$slim" >/dev/null
bud bud --isolation chroot --pull-never --ignorefile docker/Dockerfile.dockerignore \
    -f docker/Dockerfile -t tritd . || exit 1

mounted=$(bud from --pull-never tritd)
root=$(bud mount "$mounted")
inside() { chroot --userspec=656:656 "$root" "$@"; }
test "$(bud inspect --format '{{.OCIv1.Config.User}}' "$mounted")" = tritd
test ! -e "$root/usr/bin/gcc"

mkfifo "$build/ready.$$"
exec 4<>"$build/ready.$$"
rm "$build/ready.$$"
# Not by inside: the process has to be the daemon itself, for the signal.
chroot --userspec=656:656 "$root" /usr/bin/tritd --listen 127.0.0.1:0 --http 127.0.0.1:0 --data-dir /var/lib/tritd >&4 &
daemon=$!
read -r -t 20 ready <&4
echo "$ready"
address=$(sed 's/.*rpc=\([^ ]*\).*/\1/' <<<"$ready")
inside /usr/bin/env "TRITD_ADDRESS=$address" /usr/bin/trit ping
cp tests/data/silero_vad_16k.safetensors "$root/tmp/in.safetensors"
inside /usr/bin/env "TRITD_ADDRESS=$address" /usr/bin/trit project /tmp/in.safetensors \
    -o /tmp/out.safetensors --run image --step 0
kill -TERM "$daemon"
wait "$daemon"
daemon=
echo "the image's daemon served, drained and left with 0; image size:" \
    "$(du -sm --one-file-system "$root" | cut -f1) MB"
