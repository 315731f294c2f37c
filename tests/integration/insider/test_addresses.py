"""Who calls cannot choose the address that is on record, nor slip out of being slowed by it."""

import base64
import secrets
from pathlib import Path

import httpx
import psycopg

from daypass.app import running
from daypass.domain.secret import Secret
from daypass.embedded import Cluster
from daypass.settings import ApiSettings, Settings
from tests.servers import drop_database
from tests.stores import store_database


async def test_without_a_proxy_nobody_says_where_they_call_from(
    store_cluster: Cluster, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    key.chmod(0o600)
    conninfo = store_database(store_cluster)
    settings = Settings(api=ApiSettings(port=0), secret_key=f"file:{key}", state_dir=tmp_path)
    async with running(settings, Secret(conninfo)) as found, httpx.AsyncClient() as client:
        answer = await client.post(
            f"{found.url}/api/v1/session",
            json={"email": "ada@example.com", "password": "wrong"},
            headers={"X-Forwarded-For": "203.0.113.77"},
        )
        assert answer.status_code == 401
        with psycopg.connect(conninfo) as connection:
            cursor = connection.execute("select address from entry where kind = 'login.failed'")
            assert cursor.fetchall() == [("127.0.0.1",)]
    drop_database(store_cluster, conninfo)
