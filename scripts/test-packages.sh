#!/bin/sh
# Install the Debian packages only tests need, as far as one may: without them those tests skip.
set -eu
cd "$(dirname "$0")/.."

major=15
[ ! -x "/usr/lib/postgresql/$major/bin/postgres" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "Tests on PostgreSQL $major will skip. For them: sudo apt-get install postgresql-$major" >&2
    exit 0
fi

# Only the programs are wanted: Debian would make a cluster of its own and start it.
conf=/etc/postgresql-common/createcluster.d/daypass-tests.conf
trap 'rm -f "$conf"' EXIT
{
    scripts/apt-install.sh postgresql-common &&
        mkdir -p "$(dirname "$conf")" &&
        echo 'create_main_cluster = false' > "$conf" &&
        scripts/apt-install.sh "postgresql-$major"
} || echo "postgresql-$major could not be installed: its tests will skip" >&2
