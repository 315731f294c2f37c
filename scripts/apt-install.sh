#!/bin/sh
# Install Debian packages without asking anything; the lists are fetched only if they are lacking.
set -eu
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND

install() {
    apt-get install --quiet --quiet --yes --no-install-recommends \
        --option DPkg::Lock::Timeout=300 "$@"
}

echo "Installing by apt: $*" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install "$@" > "$log" 2>&1 < /dev/null; then
    { apt-get update --quiet --quiet && install "$@"; } > "$log" 2>&1 < /dev/null || {
        cat "$log" >&2
        exit 1
    }
fi
