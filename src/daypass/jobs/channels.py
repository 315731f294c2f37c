"""Ways out for messages: signed webhooks and mail."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from email.message import EmailMessage

import aiosmtplib
import httpx
from standardwebhooks import Webhook

from daypass.domain.errors import Unavailable
from daypass.domain.secret import Secret
from daypass.store.outbox import Message

_TIMEOUT_S = 5.0


class WebhookChannel:
    """Post each message to every endpoint, signed as Standard Webhooks 1.0 says."""

    def __init__(self, endpoints: tuple[tuple[str, Secret], ...]) -> None:
        self._endpoints = [(url, Webhook(secret.reveal())) for url, secret in endpoints]
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)

    async def send(self, message: Message) -> None:
        """Post to all endpoints; one that fails has all of them tried again, under the same id."""
        identifier = f"daypass-{message.id}"
        moment = datetime.now(UTC)
        body = json.dumps({"type": message.event, "data": message.payload}, sort_keys=True)
        failed = []
        for url, webhook in self._endpoints:
            headers = {
                "content-type": "application/json",
                "webhook-id": identifier,
                "webhook-timestamp": str(int(moment.timestamp())),
                "webhook-signature": webhook.sign(identifier, moment, body),
            }
            try:
                answer = await self._client.post(url, content=body, headers=headers)
                if not answer.is_success:
                    failed.append(f"{url} answered {answer.status_code}")
            except httpx.HTTPError as error:
                failed.append(f"{url}: {type(error).__name__}")
        if failed:
            raise Unavailable("; ".join(failed))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class MailChannel:
    """Send each message to its recipient by SMTP."""

    def __init__(
        self, *, host: str, port: int, sender: str, user: str, password: Secret | None, tls: str
    ) -> None:
        self._host, self._port, self._sender = host, port, sender
        self._user, self._password, self._tls = user, password, tls

    async def send(self, message: Message) -> None:
        """Send one mail."""
        mail = EmailMessage()
        mail["From"] = self._sender
        mail["To"] = message.recipient
        mail["Subject"] = str(message.payload["subject"])
        mail["Message-ID"] = f"<daypass-{message.id}@{self._sender.partition('@')[2]}>"
        mail["Date"] = message.created_at
        mail.set_content(str(message.payload["text"]))
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await aiosmtplib.send(
                    mail,
                    hostname=self._host,
                    port=self._port,
                    username=self._user or None,
                    password=self._password.reveal() if self._password else None,
                    use_tls=self._tls == "tls",
                    start_tls=self._tls == "starttls",
                    timeout=_TIMEOUT_S,
                )
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise Unavailable(f"{self._host}:{self._port}: {type(error).__name__}") from error
