#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds docker/Dockerfile as image $1 with docker, or with buildah where no
# docker engine runs.
set -eu
tag=$1
if docker info >/dev/null 2>&1; then
    exec env DOCKER_BUILDKIT=1 docker build -f docker/Dockerfile -t "$tag" .
elif command -v buildah >/dev/null; then
    exec buildah bud --isolation "${BUILDAH_ISOLATION:-chroot}" --layers \
        --ignorefile docker/Dockerfile.dockerignore -f docker/Dockerfile -t "$tag" .
fi
echo "make image needs a docker engine or buildah: apt-get install -y --no-install-recommends buildah" >&2
exit 1
