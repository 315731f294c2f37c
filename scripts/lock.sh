#!/bin/sh
# Lock every dependency by version and hash, without a word about where they are fetched from.
# Keeps the versions locked already unless told otherwise: scripts/lock.sh --upgrade
set -eu
cd "$(dirname "$0")/.."

compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@" pyproject.toml
}

compile "$@" --output-file requirements/runtime.txt
compile "$@" --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt

if grep --line-number --extended-regexp '://|^-|^ *--(index|extra|find|trusted)' requirements/*.txt; then
    echo "a lock file names where packages come from: see the lines above" >&2
    exit 1
fi
