"""Everyone concerned hears within two seconds, by mail and by signed webhook, and nothing is lost.

The mail server and the endpoint are real ones on free ports; what is sent to them is read as any
recipient would read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from daypass.domain.errors import Denied
from daypass.domain.secret import Secret
from daypass.embedded.addresses import free_port
from daypass.jobs.channels import MailChannel, WebhookChannel
from daypass.operations.apply_policy import apply_policy
from daypass.operations.send_messages import Channel, send_messages
from tests.story import TWO_DBAS, agree, jobs_running, until
from tests.world import World

pytestmark = pytest.mark.one_major

KEY = "whsec_" + "c2VjcmV0IG9mIGEgdGVzdCwgMzIgYnl0ZXMgb2YgaXQ="
IN_TIME_S = 2.0


@dataclass
class Mailbox:
    """A mail server's handler: what came, and when; refuses as many as it is told to."""

    refuse: int = 0
    mails: list[tuple[float, str, str, str, str]] = field(default_factory=list)
    """(moment, recipient, subject, text, id)"""

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 - its
        """Take a mail, or say that it should be tried later."""
        if self.refuse > 0:
            self.refuse -= 1
            return "451 4.3.0 come back later"
        raw = envelope.content
        assert isinstance(raw, bytes)
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        body = mail.get_body()
        assert body is not None
        (recipient,) = envelope.rcpt_tos
        self.mails.append(
            (
                time.monotonic(),
                str(recipient),
                str(mail["Subject"]),
                str(body.get_content()),
                str(mail["Message-ID"]),
            )
        )
        return "250 taken"

    def to(self, name: str) -> list[tuple[float, str, str, str, str]]:
        """Return the mails to somebody of the company."""
        return [each for each in self.mails if each[1] == f"{name}@example.com"]


@dataclass
class Calls:
    """What was posted to an endpoint: (moment, headers, body); answers `status`."""

    status: int = 204
    seen: list[tuple[float, dict[str, str], bytes]] = field(default_factory=list)

    def events(self) -> list[str]:
        """Return the events posted, in order."""
        return [json.loads(body)["type"] for _, _, body in self.seen]


@contextlib.contextmanager
def mail_server(box: Mailbox, port: int) -> Iterator[None]:
    """Run a mail server until the block ends."""
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@contextlib.contextmanager
def endpoint(calls: Calls, port: int) -> Iterator[str]:
    """Run an HTTP endpoint until the block ends, and return its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            calls.seen.append((time.monotonic(), headers, body))
            self.send_response(calls.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/hooks"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def by_mail(port: int) -> MailChannel:
    """Return the way to a mail server here."""
    return MailChannel(
        host="127.0.0.1",
        port=port,
        sender="daypass@example.com",
        user="",
        password=None,
        tls="none",
    )


@contextlib.asynccontextmanager
async def by_webhook(*urls: str) -> AsyncIterator[WebhookChannel]:
    """Return the way to endpoints, closed with the block."""
    channel = WebhookChannel(tuple((url, Secret(KEY)) for url in urls))
    try:
        yield channel
    finally:
        await channel.aclose()


async def states(here: World) -> dict[str, int]:
    """Count the outbox's messages by state."""
    rows = await here.rows("select state, count(*) from outbox group by 1")
    return {str(state): int(str(count)) for state, count in rows}


async def empty(here: World) -> None:
    """Take away what the sample's making has left: none of it is a test's."""
    await here.rows("delete from outbox returning id")


async def settled(here: World) -> bool:
    """Say whether nothing waits any more."""
    return "waiting" not in await states(here)


async def test_everyone_concerned_hears_within_two_seconds(here: World) -> None:
    await empty(here)
    box, calls = Mailbox(), Calls()
    mail_port = free_port()
    with mail_server(box, mail_port), endpoint(calls, free_port()) as url:
        async with by_webhook(url) as hooks:
            channels: dict[str, Channel] = {"smtp": by_mail(mail_port), "webhook": hooks}
            async with jobs_running(here, channels):
                asked_at = time.monotonic()
                filed = await here.ask("ben", "hr.employees")

                async def asked() -> bool:
                    return bool(box.to("dana")) and "request.waits" in calls.events()

                await until(asked, "word of a request")
                assert time.monotonic() - asked_at < IN_TIME_S + 0.5
                (mail,) = box.to("dana")
                assert mail[0] - asked_at < IN_TIME_S
                assert "prod/shop" in mail[2]
                assert f"daypass approve {filed.request_id}" in mail[3]
                assert not box.to("cleo")
                said_at = time.monotonic()
                request = await agree(here, filed.request_id, "dana")
                assert request.grant_id is not None

                async def granted() -> bool:
                    return bool(box.to("ben")) and "grant.made" in calls.events()

                await until(granted, "word of a grant")
                assert box.to("ben")[0][0] - said_at < IN_TIME_S
                await until(lambda: settled(here), "an empty outbox")
    # Every call is signed: the standard's own library takes it, and no changed one.
    for _, headers, body in calls.seen:
        Webhook(KEY).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(KEY).verify(body.replace(b"prod", b"test"), headers)
    assert len({headers["webhook-id"] for _, headers, _ in calls.seen}) == len(calls.seen)


async def test_what_was_refused_comes_later_and_once(here: World) -> None:
    await empty(here)
    box, calls = Mailbox(refuse=2), Calls(status=503)
    mail_port = free_port()
    with mail_server(box, mail_port), endpoint(calls, free_port()) as url:
        async with by_webhook(url) as hooks:
            channels: dict[str, Channel] = {"smtp": by_mail(mail_port), "webhook": hooks}
            async with jobs_running(here, channels):
                await here.ask("ben", "hr.employees")

                async def refused() -> bool:
                    return len(calls.seen) >= 2 and box.refuse == 0

                await until(refused, "tries that fail")
                calls.status = 200
                await until(lambda: settled(here), "the tries that succeed", timeout_s=30)
    assert (await states(here)).keys() == {"delivered"}
    # Each try of one message has the same id, by which a receiver knows it again.
    assert len({headers["webhook-id"] for _, headers, _ in calls.seen}) == 1
    identifiers = [each[4] for each in box.mails]
    assert len(identifiers) == len(set(identifiers))


async def test_while_nothing_runs_and_nobody_listens_nothing_is_lost(here: World) -> None:
    await empty(here)
    filed = await here.ask("ben", "hr.employees")
    await agree(here, filed.request_id, "dana")
    written = (await states(here))["waiting"]
    box, mail_port, hook_port = Mailbox(), free_port(), free_port()
    calls = Calls()
    async with by_webhook(f"http://127.0.0.1:{hook_port}/hooks") as hooks:
        mail = by_mail(mail_port)
        # Nobody listens on either port.
        for name, channel in (("smtp", mail), ("webhook", hooks)):
            sent = await send_messages(here.ctx, name, channel)
            assert sent.failed > 0
            assert sent.delivered == 0
            assert "127.0.0.1" in sent.problem
        assert (await states(here)) == {"waiting": written}
        with mail_server(box, mail_port), endpoint(calls, hook_port):
            async with jobs_running(here, {"smtp": mail, "webhook": hooks}):
                await until(lambda: settled(here), "the tries that succeed", timeout_s=30)
    assert (await states(here)) == {"delivered": written}
    assert calls.events().count("grant.made") == 1
    assert len(box.mails) + len(calls.seen) == written


async def test_two_processes_send_no_message_twice(here: World) -> None:
    filed = await here.ask("ben", "hr.employees")
    await agree(here, filed.request_id, "dana")
    for name in ("sales.orders", "sales.stores", "sales.products"):
        await here.grant("ada", name)
    calls = Calls()
    with endpoint(calls, free_port()) as url:
        async with by_webhook(url) as one, by_webhook(url) as other:
            sent = await asyncio.gather(
                send_messages(here.ctx, "webhook", one), send_messages(here.ctx, "webhook", other)
            )
    identifiers = [headers["webhook-id"] for _, headers, _ in calls.seen]
    assert len(identifiers) == len(set(identifiers)) == sum(each.delivered for each in sent)


async def test_an_endpoint_that_hangs_holds_up_no_mail(here: World) -> None:
    box, mail_port = Mailbox(), free_port()
    # It takes connections, and never answers.
    with socket.create_server(("127.0.0.1", 0)) as hanging, mail_server(box, mail_port):
        port = hanging.getsockname()[1]
        async with by_webhook(f"http://127.0.0.1:{port}/") as hooks:
            channels: dict[str, Channel] = {"smtp": by_mail(mail_port), "webhook": hooks}
            async with jobs_running(here, channels):
                began = time.monotonic()
                await here.ask("ben", "hr.employees")

                async def told() -> bool:
                    return bool(box.to("dana"))

                await until(told, "mail beside an endpoint that hangs")
                assert box.to("dana")[0][0] - began < IN_TIME_S


async def test_what_did_not_happen_is_told_to_nobody(here: World) -> None:
    await empty(here)
    await apply_policy(here.ctx, await here.actor("samira"), TWO_DBAS)
    filed = await here.ask("ben", "hr.employees")
    with pytest.raises(Denied):
        # Who asked may not agree: the verdict, its entry and its messages go together.
        await agree(here, filed.request_id, "ben")
    events = await here.rows("select distinct event from outbox")
    assert events == [("request.waits",)]


async def test_a_subject_cannot_carry_headers_of_its_own(here: World) -> None:
    box, mail_port = Mailbox(), free_port()
    await here.ask("ben", "hr.employees", reason="x\r\nBcc: eve@example.com\r\n\r\nhello")
    with mail_server(box, mail_port):
        await send_messages(here.ctx, "smtp", by_mail(mail_port))
    assert box.mails
    assert not box.to("eve")
    assert all("\n" not in subject for _, _, subject, _, _ in box.mails)
