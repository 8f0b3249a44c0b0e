"""Requests and replies over ASGI, without a framework."""

import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from selfj.serve.errors import ApiError, dump_json, invalid, parse_json
from selfj.serve.hangup import Caller, HungUp

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")


@dataclass(slots=True)
class Request:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    id: str
    receive: Receive
    body_limit: int
    query: str = ""
    caller: Caller = field(init=False)
    """Whoever waits; closed by the application."""

    def __post_init__(self) -> None:
        """Know the caller."""
        self.caller = Caller(self.receive)

    async def body(self) -> bytes:
        """Read the body.

        Raises:
            ApiError: It is larger than the limit (413), or the caller hung up.
        """
        told = self.headers.get("content-length", "")
        if told.isdecimal() and int(told[:20]) > self.body_limit:
            raise self._large()
        parts, size = [], 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise hung_up()
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > self.body_limit:
                raise self._large()
            if not message.get("more_body"):
                return b"".join(parts)

    async def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            ApiError: It is too large, or no JSON.
        """
        data = await self.body()
        try:
            return parse_json(data)
        except ValueError:
            raise invalid("The body is not valid JSON.", code="invalid_json") from None

    def _large(self) -> ApiError:
        return ApiError(413, "body_too_large", f"The body must be at most {self.body_limit:,} bytes.")


@dataclass(slots=True)
class Reply:
    """One reply: a body, or parts as they come."""

    status: int = 200
    body: bytes = b""
    headers: Headers = field(default_factory=list)
    parts: AsyncIterator[bytes] | None = None

    @property
    def streaming(self) -> str | None:
        """How a stream of events goes out: `early`, as its parts come, or `buffer`, held back; else None."""
        if _EVENTS not in self.headers:
            return None
        return "buffer" if self.parts is None else "early"


Handler: TypeAlias = Callable[[Request], Awaitable[Reply]]
ExtraRoute: TypeAlias = tuple[str, str, Handler]
"""Method, path, and what answers; a path that ends in `/` holds for all below it, but for `/` itself."""


def request_of(scope: Scope, receive: Receive, *, body_limit: int) -> Request:
    """Read a request's head; its identifier is the caller's where that is a plain word."""
    raw = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
    given = headers.get("x-request-id", "")
    request_id = given if _ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
    query = scope.get("query_string", b"").decode("latin-1")
    return Request(scope["method"], scope["path"], headers, request_id, receive, body_limit, query)


def check_head(scope: Scope, limit: int) -> None:
    """Refuse a head that is too large.

    Raises:
        ApiError: It is; status 431.
    """
    size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    if size + len(scope["path"]) + len(scope.get("query_string", b"")) > limit:
        raise head_too_large(limit)


def head_too_large(limit: int) -> ApiError:
    """A head beyond the limit: status 431."""
    return ApiError(431, "headers_too_large", f"Path and headers must be at most {limit:,} bytes together.")


def hung_up() -> ApiError:
    """What the log says of a request whose caller is gone: status 499."""
    return ApiError(499, "hung_up", "The caller hung up.")


def json_reply(value: Any, *, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
    """A JSON body."""
    return Reply(status, dump_json(value), [_JSON, *headers])


def event_reply(body: bytes = b"", *, parts: AsyncIterator[bytes] | None = None, headers: Headers) -> Reply:
    """A stream of events, whole or as they come."""
    return Reply(200, body, [_EVENTS, (b"cache-control", b"no-store"), *headers], parts)


def error_reply(error: ApiError, request_id: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
    """An error in OpenAI's form."""
    more = list(headers)
    if error.retry_after is not None:
        more.append((b"retry-after", error.retry_after.encode("latin-1", "replace")))
    if error.status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    return json_reply(error.body(request_id), status=error.status, headers=more)


async def send_reply(reply: Reply, request_id: str, send: Send) -> float:
    """Send a reply whole, or its parts as they come.

    Returns:
        When the first bytes of the body went out, by `time.perf_counter`.

    Raises:
        HungUp: The connection is gone.
    """
    headers = [*reply.headers, (b"x-request-id", request_id.encode("ascii"))]
    if reply.parts is None:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await _send(send, {"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.parts is None:
        await _send(send, {"type": "http.response.body", "body": reply.body})
        return time.perf_counter()
    first = None
    async for part in reply.parts:
        await _send(send, {"type": "http.response.body", "body": part, "more_body": True})
        first = first or time.perf_counter()
    await _send(send, {"type": "http.response.body", "body": b""})
    return first or time.perf_counter()


async def _send(send: Send, message: MutableMapping[str, Any]) -> None:
    try:
        await send(message)
    except (OSError, RuntimeError) as error:
        # The server closes a connection on which broken HTTP follows, and then cannot write to it.
        raise HungUp from error
