"""The page of the gateway and the JSON behind it, without a framework.

`Page.routes` are routes for the gateway; a `Page` is also an ASGI application of its own.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote

from selfj.errors import ConfigError, SelfjError, StoreUnavailable
from selfj.serve import page_data
from selfj.serve.drift import drift_metrics
from selfj.serve.feedback import parse_feedback
from selfj.serve.http import ExtraRoute, Reply, Request
from selfj.serve.run import ServedRun
from selfj.serve.store import Store

BODY_BYTES = 65_536
"""Largest body of feedback."""
MOST_ROWS = 200
_FRESH_S = 2.0
_ONE = "/selfj/decision/"
_JSON = "application/json"
_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """Replys for the page, its JSON, and feedback."""

    def __init__(self, store: Store, run: ServedRun | None = None) -> None:
        """Show a store and the run behind the gateway.

        Args:
            store: Decisions and verdicts.
            run: Its promise and calibration; None where the gateway has no run.
        """
        self._store = store
        self._run = run or ServedRun.unknown()
        self._monitor = self._run.monitor(store)
        self._day = page_data.Kept(lambda: page_data.day(store, time.time()), _FRESH_S)
        self._curve = page_data.Kept(lambda: page_data.curve(store, self._run, time.time()), _FRESH_S)
        self._histogram = page_data.Kept(lambda: page_data.histogram(store, self._run, time.time()), _FRESH_S)
        self._drift = page_data.Kept(self._monitor.update, _FRESH_S)
        self._html = _assembled()

    def routes(self) -> list[ExtraRoute]:
        """Routes for the gateway."""
        got = ("/", "/selfj/decisions", _ONE, "/selfj/curve", "/selfj/histogram", "/selfj/drift")
        return [*(("GET", path, self.handle) for path in got), ("POST", "/v1/feedback", self.handle)]

    def metrics(self) -> str:
        """The alarm for `/metrics`, in the text format of Prometheus.

        Raises:
            StoreUnavailable: The store cannot be read.
        """
        return drift_metrics(self._drift.get())

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Reply one request; reads the database, so call it in a thread.

        Args:
            method: GET, HEAD or POST.
            path: Beginning with a slash.
            query: What follows the question mark.
            headers: With names in lower case.
            body: Of a POST.
        """
        try:
            if path == "/v1/feedback":
                return self._feedback(headers, body) if method == "POST" else _refused(405, "This route takes POST.")
            if method not in ("GET", "HEAD"):
                return _refused(405, "This route takes GET.")
            return self._get(path, query)
        except StoreUnavailable as error:
            return _refused(503, str(error), "store_unavailable")
        except ConfigError as error:
            return _refused(400, str(error))
        except SelfjError as error:
            return _refused(500, str(error), "store_fault")

    def _get(self, path: str, query: str) -> Reply:
        if path == "/":
            return self._page()
        if path == "/selfj/decisions":
            return _json(self._recent(query))
        if path.startswith(_ONE):
            found = page_data.one(self._store, unquote(path.removeprefix(_ONE)))
            return _refused(404, "There is no such decision.", "not_found") if found is None else _json(found)
        if path == "/selfj/curve":
            return _json(self._curve.get())
        if path == "/selfj/histogram":
            return _json(self._histogram.get())
        if path == "/selfj/drift":
            return _json(page_data.drift(self._drift.get()))
        return _refused(404, "There is no such route here.", "not_found")

    def _page(self) -> Reply:
        nonce = secrets.token_urlsafe(16)
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", _POLICY.format(nonce=nonce).encode()),
            *_SAFE,
        ]
        return Reply(200, self._html.replace("{{nonce}}", nonce).encode(), headers)

    def _recent(self, query: str) -> dict[str, Any]:
        asked = parse_qs(query)
        after, limit = _whole(asked, "after", 0), min(MOST_ROWS, _whole(asked, "limit", 50))
        return {**page_data.recent(self._store, self._run, after, limit), "day": self._day.get()}

    def _feedback(self, headers: Mapping[str, str], body: bytes) -> Reply:
        # A form of another site can send text but not JSON, so nobody's browser votes without their knowing.
        if headers.get("content-type", "").split(";")[0].strip().lower() != _JSON:
            return _refused(415, f"Feedback is sent as {_JSON}.")
        if len(body) > BODY_BYTES:
            return _refused(413, f"Feedback has at most {BODY_BYTES:,} bytes.")
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return _refused(400, "The body is not valid JSON.", "invalid_json")
        if not isinstance(value, dict):
            return _refused(400, "Feedback is a JSON object.")
        verdict = parse_feedback(value, time.time())
        stored = self._store.get(verdict.decision_id)
        if stored is None:
            return _refused(404, f"There is no decision {verdict.decision_id!r} in the store.", "not_found")
        made = self._store.add_feedback(replace(verdict, decision_id=stored.row.id))
        return _json({"id": made.id, "decision_id": made.decision_id, "value": made.value}, status=201)

    async def handle(self, asked: Request) -> Reply:
        """Reply one request of the gateway, in a thread."""
        body = await asked.body() if asked.method == "POST" else b""
        return await asyncio.to_thread(self.answer, asked.method, asked.path, asked.query, asked.headers, body)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Serve the page alone, as an ASGI application; HTTP only."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body, more = b"", scope["method"] == "POST"
        while more and len(body) <= BODY_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        query = scope.get("query_string", b"").decode("latin-1")
        made = await asyncio.to_thread(self.answer, scope["method"], scope["path"], query, headers, body)
        told = [*made.headers, (b"content-length", str(len(made.body)).encode())]
        await send({"type": "http.response.start", "status": made.status, "headers": told})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else made.body})


def _whole(asked: Mapping[str, list[str]], name: str, default: int) -> int:
    text = asked.get(name, [str(default)])[-1]
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ConfigError(f"{name} must be a whole number from 0, got {text[:40]!r}.")
    return int(text)


def _json(value: Any, status: int = 200) -> Reply:
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
    return Reply(status, body, [(b"content-type", _JSON.encode()), *_SAFE])


def _refused(status: int, text: str, code: str = "invalid_request") -> Reply:
    """An error in the form of OpenAI's interface."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return _json({"error": {"message": text, "type": kind, "code": code, "param": None}}, status)


def _assembled() -> str:
    """The page with its style and script in it; the nonce is put in for each request."""
    here, report = files("selfj.serve"), files("selfj.report")
    style = report.joinpath("style.css").read_text("utf-8") + here.joinpath("page.css").read_text("utf-8")
    script = here.joinpath("page.js").read_text("utf-8")
    page = here.joinpath("page.html").read_text("utf-8")
    return page.replace("{{style}}", style).replace("{{script}}", script)
