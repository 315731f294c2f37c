"""The certificate Daypass makes itself, and TLS over bytes however they are cut."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daypass.domain.errors import Invalid
from daypass.gateway.certificate import ServerTls, given_certificate, own_certificate
from daypass.gateway.tls import TlsFailed, TlsLayer

NOW = datetime.now(UTC)


def _made(folder: Path, *names: str, moment: datetime = NOW) -> ServerTls:
    return own_certificate(folder, names or ("gate.example.com", "127.0.0.1"), moment=moment)


def test_it_is_kept_for_its_owner_alone_and_made_once(tmp_path: Path) -> None:
    first = _made(tmp_path / "gateway")
    assert (tmp_path / "gateway").stat().st_mode & 0o077 == 0
    for name in ("gateway.key", "gateway.crt"):
        assert (tmp_path / "gateway" / name).stat().st_mode & 0o077 == 0
    assert _made(tmp_path / "gateway").der == first.der


def test_it_is_made_anew_for_another_name_near_its_end_and_when_broken(tmp_path: Path) -> None:
    first = _made(tmp_path)
    named = _made(tmp_path, "gate.example.com", "127.0.0.1", "db.example.com")
    assert named.der != first.der
    later = _made(tmp_path, moment=NOW + timedelta(days=800))
    assert later.der != named.der
    (tmp_path / "gateway.key").write_text("broken")
    assert _made(tmp_path).der != later.der


def test_a_given_one_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"x\.crt"):
        given_certificate(tmp_path / "x.crt", tmp_path / "x.key")
    own = _made(tmp_path)
    assert given_certificate(own.file, tmp_path / "gateway.key").der == own.der


def _client(certificate: Path) -> tuple[ssl.MemoryBIO, ssl.MemoryBIO, ssl.SSLObject]:
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(["postgresql"])
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    return into, out, context.wrap_bio(into, out, server_hostname="gate.example.com")


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_tls_over_bytes_cut_anywhere(tmp_path: Path, step: int) -> None:
    tls = _made(tmp_path)
    tls.context.set_alpn_protocols(["postgresql"])
    layer = TlsLayer(tls.context)
    into, out, client = _client(tls.file)
    got = b""
    for _ in range(6):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            client.write(b"hello " * 10_000)
        data = out.read()
        for at in range(0, len(data), step):
            got += layer.receive(data[at : at + step])
            into.write(layer.outgoing())
        if got:
            break
    assert got == b"hello " * 10_000
    assert layer.alpn == "postgresql"
    into.write(layer.send(b"world" * 20_000))
    read = b""
    while len(read) < 100_000:
        read += client.read(65_536)
    assert read == b"world" * 20_000
    into.write(layer.close())
    assert client.read(10) == b""


def test_what_is_no_tls_fails_and_no_more(tmp_path: Path) -> None:
    layer = TlsLayer(_made(tmp_path).context)
    with pytest.raises(TlsFailed):
        layer.receive(b"\x16\x03\x01" + b"x" * 300)


def test_a_goodbye_is_noticed(tmp_path: Path) -> None:
    tls = _made(tmp_path)
    tls.context.set_alpn_protocols(["postgresql"])
    layer = TlsLayer(tls.context)
    into, out, client = _client(tls.file)
    for _ in range(4):
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            layer.receive(out.read())
            into.write(layer.outgoing())
    layer.receive(out.read())
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()
    assert layer.receive(out.read()) == b""
    assert layer.ended
