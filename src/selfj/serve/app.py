"""The application: routes, keys, limits, start and end."""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from selfj.judge import Judge
from selfj.serve import openapi
from selfj.serve.answering import Answering
from selfj.serve.decisions import Decisions
from selfj.serve.errors import ApiError
from selfj.serve.hangup import HungUp
from selfj.serve.http import (
    ExtraRoute,
    Handler,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    check_head,
    error_reply,
    json_reply,
    request_of,
    send_reply,
)
from selfj.serve.judging import JudgeQueue
from selfj.serve.keys import Keys
from selfj.serve.logs import log, log_fault
from selfj.serve.metrics import CONTENT_TYPE, Metrics
from selfj.serve.openapi import OpenApi
from selfj.serve.policy import Policy
from selfj.serve.records import Recorder
from selfj.serve.requests import CHAT, TEXT
from selfj.serve.settings import ServeSettings
from selfj.serve.shared import Shared
from selfj.serve.thresholds import Thresholds
from selfj.serve.tracing import NOTHING, Tracing
from selfj.serve.upstream import Upstream

_OPEN = {"/health/live", "/health/ready"}
"""Paths that need no key."""
_UNTRACED = _OPEN | {"/metrics"}
_TRACES_S = 5.0
"""How long the last traces may take to be sent."""
_TELL_S = 1.0
"""How often a worker tells the others how it stands."""


class Gateway:
    """An ASGI application."""

    def __init__(
        self,
        settings: ServeSettings,
        judge: Judge,
        recorder: Recorder,
        extra_routes: Sequence[ExtraRoute] = (),
        *,
        open_paths: Collection[str] = (),
        more_metrics: Sequence[Callable[[], str]] = (),
        metrics: Metrics | None = None,
        shared: Shared | None = None,
        tracing: Tracing = NOTHING,
    ):
        """Put the parts together; see `create_app`."""
        self.settings = settings
        self.metrics = metrics or Metrics(shared)
        self._shared = shared
        self._recorder = recorder
        self._open = _OPEN | {openapi.PATH} | set(open_paths)
        self._more_metrics = more_metrics
        self._tracing = tracing
        self._upstream = Upstream(settings.upstream, tracing)
        self._escalation = Upstream(settings.escalate.upstream, tracing) if settings.escalate else None
        self._judge = JudgeQueue(judge, settings.judge, tracing)
        self._keys = Keys.load(settings.keys) if settings.keys else None
        thresholds = Thresholds(settings, judge.digest)
        self.metrics.covers(thresholds.covered)
        policy = Policy(settings, self._upstream, self._escalation, self._judge, thresholds)
        self._answering = Answering(policy, recorder, self.metrics, judge.digest, tracing)
        quality = thresholds.default.min_quality if thresholds.default else 5.0
        most = settings.limits.questions
        decisions = Decisions(self._judge, most=most, yes_no=settings.yes_no, min_quality=quality)
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/chat/completions": {"POST": self._chat},
            "/v1/completions": {"POST": self._text},
            "/v1/models": {"GET": self._models},
            "/v1/systemone": {"POST": decisions.systemone},
            "/v1/decisions": {"POST": decisions.decisions},
            "/health/live": {"GET": self._live},
            "/health/ready": {"GET": self._ready},
            "/metrics": {"GET": self._metrics},
        }
        for method, path, handler in extra_routes:
            self._routes.setdefault(path, {})[method] = handler
        described = OpenApi({*self._routes, openapi.PATH}, keys=self._keys is not None)
        self._routes[openapi.PATH] = {"GET": described.handle}
        self._inflight = 0
        self._telling: asyncio.Task[None] | None = None
        self._up = False
        self.draining = False
        breakers = {"upstream": self._upstream.breaker}
        if self._escalation is not None:
            breakers["escalation"] = self._escalation.breaker
        self.metrics.watch(self._judge, breakers, lambda: self._inflight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's event, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def start(self) -> None:
        """Open the ways to the upstreams and begin to judge."""
        await self._upstream.start()
        if self._escalation is not None:
            await self._escalation.start()
        self._judge.start()
        if self._shared is not None:
            self._telling = asyncio.create_task(self._tell_others())
        self._up = True

    async def close(self) -> None:
        """End, once nothing is under way; every row is kept before."""
        self._up = False
        if self._telling is not None:
            self._telling.cancel()
        await self._judge.close()
        await self._upstream.close()
        if self._escalation is not None:
            await self._escalation.close()
        await self._recorder.close()
        await self._end_traces()

    async def _end_traces(self) -> None:
        # A collector that is down must not hold up the end; a thread that still tries goes with the process.
        sending = threading.Thread(target=self._tracing.close, name="selfj-traces", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _TRACES_S)

    async def _tell_others(self) -> None:
        while True:
            self.metrics.refresh()
            await asyncio.sleep(_TELL_S)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            step = message["type"].removeprefix("lifespan.")
            try:
                await (self.start() if step == "startup" else self.close())
            except Exception as error:
                log_fault("lifespan", step=step)
                await send({"type": f"lifespan.{step}.failed", "message": type(error).__name__})
                return
            await send({"type": f"lifespan.{step}.complete"})
            if step == "shutdown":
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request = request_of(scope, receive, body_limit=self.settings.limits.body_bytes)
        self._inflight += 1
        path = request.path if request.path in self._routes else "other"
        tracing = NOTHING if path in _UNTRACED else self._tracing
        try:
            with tracing.request(request.method, path, request.headers) as span:
                reply = await self._reply(scope, request)
                span.put("http.response.status_code", reply.status)
                span.put("selfj.request_id", request.id)
                if reply.status >= 500:
                    span.fail(str(reply.status))
                first = await send_reply(reply, request.id, send)
        except HungUp:
            log("hung_up", request_id=request.id)
            return
        finally:
            self._inflight -= 1
            request.caller.close()
        self.metrics.status(path, reply.status)
        if reply.streaming is not None:
            self.metrics.streamed(reply.streaming, first - began, time.perf_counter() - began)
        if path not in _OPEN:
            told = {name.decode()[8:]: value.decode() for name, value in reply.headers if name[:8] == b"x-selfj-"}
            took = round((time.perf_counter() - began) * 1000, 3)
            log("reply", request_id=request.id, route=path, status=reply.status, ms=took, **told)

    async def _reply(self, scope: Scope, request: Request) -> Reply:
        try:
            check_head(scope, self.settings.limits.header_bytes)
            handler = self._handler(request)
            if request.path not in self._open:
                if self._keys is not None:
                    self._keys.check(request.headers.get("authorization", ""))
                if self._inflight > self.settings.limits.inflight:
                    raise ApiError(503, "busy", "Too many requests are under way. Try again.", retry_after="1")
            return await handler(request)
        except ApiError as error:
            if error.__cause__ is not None:
                log_fault(error.code, request_id=request.id)
            return error_reply(error, request.id)
        except asyncio.CancelledError:
            raise
        except Exception:
            log_fault("fault", request_id=request.id)
            told = "The gateway failed in a way that was not foreseen. Its log has the request's identifier."
            return error_reply(ApiError(500, "internal_error", told), request.id)

    def _handler(self, request: Request) -> Handler:
        found = self._routes.get(request.path)
        method = "GET" if request.method == "HEAD" else request.method
        if found is None:
            prefixes = [path for path in self._routes if path.endswith("/") and len(path) > 1]
            below = [path for path in prefixes if request.path.startswith(path)]
            found = self._routes[max(below, key=len)] if below else {}
            if method not in found:
                raise ApiError(404, "not_found", "There is no such route here.")
        if method not in found:
            raise ApiError(405, "method_not_allowed", f"This route takes {', '.join(sorted(found))}.")
        return found[method]

    async def _chat(self, request: Request) -> Reply:
        return await self._answering.answer(CHAT, request)

    async def _text(self, request: Request) -> Reply:
        return await self._answering.answer(TEXT, request)

    async def _models(self, request: Request) -> Reply:
        return json_reply(await self._upstream.get("models", request.id))

    async def _live(self, request: Request) -> Reply:
        return json_reply({"status": "live"})

    async def _ready(self, request: Request) -> Reply:
        parts: dict[str, Any] = {
            "started": self._up,
            "draining": self.draining,
            "judge": not self._judge.stuck,
            "upstream": self._upstream.breaker.state,
        }
        if self._shared is not None and (state := self._shared.state()) is not None:
            parts["workers"] = {"wanted": state.workers, "up": state.up}
        good = self._up and not self.draining and parts["judge"] and parts["upstream"] != "open"
        return json_reply({"status": "ready" if good else "not_ready"} | parts, status=200 if good else 503)

    async def _metrics(self, request: Request) -> Reply:
        text = self.metrics.text()
        for more in self._more_metrics:
            try:
                text += (await asyncio.to_thread(more)).encode()
            except Exception:
                # The others are still of use; that these are missing shows.
                log_fault("metrics", request_id=request.id)
        return Reply(200, text, [(b"content-type", CONTENT_TYPE.encode())])


def create_app(
    settings: ServeSettings,
    judge: Judge,
    recorder: Recorder,
    extra_routes: Sequence[ExtraRoute] = (),
    *,
    open_paths: Collection[str] = (),
    more_metrics: Sequence[Callable[[], str]] = (),
    metrics: Metrics | None = None,
    shared: Shared | None = None,
    tracing: Tracing = NOTHING,
) -> Gateway:
    """Make the gateway.

    Args:
        settings: All of them; the run's `threshold.json` is read here.
        judge: Scores; its digest must be the one that the thresholds were chosen for.
        recorder: Keeps each decision before its reply goes out; closed with the gateway.
        extra_routes: Further routes, behind the same keys and limits.
        open_paths: Paths that need no key, such as that of a page which asks for one.
        more_metrics: Give further text for `/metrics`; called in a thread.
        metrics: Counters that others count with too; None makes new ones.
        shared: This worker's place among others; None where there is one process.
        tracing: Where spans go; closed with the gateway.

    Raises:
        ArtefactError: A threshold is absent or malformed.
        StaleArtefact: A threshold was chosen for another judge.
        ConfigError: The keys cannot be read, or an upstream's key is not set.
    """
    return Gateway(
        settings,
        judge,
        recorder,
        extra_routes,
        open_paths=open_paths,
        more_metrics=more_metrics,
        metrics=metrics,
        shared=shared,
        tracing=tracing,
    )
