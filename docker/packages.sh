#!/bin/sh
# Sees to it that the Debian packages named in the given lists are installed:
#   docker/packages.sh docker/packages/build docker/packages/test
# Installs what is missing as root (or by a sudo that asks nothing); otherwise
# prints the one line that would, and stops with 1.
set -eu

missing=
foreign=
for package in $(sed 's/#.*//' "$@"); do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] && continue
    missing="$missing $package"
    case $package in
    *:arm64) dpkg --print-foreign-architectures | grep -qx arm64 || foreign=arm64 ;;
    esac
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "Packages are missing. As root, run:" >&2
    echo "${foreign:+dpkg --add-architecture $foreign && apt-get update && }$install" >&2
    exit 1
fi

echo "  APT   $missing"
export DEBIAN_FRONTEND=noninteractive
[ -z "$foreign" ] || $sudo dpkg --add-architecture "$foreign"
$sudo apt-get update -q -o DPkg::Lock::Timeout=300 >/dev/null || echo "apt-get update failed; trying with the lists at hand" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Word splitting is meant: $missing is a list.
if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=300 $missing >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
