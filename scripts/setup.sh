#!/bin/sh
# Make .venv hold exactly what requirements/dev.txt locks, and Daypass itself. Done again only when
# something it depends on has changed; two at once wait for each other.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    echo "Daypass needs Python 3.11 or newer; name one with PYTHON=/path/to/python3" >&2
    exit 1
fi

if [ -z "${DAYPASS_SETUP_LOCKED:-}" ] && command -v flock > /dev/null; then
    exec env DAYPASS_SETUP_LOCKED=1 flock scripts/setup.sh scripts/setup.sh
fi

wanted=$(
    { pwd; "$python" --version; cat requirements/dev.txt requirements/newer.txt pyproject.toml; } | sha256sum | cut -d ' ' -f 1
)
if [ "$(cat .venv/installed 2> /dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2> /dev/null; then
    exit 0
fi

if ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
    line="apt-get install -y python3-venv"
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "This Python cannot make virtual environments. Do this first: sudo $line" >&2
        exit 1
    fi
    scripts/apt-install.sh python3-venv
fi

# The programs in it start with the path it was made at: one that was moved or copied is made anew.
if ! grep -qsF "$PWD/.venv" .venv/bin/activate || ! .venv/bin/python -m pip --version > /dev/null 2>&1; then
    echo "Making .venv ..." >&2
    "$python" -m venv --clear .venv
fi
echo "Installing what requirements/dev.txt locks ..." >&2
rm -f .venv/installed
PIP_DISABLE_PIP_VERSION_CHECK=1
PIP_NO_INPUT=1
PIP_ROOT_USER_ACTION=ignore
export PIP_DISABLE_PIP_VERSION_CHECK PIP_NO_INPUT PIP_ROOT_USER_ACTION
.venv/bin/python -m pip install --quiet --quiet --no-compile --require-hashes -r requirements/dev.txt
# What says it needs a newer Python and runs on ours: tests alone use it, and it needs nothing more.
.venv/bin/python -m pip install --quiet --quiet --no-compile --no-deps --ignore-requires-python \
    --require-hashes -r requirements/newer.txt
# Everything that builds it is installed by now: nothing is fetched.
.venv/bin/python -m pip install --quiet --quiet --no-compile --no-deps --no-build-isolation --editable .
echo "$wanted" > .venv/installed
