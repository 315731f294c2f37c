"""Speak to the API: JSON over HTTP, problems turned into failures."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from daypass.cli.exits import ExitCode
from daypass.cli.failure import Failure, failure_of_problem, usage

BASE: Final = "/api/v1"
_TRIES: Final = 3
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Json = dict[str, Any]


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would carry the access token to somebody else."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


class Client:
    """Calls of one server with one credential; nothing is connected before the first call."""

    def __init__(self, server: str, token: str = "", *, timeout_s: float = 130.0) -> None:
        self.server = server.rstrip("/")
        self.headers = {
            "Accept": "application/json",
            "User-Agent": f"daypass-cli ({sys.platform})",
        }
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        self.timeout_s = timeout_s
        self._opener = _opener(server)

    def get(self, path: str, *, so: str = "", **query: Any) -> Json:
        """Read something; `so` says what cannot be shown if that fails."""
        return self._call("GET", _with_query(path, query), None, so=so)[0]

    def get_bytes(self, path: str, /, **query: Any) -> bytes | None:
        """Read something that is no JSON; None when it is not there."""
        url = self.server + BASE + _with_query(path, query)
        request = Request(url, headers=self.headers)  # noqa: S310  # checked in _opener
        try:
            with self._opener.open(request, timeout=self.timeout_s) as response:
                found: bytes = response.read()
                return found
        except HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise _refused(error, self.server, "") from None
        except (http.client.HTTPException, URLError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def post(self, path: str, body: object = None, *, so: str = "", **query: Any) -> Json:
        """Make or do something, once, even if the connection has to be tried again."""
        return self._call("POST", _with_query(path, query), {} if body is None else body, so=so)[0]

    def put(self, path: str, body: object = None, *, so: str = "") -> Json:
        """Set something."""
        return self._call("PUT", path, body, so=so)[0]

    def patch(self, path: str, body: object, *, so: str = "") -> Json:
        """Change fields of something."""
        return self._call("PATCH", path, body, so=so)[0]

    def delete(self, path: str, *, so: str = "", **query: Any) -> Json:
        """End something."""
        return self._call("DELETE", _with_query(path, query), None, so=so)[0]

    def post_for_cookies(self, path: str, body: object) -> tuple[Json, str]:
        """Post, and return the answer with its cookies as one `Cookie` header."""
        answer, headers = self._call("POST", path, body)
        cookies = [each.split(";", 1)[0] for each in headers.get_all("Set-Cookie") or ()]
        return answer, "; ".join(cookies)

    def items(self, path: str, *, limit: int, **query: Any) -> Iterator[Json]:
        """Yield up to `limit` things of a list, page by page."""
        cursor, left = "", limit
        while left > 0:
            page = self.get(path, limit=min(left, 200), cursor=cursor or None, **query)
            yield from page["items"]
            left -= len(page["items"])
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return

    def _call(
        self, method: str, path: str, body: object, *, so: str = ""
    ) -> tuple[Json, http.client.HTTPMessage]:
        headers = dict(self.headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if method == "POST":
            # Makes the repetition below act once.
            headers["Idempotency-Key"] = uuid.uuid4().hex
        request = Request(self.server + BASE + path, data, headers, method=method)  # noqa: S310  # checked in _opener
        for attempt in range(1, _TRIES + 1):
            try:
                with self._opener.open(request, timeout=self.timeout_s) as response:
                    return _body(response.read(), self.server), response.headers
            except HTTPError as error:
                with error:
                    raise _refused(error, self.server, so) from None
            except (http.client.HTTPException, ConnectionResetError, BrokenPipeError) as error:
                if attempt == _TRIES:
                    raise self._unreachable(error) from error
            except (URLError, TimeoutError, OSError) as error:
                raise self._unreachable(error) from error
        raise AssertionError("unreachable")

    def _unreachable(self, error: Exception) -> Failure:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError):
            what = f"{self.server} did not answer in {self.timeout_s:.0f} s"
        elif isinstance(reason, ssl.SSLError):
            what = f"the TLS certificate of {self.server} cannot be trusted"
        else:
            what = f"{self.server} cannot be reached"
        return Failure(
            what,
            why=[str(reason) or type(reason).__name__],
            next_steps=["daypass serve (or: daypass demo) starts one; --server names another"],
            exit_code=ExitCode.UNAVAILABLE,
        )


def part(name: object) -> str:
    """Quote one part of a path."""
    return quote(str(name), safe="")


def database_path(database: str, rest: str = "") -> str:
    """Return the path of `instance/database`, or of something of it."""
    instance, _, name = database.partition("/")
    if not instance or not name:
        raise usage(
            f"{database!r} names no database: write INSTANCE/DATABASE, such as prod/shop",
            next_step="daypass databases lists what you may ask for",
        )
    return f"/databases/{part(instance)}/{part(name)}{rest}"


def _opener(server: str) -> OpenerDirector:
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise Failure(
            f"{server!r} is no address of a Daypass",
            next_steps=["write it like https://daypass.example.com or http://127.0.0.1:8321"],
            exit_code=ExitCode.USAGE,
        )
    if parts.hostname in _LOOPBACK:
        return build_opener(_NoRedirects, ProxyHandler({}))
    return build_opener(_NoRedirects)


def _with_query(path: str, query: Mapping[str, Any]) -> str:
    given = [
        (name, str(value).lower() if isinstance(value, bool) else value)
        for name, value in query.items()
        if value is not None
    ]
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def _body(data: bytes, server: str) -> Json:
    if not data:
        return {}
    try:
        document = json.loads(data)
    except ValueError as error:
        raise Failure(
            f"{server} answers, but not as a Daypass does",
            next_steps=["check the address: daypass login URL"],
            exit_code=ExitCode.UNAVAILABLE,
        ) from error
    return document if isinstance(document, dict) else {"items": document}


def _refused(error: HTTPError, server: str, so: str) -> Failure:
    try:
        document = json.loads(error.read())
    except (ValueError, OSError):
        document = None
    if not isinstance(document, dict) or "code" not in document:
        return Failure(
            f"{server} answered with HTTP status {error.code}, and not as a Daypass does",
            next_steps=["check the address: daypass login URL"],
            exit_code=ExitCode.UNAVAILABLE,
        )
    failure = failure_of_problem(document, error.code, so=so)
    if failure.exit_code is ExitCode.NOT_LOGGED_IN and failure.code != "login_failed":
        failure.next_steps = (f"daypass login {server}",)
    return failure
