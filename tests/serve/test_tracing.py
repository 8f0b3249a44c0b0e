"""Traces: the right spans, under the caller's, with what the conventions name and without a word of a message."""

import json
import subprocess
import sys
import time

import pytest

from selfj.errors import ConfigError
from selfj.serve import tracing
from selfj.serve.settings import ServeSettings

from .conftest import BAD, GOOD, KEY

exporting = pytest.importorskip("opentelemetry.sdk.trace.export", reason="pip install 'selfj[otel]'")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "a very private question"


@pytest.fixture
def traced(gateway):
    """A gateway with spans in memory; gives it and a function that gives the finished spans by name."""
    kept = memory.InMemorySpanExporter()

    def build(**settings):
        made = tracing.over(exporting.SimpleSpanProcessor(kept))
        served = gateway(hooks={"tracing": made}, **settings)

        def spans():
            # The span of a request ends after its reply has gone out.
            end = time.monotonic() + 10
            while served.app._inflight:
                assert time.monotonic() < end
                time.sleep(0.002)
            found = {}
            for span in kept.get_finished_spans():
                found.setdefault(span.name, []).append(span)
            return found

        return served, spans

    return build


def said(found):
    """Everything that a trace says, as one text."""
    return "\n".join(span.to_json() for group in found.values() for span in group)


def test_a_request_is_one_trace_under_the_callers(traced, upstream):
    served, spans = traced()
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "name=somebody", "authorization": "Bearer caller"}
    served.chat(SECRET, headers=headers, temperature=0.5, max_tokens=20)
    found = spans()
    assert sorted(found) == ["POST /v1/chat/completions", "chat m", "judge", "record"]
    (server,), (client,), (judge,), (record,) = (
        found[name] for name in ("POST /v1/chat/completions", "chat m", "judge", "record")
    )
    assert f"{server.context.trace_id:032x}" == TRACE
    assert f"{server.parent.span_id:016x}" == PARENT
    assert {span.parent.span_id for span in (client, judge, record)} == {server.context.span_id}
    assert (server.kind.name, client.kind.name) == ("SERVER", "CLIENT")
    # The upstream goes on from the span of its own request, and learns nothing else of the caller.
    assert upstream.headers[0]["traceparent"] == f"00-{TRACE}-{client.context.span_id:016x}-01"
    assert "baggage" not in upstream.headers[0]
    assert "authorization" not in upstream.headers[0]
    attributes = dict(server.attributes)
    row = served.rows[0]
    assert attributes["selfj.decision"] == row.action == "answer"
    assert (attributes["selfj.score"], attributes["selfj.threshold"]) == (row.score, row.threshold)
    assert (attributes["selfj.decision_id"], attributes["selfj.request_id"]) == (row.id, row.request_id)
    for name, value in {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 20,
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.response.model": "m",
        "gen_ai.response.finish_reasons": ("stop",),
    }.items():
        assert attributes[name] == value, name
    assert client.attributes["server.address"] == "127.0.0.1"
    assert client.attributes["gen_ai.usage.output_tokens"] == 4
    assert judge.attributes["gen_ai.evaluation.score.value"] == row.score
    text = said(found)
    for word in (SECRET, GOOD, "caller", KEY, "somebody"):
        assert word not in text


def test_a_request_without_a_trace_begins_one(traced, upstream):
    served, spans = traced()
    served.chat()
    (server,) = spans()["POST /v1/chat/completions"]
    assert server.parent is None
    assert upstream.headers[0]["traceparent"].startswith(f"00-{server.context.trace_id:032x}-")
    served.http.get("/health/ready")
    served.http.get("/metrics")
    assert list(spans()) == ["chat m", "judge", "record", "POST /v1/chat/completions"]


def test_a_caller_who_is_not_sampled_costs_nothing_but_is_passed_on(traced, upstream):
    served, spans = traced()
    served.chat(headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert spans() == {}
    assert upstream.headers[0]["traceparent"].startswith(f"00-{TRACE}-")
    assert upstream.headers[0]["traceparent"].endswith("-00")


def test_what_fails_is_marked_with_its_kind_alone(traced, upstream):
    upstream.plan = ["500", "500"]
    served, spans = traced()
    assert served.chat(SECRET).status_code == 502
    found = spans()
    (client,) = found["chat m"]
    (server,) = found["POST /v1/chat/completions"]
    assert (client.status.status_code.name, client.attributes["error.type"]) == ("ERROR", "upstream_error")
    assert (server.status.status_code.name, server.attributes["error.type"]) == ("ERROR", "502")
    assert server.attributes["selfj.decision"] == "error"
    assert client.events == server.events == ()
    assert "fault 500" not in said(found)


def test_streams_and_further_draws_have_their_spans(traced, upstream):
    served, spans = traced(streaming="early")
    assert GOOD[:4] in served.chat(SECRET, stream=True).text
    (server,) = spans()["POST /v1/chat/completions"]
    (client,) = spans()["chat m"]
    assert client.parent.span_id == server.context.span_id
    assert client.end_time <= server.end_time
    assert server.attributes["selfj.decision"] == "answer"
    upstream.default = BAD
    served, spans = traced(resample={"n": 3, "threshold": 5.0})
    served.chat(SECRET)
    server = spans()["POST /v1/chat/completions"][-1]
    mine = [span for span in spans()["chat m"] if span.context.trace_id == server.context.trace_id]
    assert len(mine) == 3
    assert {span.parent.span_id for span in mine} == {server.context.span_id}
    assert server.attributes["selfj.attempts"] == 3
    assert SECRET not in said(spans())


@pytest.fixture
def quiet(monkeypatch):
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", tracing.ENDPOINT, tracing.TRACES_ENDPOINT):
        monkeypatch.delenv(name, raising=False)


def test_traces_are_asked_for_by_setting_or_environment(quiet, monkeypatch):
    assert tracing.start(None) is tracing.NOTHING
    for name, value in ((tracing.ENDPOINT, "http://127.0.0.1:9"), (tracing.TRACES_ENDPOINT, "http://127.0.0.1:9/x")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            made = tracing.start(None)
            assert made is not tracing.NOTHING
            made.close()
            patch.setenv("OTEL_SDK_DISABLED", "true")
            assert tracing.start(None) is tracing.NOTHING
    made = tracing.start("http://127.0.0.1:9")
    made.close()
    with pytest.raises(ConfigError, match="otel_endpoint must be an address"):
        tracing.start("collector:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ConfigError, match="asks for grpc"):
        tracing.start("http://127.0.0.1:9")


def test_without_the_packages_it_is_refused_before_it_starts(quiet, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"pip install 'selfj\[otel\]'"):
        tracing.start("http://127.0.0.1:9")
    monkeypatch.setenv(tracing.ENDPOINT, "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=tracing.ENDPOINT):
        tracing.start(None)


def test_nothing_of_it_is_imported_unless_asked_for():
    code = "import sys, selfj.serve.server; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_exporter_sends_to_a_collector(quiet, loop):
    from aiohttp import web

    seen = []

    async def take(request):
        seen.append((request.path, request.content_type, await request.read()))
        return web.Response()

    async def open_():
        app = web.Application()
        app.router.add_post("/{tail:.*}", take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = loop.run(open_())
    made = tracing.start(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    with made.request("POST", "/v1/completions", {}) as span:
        span.put("selfj.score", 7.5)
    made.close()
    loop.run(runner.cleanup())
    ((path, kind, body),) = seen
    assert (path, kind) == ("/v1/traces", "application/x-protobuf")
    for word in (b"POST /v1/completions", b"selfj.score", b"service.name", b"selfj"):
        assert word in body


def test_the_setting_is_one_of_the_gateway():
    made = ServeSettings.model_validate(
        json.loads('{"run": "r", "upstream": {"base_url": "http://x/v1"}, "otel_endpoint": "http://127.0.0.1:4318"}')
    )
    assert made.otel_endpoint == "http://127.0.0.1:4318"
