"""Traces by OpenTelemetry, where they are asked for; otherwise nothing of it is imported.

Attributes follow its conventions for HTTP and for generative AI where these have a name, and are `selfj.…` elsewhere.
A body, a text of a message or a key is never among them.
"""

import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from selfj.errors import ConfigError
from selfj.serve.requests import CHAT, Asked

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PLAIN = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens", "seed")


class Span(Protocol):
    """One part of a request."""

    def put(self, name: str, value: Any) -> None:
        """Set an attribute; None leaves it out."""
        ...

    def fail(self, kind: str) -> None:
        """Say that it failed, in one word."""
        ...


class _Nothing:
    """A span that is not recorded."""

    def put(self, name: str, value: Any) -> None:
        """Drop it."""

    def fail(self, kind: str) -> None:
        """Drop it."""


class Tracing:
    """Makes spans; this one makes none."""

    @contextmanager
    def request(self, method: str, route: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """Around a request; goes on with the caller's trace where its `traceparent` names one."""
        yield _Nothing()

    @contextmanager
    def client(self, name: str, address: str) -> Iterator[Span]:
        """Around a request to another server."""
        yield _Nothing()

    @contextmanager
    def part(self, name: str) -> Iterator[Span]:
        """Around a part of the work in this process."""
        yield _Nothing()

    def current(self) -> Span:
        """The span that is under way."""
        return _Nothing()

    def carry(self, headers: MutableMapping[str, str], span: Span) -> None:
        """Put the trace into the headers of a request that goes out, with its span as the parent there."""

    def close(self) -> None:
        """Send what is left."""


NOTHING = Tracing()


def wanted(endpoint: str | None) -> bool:
    """Whether traces are asked for, by the setting or by OpenTelemetry's own variables."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(endpoint or os.environ.get(ENDPOINT) or os.environ.get(TRACES_ENDPOINT))


def start(endpoint: str | None) -> Tracing:
    """Prepare tracing, where it is asked for.

    Args:
        endpoint: Address of the collector over HTTP, such as `http://127.0.0.1:4318`; None takes that of the
            environment, and none there means no traces. The variables of OpenTelemetry hold for the rest.

    Raises:
        ConfigError: Its packages are not installed, or the environment asks for another protocol than HTTP.
    """
    if not wanted(endpoint):
        return NOTHING
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if os.environ.get(name, "http/protobuf") != "http/protobuf":
            raise ConfigError(
                f"{name} asks for {os.environ[name]}, and traces are sent as http/protobuf. Unset it, and give the "
                "collector's HTTP port, mostly 4318."
            )
    if endpoint is not None and (urlsplit(endpoint).scheme not in {"http", "https"} or not urlsplit(endpoint).hostname):
        raise ConfigError("otel_endpoint must be an address such as http://127.0.0.1:4318.")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        asks = "otel_endpoint" if endpoint else ENDPOINT
        raise ConfigError(
            f"{asks} asks for traces, and OpenTelemetry is not installed: pip install 'selfj[otel]', or unset it."
        ) from error
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces") if endpoint else OTLPSpanExporter()
    return over(BatchSpanProcessor(exporter))


def over(processor: Any) -> Tracing:
    """Tracing through a span processor of OpenTelemetry's SDK."""
    from opentelemetry import trace
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "selfj"}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("selfj.serve")
    # The trace alone goes on: a caller's baggage can hold whatever they know of somebody.
    context = TraceContextTextMapPropagator()

    class Real:
        """A span that is recorded."""

        def __init__(self, span: Any) -> None:
            self.span = span

        def put(self, name: str, value: Any) -> None:
            if value is not None:
                self.span.set_attribute(name, value)

        def fail(self, kind: str) -> None:
            self.span.set_attribute("error.type", kind)
            self.span.set_status(StatusCode.ERROR)

    class Traced(Tracing):
        """Makes real spans."""

        @contextmanager
        def _span(self, name: str, kind: Any, around: Any = None) -> Iterator[Real]:
            made = Real(tracer.start_span(name, around, kind))
            try:
                yield made
            except GeneratorExit:
                raise
            except BaseException as error:
                # Its kind alone: the words of an error can hold a text of the request.
                made.fail(str(getattr(error, "code", "")) or type(error).__name__)
                raise
            finally:
                made.span.end()

        @contextmanager
        def request(self, method: str, route: str, headers: Mapping[str, str]) -> Iterator[Span]:
            around = context.extract(headers)
            with (
                self._span(f"{method} {route}", SpanKind.SERVER, around) as made,
                trace.use_span(made.span, record_exception=False, set_status_on_exception=False),
            ):
                made.put("http.request.method", method)
                made.put("http.route", route)
                yield made

        @contextmanager
        def client(self, name: str, address: str) -> Iterator[Span]:
            with self._span(name, SpanKind.CLIENT) as made:
                parts = urlsplit(address)
                made.put("server.address", parts.hostname)
                made.put("server.port", parts.port or (443 if parts.scheme == "https" else 80))
                yield made

        @contextmanager
        def part(self, name: str) -> Iterator[Span]:
            with self._span(name, SpanKind.INTERNAL) as made:
                yield made

        def current(self) -> Span:
            return Real(trace.get_current_span())

        def carry(self, headers: MutableMapping[str, str], span: Span) -> None:
            if isinstance(span, Real):
                context.inject(headers, trace.set_span_in_context(span.span))

        def close(self) -> None:
            provider.shutdown()

    return Traced()


def put_asked(span: Span, asked: Asked) -> None:
    """What a request asks for, without its words."""
    span.put("gen_ai.operation.name", operation(asked.route))
    span.put("gen_ai.provider.name", "openai")
    span.put("gen_ai.request.model", asked.model[:200])
    for name in _PLAIN:
        value = asked.body.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53:
            span.put(f"gen_ai.request.{name}", value)


def put_reply(span: Span, reply: Mapping[str, Any]) -> None:
    """What a model's reply says of itself, without its words."""
    for name in ("id", "model"):
        if isinstance(reply.get(name), str):
            span.put(f"gen_ai.response.{name}", reply[name][:200])
    usage = reply.get("usage")
    if isinstance(usage, dict):
        for ours, theirs in (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")):
            if isinstance(usage.get(theirs), int):
                span.put(f"gen_ai.usage.{ours}", usage[theirs])
    choices = reply.get("choices")
    if isinstance(choices, list):
        found = [choice.get("finish_reason") for choice in choices if isinstance(choice, dict)]
        words = [reason[:40] for reason in found if isinstance(reason, str)]
        span.put("gen_ai.response.finish_reasons", words or None)


def operation(route: str) -> str:
    """The name of a route in OpenTelemetry's conventions."""
    return "chat" if route == CHAT else "text_completion"
