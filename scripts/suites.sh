#!/bin/sh
# Make .suites hold the test suites of others and an interpreter with what they need, pinned by
# hash; without them the tests that run them skip.
set -eu
cd "$(dirname "$0")/.."

wanted=$(cat requirements/suites.txt requirements/suite_sources.txt "$0" | sha256sum | cut -d ' ' -f 1)
wanted="$wanted $PWD"
[ "$(cat .suites/made 2> /dev/null)" != "$wanted" ] || exit 0
rm -rf .suites
mkdir -p .suites/archives .suites/sources
PIP_DISABLE_PIP_VERSION_CHECK=1
PIP_NO_INPUT=1
PIP_ROOT_USER_ACTION=ignore
# psycopg2 asks for pg_config before it says what it is; nothing is compiled.
PATH=$PATH:/usr/lib/postgresql/15/bin
export PIP_DISABLE_PIP_VERSION_CHECK PIP_NO_INPUT PIP_ROOT_USER_ACTION PATH

fetch() {
    .venv/bin/python -m venv .suites/venv &&
        .suites/venv/bin/python -m pip install --quiet --quiet --no-compile --require-hashes \
            --only-binary :all: -r requirements/suites.txt &&
        .venv/bin/python -m pip download --quiet --quiet --no-deps --no-binary :all: \
            --require-hashes --dest .suites/archives -r requirements/suite_sources.txt
}

# Of each archive what is tested with; what is tested is installed.
unpack() {
    mkdir -p ".suites/sources/$1"
    archive=$(ls .suites/archives/"$1"-*.tar.gz)
    shift
    folder=$(basename "$archive" .tar.gz)
    name=${folder%-*}
    for part in "$@"; do
        tar --extract --gzip --file "$archive" --directory ".suites/sources/$name" \
            --strip-components 1 "$folder/$part"
    done
}

if fetch; then
    unpack asyncpg tests
    unpack django tests
    unpack psycopg2 tests
    unpack sqlalchemy test lib setup.cfg pyproject.toml
    rm -r .suites/archives
    echo "$wanted" > .suites/made
else
    echo "the test suites of others could not be fetched: the tests that run them will skip" >&2
fi
