#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sees to it that the Debian packages named in the given lists are installed:
#   docker/packages.sh docker/packages/build docker/packages/test
# Installs what is missing as root (or by a sudo that asks nothing); otherwise
# prints the one line that would, and stops with 1. make runs it for several lists
# at once: one after the other has its turn.
set -eu

# Sets `missing`, and `foreign` to the architecture that some of it needs first.
look() {
    missing= foreign=
    for package in $(sed 's/#.*//' "$@"); do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] && continue
        missing="$missing $package"
        case $package in
        *:arm64) dpkg --print-foreign-architectures | grep -qx arm64 || foreign=arm64 ;;
        esac
    done
}

look "$@"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    sudo=
elif sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "Packages are missing. As root, run:" >&2
    echo "${foreign:+dpkg --add-architecture $foreign && apt-get update && }apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi

# apt-get update has no way to wait for another one (DPkg::Lock::Timeout is not for the
# lists' lock). This lock is the machine's, and that of no tool: of a folder that is
# always there and anybody may open. Children get it closed, for a service that a
# package starts would keep it.
exec 9</var/lib/dpkg
flock 9
look "$@" # another may have installed it
[ -n "$missing" ] || exit 0

echo "  APT   $missing"
[ -z "$foreign" ] || $sudo dpkg --add-architecture "$foreign" 9<&-
$sudo apt-get update -q -o DPkg::Lock::Timeout=300 >/dev/null 9<&- ||
    echo "apt-get update failed; trying with the lists at hand" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Word splitting is meant: $missing is a list.
if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=300 $missing >"$log" 2>&1 9<&-; then
    cat "$log" >&2
    exit 1
fi
