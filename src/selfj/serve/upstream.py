"""Requests to an upstream: tried again where that can help, within one limit of time, behind a circuit breaker."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from selfj.errors import ConfigError
from selfj.serve.breaker import Breaker
from selfj.serve.errors import ApiError, parse_json
from selfj.serve.secrets import secret
from selfj.serve.settings import Upstream as UpstreamSettings
from selfj.serve.tracing import NOTHING, Span, Tracing, operation, put_reply

R = TypeVar("R")
T = TypeVar("T")
Body: TypeAlias = dict[str, Any]
_AGAIN = {408, 500, 502, 503, 504}
_RELAYED = {400, 404, 413, 422}
"""Statuses that speak of the caller's request; the caller is told them."""
_LONGEST_DETAIL = 300
_LONGEST_LINE = 2**19
"""Of a stream: half of what is held."""


class Malformed(Exception):
    """A reply is not what the route promises; the argument says what is wrong."""


class _Fault(Exception):
    """One try failed."""

    def __init__(self, error: ApiError, *, again: bool, blames: bool = True):
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.blames = blames
        """Whether it speaks against the server, and so counts for the breaker."""


class Upstream:
    """A server that answers; every fault is an `ApiError`."""

    def __init__(self, settings: UpstreamSettings, tracing: Tracing = NOTHING):
        """Prepare it; nothing is sent yet.

        Raises:
            ConfigError: The key is not in the environment, or cannot be one.
        """
        self.settings = settings
        self._tracing = tracing
        self.breaker = Breaker(settings.breaker_failures, settings.breaker_pause_s)
        self._key = _key(settings.api_key_env)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool of connections."""
        # What is sent packed could unpack to more than the limit.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.settings.connect_timeout_s)
        connector = aiohttp.TCPConnector(limit=self.settings.connections)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_LONGEST_LINE,
        )

    async def close(self) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    async def post(
        self, path: str, content: bytes, request_id: str, check: Callable[[Body], R], *, model: str = ""
    ) -> tuple[Body, R]:
        """Send a body and give the reply's JSON object, with what `check` makes of it.

        Args:
            path: Below the address.
            content: JSON.
            request_id: Sent along, for its logs.
            check: Reads the reply; raises Malformed.
            model: The one that is asked, for traces.

        Raises:
            ApiError: It failed for good.
        """
        with self._span(path, model) as span:
            reply, found = await self._tried(lambda: self._post(path, content, request_id, check, span))
            put_reply(span, reply)
            return reply, found

    async def get(self, path: str, request_id: str) -> Body:
        """Get a JSON object.

        Raises:
            ApiError: It failed for good.
        """
        with self._tracing.client(f"GET {path}", self.settings.base_url) as span:
            found, _ = await self._tried(lambda: self._post(path, None, request_id, lambda body: None, span))
            return found

    async def stream(
        self, path: str, content: bytes, request_id: str, *, model: str = ""
    ) -> AsyncGenerator[Body, None]:
        """Send a body and give the chunks of a streamed reply as they come, until its end was announced.

        Only the opening is tried again.

        Raises:
            ApiError: It failed, or ended too early.
        """
        deadline = time.monotonic() + self.settings.timeout_s
        with self._span(path, model) as span:
            reply = await self._tried(lambda: self._open(path, content, request_id, span))
            try:
                async for chunk in _chunks(reply, deadline, self.settings.max_reply_bytes):
                    yield chunk
            except _Fault as fault:
                self.breaker.fail()
                raise fault.error from None
            finally:
                reply.close()

    @contextmanager
    def _span(self, path: str, model: str) -> Iterator[Span]:
        kind = operation(path)
        with self._tracing.client(f"{kind} {model[:200]}".strip(), self.settings.base_url) as span:
            span.put("gen_ai.operation.name", kind)
            span.put("gen_ai.provider.name", "openai")
            span.put("gen_ai.request.model", model[:200] or None)
            yield span

    async def _tried(self, perform: Callable[[], Awaitable[T]]) -> T:
        deadline = time.monotonic() + self.settings.timeout_s
        for place in range(self.settings.tries):
            if not self.breaker.admit():
                wait = max(1, round(self.breaker.wait_s() + 0.5))
                told = "The model behind this gateway failed several times in a row. Try again later."
                raise ApiError(503, "upstream_unavailable", told, retry_after=str(wait))
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - time.monotonic()):
                    found = await perform()
            except TimeoutError:
                self.breaker.fail()
                raise _timeout() from None
            except _Fault as fault:
                if fault.blames:
                    self.breaker.fail()
                else:
                    self.breaker.succeed()
                wait_s = random.uniform(0.5, 1.0) * self.settings.backoff_s * 2**place
                last = place + 1 == self.settings.tries or time.monotonic() + wait_s >= deadline
                if not fault.again or last:
                    raise fault.error from None
                await asyncio.sleep(wait_s)
            else:
                self.breaker.succeed()
                return found
        raise AssertionError("unreachable")

    async def _send(self, path: str, content: bytes | None, request_id: str, span: Span) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the upstream was not started")
        method = "GET" if content is None else "POST"
        url = f"{self.settings.base_url}/{path}"
        headers = {"X-Request-Id": request_id}
        self._tracing.carry(headers, span)
        return await self._session.request(method, url, data=content, headers=headers, allow_redirects=False)

    async def _post(
        self, path: str, content: bytes | None, request_id: str, check: Callable[[Body], R], span: Span
    ) -> tuple[Body, R]:
        try:
            async with await self._send(path, content, request_id, span) as reply:
                data = await _read(reply, self.settings.max_reply_bytes)
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise _lost(error) from error
        if reply.status != 200:
            raise self._status(reply, data)
        try:
            value = parse_json(data)
            if not isinstance(value, dict):
                raise Malformed("it is no JSON object")
            return value, check(value)
        except (ValueError, Malformed) as error:
            told = str(error) if isinstance(error, Malformed) else "it is no JSON"
            raise _bad(f"The model behind this gateway sent a reply that cannot be used: {told}.") from None

    async def _open(self, path: str, content: bytes, request_id: str, span: Span) -> aiohttp.ClientResponse:
        try:
            reply = await self._send(path, content, request_id, span)
            if reply.status == 200:
                if reply.content_type != "text/event-stream":
                    reply.close()
                    raise _bad("The model behind this gateway was asked for a stream and sent none.")
                return reply
            async with reply:
                data = await _read(reply, self.settings.max_reply_bytes)
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise _lost(error) from error
        raise self._status(reply, data)

    def _status(self, reply: aiohttp.ClientResponse, data: bytes) -> _Fault:
        status = reply.status
        detail = self._detail(data)
        if status == 429:
            told = f"The model behind this gateway is over its limit: {detail}"
            error = ApiError(429, "upstream_rate_limit", told, retry_after=reply.headers.get("Retry-After"))
            return _Fault(error, again=False, blames=False)
        if status in _RELAYED:
            return _Fault(ApiError(status, "upstream_refused", detail), again=False, blames=False)
        if status in {401, 403, 407}:
            told = "The model behind this gateway refuses the gateway's key. Check api_key_env of its upstream."
            return _Fault(ApiError(502, "upstream_auth", told), again=False)
        told = f"The model behind this gateway failed with status {status}."
        known = status if status in {503, 504} else 502
        error = ApiError(known, "upstream_error", told, retry_after=reply.headers.get("Retry-After"))
        return _Fault(error, again=status in _AGAIN)

    def _detail(self, data: bytes) -> str:
        try:
            value = parse_json(data)
            told = value["error"]["message"] if isinstance(value["error"], dict) else value["error"]
        except (ValueError, KeyError, TypeError):
            told = None
        text = told if isinstance(told, str) and told else "no reason was given"
        # A server can repeat the key that it was sent.
        hidden = text.replace(self._key, "***") if self._key else text
        return " ".join(hidden.split())[:_LONGEST_DETAIL]


async def _read(reply: aiohttp.ClientResponse, most: int) -> bytes:
    packed = "Content-Encoding" in reply.headers
    if not packed and reply.content_length is not None and reply.content_length <= most:
        return await reply.read()
    parts, size = [], 0
    async for part in reply.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > most:
            raise _bad(f"The model behind this gateway sent more than {most:,} bytes.")
    return b"".join(parts)


async def _chunks(reply: aiohttp.ClientResponse, deadline: float, most: int) -> AsyncIterator[Body]:
    size = 0
    while True:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                line = await reply.content.readline()
        except TimeoutError:
            raise _Fault(_timeout(), again=False) from None
        except (LineTooLong, ValueError):
            raise _bad("The model behind this gateway sent a line that is too long.") from None
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise _lost(error) from error
        size += len(line)
        if not line or size > most:
            raise _bad("The model behind this gateway broke its stream off.")
        text = line.strip()
        if not text.startswith(b"data:"):
            continue
        data = text.removeprefix(b"data:").strip()
        if data == b"[DONE]":
            return
        try:
            value = parse_json(data)
        except ValueError:
            value = None
        if not isinstance(value, dict) or "error" in value:
            raise _bad("The model behind this gateway sent a chunk that cannot be used.")
        yield value


def _timeout() -> ApiError:
    return ApiError(504, "upstream_timeout", "The model behind this gateway did not reply in time.")


def _lost(error: Exception) -> _Fault:
    reached = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ServerTimeoutError)
    told = "broke the connection off" if reached else "cannot be reached"
    code = "upstream_cut" if reached else "upstream_unreachable"
    return _Fault(ApiError(502, code, f"The model behind this gateway {told}."), again=True)


def _bad(message: str) -> _Fault:
    return _Fault(ApiError(502, "upstream_bad_reply", message), again=True)


def _key(variable: str | None) -> str:
    if variable is None:
        return ""
    key = secret(variable, "api_key_env")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(f"The environment variable {variable} holds no key: it has spaces or unprintable characters.")
    return key
