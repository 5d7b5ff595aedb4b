#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes a minimal Debian 12 in folder $1, as root: from the mirror this machine
# uses, with its resolver, its settings of apt and pip, and its own certificates.
set -euo pipefail
root=$1
[ "$(id -u)" = 0 ] || { echo "a Debian in a folder needs root" >&2; exit 1; }

# Any mirror's URI that has the suite itself; security and updates stand apart.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Created-By: Packages' |
    grep -v security | sort -u | head -n 1)
debootstrap --variant=minbase bookworm "$root" "${mirror:?apt knows no mirror of bookworm}" \
    >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
rm -f "$root.log"

cp -L /etc/resolv.conf "$root/etc/resolv.conf"
apt-config dump Acquire >"$root/etc/apt/apt.conf.d/10host"
[ ! -f /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/pip.conf"
if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    install -d "$root/usr/local/share/ca-certificates"
    cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
fi
