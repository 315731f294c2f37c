"""Whose a local connection is, as the kernel tells it."""

import os
import socket
from pathlib import Path

import pytest

from daypass.engines.postgres.local_proxy import _is_ours

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="the kernel tells it on Linux alone"
)


@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")],
)
def test_our_own_connection_is_ours_until_it_is_closed(
    family: socket.AddressFamily, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.socket(family, socket.SOCK_STREAM)
        client.connect((host, listening.getsockname()[1]))
        taken, peer = listening.accept()
        with taken:
            own = taken.getsockname()
            assert _is_ours(peer, own)
            assert not _is_ours((peer[0], peer[1] ^ 1), own)
            monkeypatch.setattr(os, "getuid", lambda: 12_345)
            assert not _is_ours(peer, own)
            monkeypatch.setattr(os, "getuid", lambda: 0)
            client.close()
            # The kernel shows it as root's now, whoever's it was.
            assert not _is_ours(peer, own)
