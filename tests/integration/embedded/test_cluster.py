"""The launcher, on every PostgreSQL there is on this machine."""

import psycopg

from daypass.embedded import Cluster
from tests.servers import make_database


def test_target(target_cluster: Cluster, pg_major: int) -> None:
    with psycopg.connect(make_database(target_cluster)) as connection:
        assert connection.info.server_version // 10000 == pg_major


def test_store(store_cluster: Cluster) -> None:
    with psycopg.connect(make_database(store_cluster)) as connection:
        assert connection.info.server_version // 10000 == 17
