#!/bin/sh
# Install the Debian packages only tests need, as far as one may: without them those tests skip.
set -eu
cd "$(dirname "$0")/.."

# The driver of another language is its own package, locked beside the program that uses it.
node=tests/clients/node
if ! cmp -s "$node/package-lock.json" "$node/node_modules/installed"; then
    if ! command -v npm > /dev/null; then
        echo "There is no npm: tests of node-postgres will skip" >&2
    elif (cd "$node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null); then
        cp "$node/package-lock.json" "$node/node_modules/installed"
    else
        echo "node-postgres could not be installed: its tests will skip" >&2
    fi
fi

major=15
postgres=/usr/lib/postgresql/$major/bin/postgres
jdbc=/usr/share/java/postgresql.jar
if [ -x "$postgres" ] && [ -e "$jdbc" ] && command -v javac > /dev/null; then
    exit 0
fi

if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "Tests on PostgreSQL $major and of pgjdbc will skip where these lack. For them:" \
        "sudo apt-get install postgresql-$major libpostgresql-jdbc-java default-jdk-headless" >&2
    exit 0
fi

lacking=
[ -e "$jdbc" ] || lacking=libpostgresql-jdbc-java
# The compiler runs the program: with the headless runtime it is the least that does.
command -v javac > /dev/null || lacking="$lacking default-jdk-headless"
# shellcheck disable=SC2086  # none, one or two names
[ -z "$lacking" ] || scripts/apt-install.sh $lacking ||
    echo "$lacking could not be installed: tests of pgjdbc will skip" >&2

[ ! -x "$postgres" ] || exit 0

# Only the programs are wanted: Debian would make a cluster of its own and start it.
conf=/etc/postgresql-common/createcluster.d/daypass-tests.conf
trap 'rm -f "$conf"' EXIT
{
    scripts/apt-install.sh postgresql-common &&
        mkdir -p "$(dirname "$conf")" &&
        echo 'create_main_cluster = false' > "$conf" &&
        scripts/apt-install.sh "postgresql-$major"
} || echo "postgresql-$major could not be installed: its tests will skip" >&2
