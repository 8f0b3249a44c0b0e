"""Requests to one server: many at once, tried again where that can help, never with a secret in sight."""

import json
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, TypeVar

import httpx2
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_random_exponential,
)

from selfj.backends.http_cache import ReplyCache
from selfj.backends.http_errors import (
    CUT,
    HARMLESS,
    MALFORMED,
    STOPPED,
    TRANSPORT,
    RequestFault,
    error_body,
    status_fault,
    transport_fault,
)
from selfj.errors import BackendError, ConfigError
from selfj.records import content_id
from selfj.settings import HttpBackend

T = TypeVar("T")
R = TypeVar("R")
Body: TypeAlias = dict[str, Any]
Post: TypeAlias = Callable[[str, Body], Body]
"""Sends a body to a path and gives the reply's JSON object; raises RequestFault."""

_KEY_FORM = "reply/1"
_LONGEST_DETAIL = 300
_UNLISTED: tuple[type[Exception], ...] = (*TRANSPORT, ValueError, KeyError, TypeError)
"""What can go wrong with a list of models that is only wanted for a message."""
_MANY = 8
"""So many failed rows in a row, without a good one between them, are everybody's fault."""


class Client:
    """Sends requests to the server of some settings."""

    def __init__(self, settings: HttpBackend):
        """Prepare a client; nothing is sent yet.

        Raises:
            ConfigError: The key is not in the environment, or cannot be one.
            ArtefactError: The cache cannot be opened.
        """
        self.settings = settings
        self._key = _key(settings.api_key_env)
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        limits = httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        self._http = httpx2.Client(headers=headers, timeout=settings.timeout_s, limits=limits, follow_redirects=False)
        weakref.finalize(self, self._http.close)
        self._cache = ReplyCache(settings.cache) if settings.cache else None
        self._streak = _Streak(max(_MANY, settings.concurrency))
        self._spread = wait_random_exponential(multiplier=settings.backoff_s, max=settings.max_backoff_s)

    def each(self, rows: Sequence[T], perform: Callable[[T, Post], R]) -> list[R | str]:
        """Perform something for every row, `concurrency` at once; gives results or reasons, in order.

        Raises:
            BackendError: A failure was everybody's, or too many rows failed one after another.
        """
        stop = threading.Event()

        def post(path: str, body: Body) -> Body:
            return self.post(path, body, stop)

        def one(row: T) -> R | str:
            try:
                result = perform(row, post)
            except RequestFault as fault:
                return self._reason(fault)
            self._streak.end()
            return result

        if len(rows) <= 1:
            return [one(row) for row in rows]
        pool = ThreadPoolExecutor(min(self.settings.concurrency, len(rows)))
        try:
            futures = [pool.submit(one, row) for row in rows]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [future for future in futures if future in done and future.exception()]
            return [future.result() for future in failed or futures]
        finally:
            # Requests under way are not waited for; the rows behind them are never sent.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, post: Post, path: str, body: Body, parse: Callable[[Body], R], *, salt: object = None) -> R:
        """Send a body, or take the reply to it from the cache, and parse it; only what parses is kept.

        Args:
            post: Sends.
            path: Where to, below the server's address.
            body: What.
            parse: Reads the reply; raises RequestFault where it is a failure.
            salt: Tells apart draws that send the same body.
        """
        if self._cache is None:
            return parse(post(path, body))
        key = self._key_of(path, body, salt)
        found = self._cache.get(key)
        if found is not None:
            return parse(found)
        reply = post(path, body)
        result = parse(reply)
        self._cache.put(key, reply)
        return result

    def holds(self, path: str, body: Body, *, salt: object = None) -> bool:
        """Whether the cache has the reply to a body; see `ask`."""
        return self._cache is not None and self._cache.get(self._key_of(path, body, salt)) is not None

    def _key_of(self, path: str, body: Body, salt: object) -> str:
        return content_id(_KEY_FORM, self.settings.url, self.settings.revision, path, body, salt)

    def post(self, path: str, body: Body, stop: threading.Event | None = None) -> Body:
        """Send a body and give the reply's JSON object, after as many tries as the settings allow.

        Raises:
            RequestFault: It failed for good.
        """
        event = stop or threading.Event()
        # A lone half of a surrogate pair, as JSON can hold, is no text to a server.
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        tries = Retrying(
            retry=retry_if_exception(self._again),
            stop=stop_after_attempt(self.settings.retries + 1) | stop_when_event_set(event),
            wait=self._wait_s,
            sleep=sleep_using_event(event),
            reraise=True,
        )
        reply: Body = tries(self._send, path, content, event)
        return reply

    def models(self) -> list[str]:
        """Names of the models that the server lists; empty where it does not say."""
        try:
            listed = self._http.get(f"{self.settings.url}/models").json()["data"]
            return [str(entry["id"]) for entry in listed]
        except _UNLISTED:
            return []

    def explain(self, fault: RequestFault) -> BackendError:
        """The error to raise where a failure is everybody's."""
        settings = self.settings
        text = f"The server at {settings.url} failed: {fault.detail}. {self._remedy(fault)}"
        return fault.fault.error(text.strip())

    def _remedy(self, fault: RequestFault) -> str:
        name = self.settings.api_key_env
        if fault.status in {401, 403, 407}:
            return f"Check the key in {name}." if name else "Name the variable with the key as api_key_env."
        if fault.status == 404:
            listed = self.models()
            known = f" It lists: {', '.join(listed[:8])}." if listed else ""
            model = self.settings.model
            return f"Check that url ends in /v1 where the server wants it, and the model {model!r}.{known}"
        if fault.fault.retry:
            return f"It was tried {self.settings.retries + 1} times. Check that it runs and is not overloaded."
        return "Check url, model and extra_body."

    def _reason(self, fault: RequestFault) -> str:
        reason = fault.fault.reason
        if reason is None or (reason not in HARMLESS and self._streak.grow()):
            raise self.explain(fault) from fault
        return reason

    def _again(self, error: BaseException) -> bool:
        if not isinstance(error, RequestFault) or not error.fault.retry:
            return False
        return (error.retry_after_s or 0.0) <= self.settings.max_backoff_s

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_s if isinstance(error, RequestFault) else None
        if asked is None:
            return float(self._spread(state))
        # All rows were told the same moment; they should not come back at once.
        return asked + random.uniform(0, self.settings.backoff_s)

    def _send(self, path: str, content: bytes, stop: threading.Event) -> Body:
        if stop.is_set():
            raise RequestFault(STOPPED, "another row ended the work")
        url = f"{self.settings.url}/{path}" if not path.startswith("/") else f"{self._root()}{path}"
        try:
            with self._http.stream("POST", url, content=content) as reply:
                data = _within(reply.iter_bytes(), self.settings.timeout_s)
        except tuple(TRANSPORT) as error:
            raise RequestFault(transport_fault(error), type(error).__name__) from error
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not reply.is_success:
            code, message = error_body(value)
            detail = self._clean(f"status {reply.status_code} for {path}: {message}")
            retry_after = _retry_after_s(reply.headers.get("Retry-After"))
            fault = status_fault(reply.status_code, code)
            raise RequestFault(fault, detail, status=reply.status_code, retry_after_s=retry_after)
        if not isinstance(value, dict):
            raise RequestFault(CUT if value is None else MALFORMED, f"the reply from {path} is no JSON object")
        return value

    def _root(self) -> str:
        return self.settings.url.removesuffix("/v1")

    def _clean(self, text: str) -> str:
        # A server can repeat the key that it refused.
        hidden = text.replace(self._key, "***") if self._key else text
        return " ".join(hidden.split())[:_LONGEST_DETAIL].rstrip(" .:")


class _Streak:
    """Counts failed rows since the last good one."""

    def __init__(self, limit: int):
        self._limit = limit
        self._length = 0
        self._lock = threading.Lock()

    def grow(self) -> bool:
        """Count a failure; tells whether there are too many."""
        with self._lock:
            self._length += 1
            return self._length >= self._limit

    def end(self) -> None:
        """Start anew at a good row."""
        with self._lock:
            self._length = 0


def _key(variable: str | None) -> str:
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"The environment variable {variable}, named by api_key_env, is not set. Set it to the key.")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(f"The environment variable {variable} holds no key: it has spaces or unprintable characters.")
    return key


def _within(parts: Iterable[bytes], timeout_s: float) -> bytes:
    """Join the parts of a body; a server that sends them one by one for ever is cut off."""
    deadline = time.monotonic() + timeout_s
    kept = []
    for part in parts:
        kept.append(part)
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("the whole reply took too long")
    return b"".join(kept)


def _retry_after_s(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks to wait, given as a number or as a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
