"""The gateway's routes as an OpenAPI description, written by hand and held against the real routes by the tests."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import selfj
from selfj.serve.decisions import LEVELS
from selfj.serve.errors import dump_json
from selfj.serve.http import Reply, Request

PATH = "/openapi.json"
Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_ANY: Schema = {}


def _object(fields: Mapping[str, Schema], required: Sequence[str] = (), *, more: bool = True) -> Schema:
    made: Schema = {"type": "object", "properties": dict(fields)}
    if required:
        made["required"] = list(required)
    return made if more else made | {"additionalProperties": False}


def _list(item: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": item} | ({"minItems": least} if least else {})


def _ten(item: Schema) -> Schema:
    return _list(item) | {"minItems": LEVELS, "maxItems": LEVELS}


def _or_null(kind: str) -> Schema:
    return {"type": [kind, "null"]}


def _named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_MESSAGE = _object(
    {"role": _TEXT, "content": {"anyOf": [_TEXT, {"type": "null"}, _list(_object({"type": _TEXT, "text": _TEXT}))]}},
    ["role"],
)
_KNOB = {
    "description": "The least score or the greatest risk for this request, within the operator's bounds; not both.",
    "anyOf": [
        {"type": "null"},
        _object({"threshold": {"type": "number"}}, more=False),
        _object({"max_risk": {"type": "number"}}, more=False),
    ],
}
_ASKED = {
    "model": _TEXT | {"minLength": 1},
    "stream": _or_null("boolean"),
    "stream_options": {"anyOf": [{"type": "null"}, _object({"include_usage": _FLAG})]},
    "n": _or_null("integer") | {"minimum": 1},
    "selfj": _KNOB,
}
_LEVEL = _object({"label": _TEXT}, ["label"])
_EXCHANGE = {
    "description": "Instruction and response, messages that end with the assistant's, or a text that holds either.",
    "anyOf": [
        _object(
            {"instruction": _TEXT, "response": _TEXT, "reference": _or_null("string")},
            ["instruction", "response"],
            more=False,
        ),
        _object({"messages": _list(_MESSAGE, 1)}, ["messages"]),
        _list(_MESSAGE, 1),
        _TEXT,
    ],
}
_USAGE: Schema = {"type": ["object", "null"]}

SCHEMAS: dict[str, Schema] = {
    "Error": _object(
        {
            "error": _object(
                {"message": _TEXT, "type": _TEXT, "param": _or_null("string"), "code": _TEXT, "request_id": _TEXT},
                ["message", "type", "code"],
            )
        },
        ["error"],
    ),
    "Message": _MESSAGE,
    "Verdict": _object(
        {
            "decision": {"enum": ["answer", "decline", "pass"]},
            "code": {"enum": ["answered", "declined", "passed_unjudged"]},
            "score": _or_null("number"),
            "threshold": _or_null("number"),
            "label_mass": _or_null("number"),
            "step": _TEXT,
            "judge": _TEXT,
            "reason": _TEXT,
            "attempts": {"type": "integer"},
            "observed": _FLAG,
            "latency_ms": _object({name: {"type": "number"} for name in ("total", "upstream", "judge")}),
        },
        ["decision", "code", "score", "threshold", "step", "judge", "reason"],
    ),
    "ChatRequest": _object(_ASKED | {"messages": _list(_named("Message"), 1)}, ["model", "messages"]),
    "TextRequest": _object(
        _ASKED | {"prompt": {"anyOf": [_TEXT, _list(_TEXT, 1), _list({"type": "integer"}, 1)]}}, ["model", "prompt"]
    ),
    "Completion": _object(
        {"choices": _list(_object({"index": {"type": "integer"}})), "usage": _USAGE, "selfj": _named("Verdict")},
        ["choices", "selfj"],
    ),
    "ScoreRequest": _object(
        {
            "model": _or_null("string") | {"minLength": 1},
            "state": _EXCHANGE,
            "questions": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"minLength": 1},
                "additionalProperties": _object(
                    {"type": {"enum": ["score"]}, "criteria": _ten(_TEXT) | {"uniqueItems": True}}, ["type", "criteria"]
                ),
            },
            "instructions": _ANY,
            "chat_template_kwargs": _ANY,
            "user": _ANY,
            "request_id": _ANY,
        },
        ["state", "questions"],
        more=False,
    ),
    "DecisionRequest": _object(
        {
            "model": _TEXT | {"minLength": 1},
            "input": _EXCHANGE,
            "questions": _list(
                _object(
                    {"type": {"enum": ["score"]}, "instructions": _TEXT, "levels": _ten(_LEVEL)},
                    ["type", "instructions", "levels"],
                ),
                1,
            ),
        },
        ["model", "input", "questions"],
    ),
    "Feedback": _object(
        {
            "decision_id": _TEXT | {"minLength": 1},
            "good": _or_null("boolean"),
            "quality": _or_null("number") | {"minimum": 0, "maximum": 9},
            "who": _TEXT,
            "comment": _TEXT,
        },
        ["decision_id"],
    ),
}

_ERRORS = (400, 401, 404, 405, 413, 415, 422, 429, 431, 499, 500, 501, 502, 503, 504)


def _operation(
    told: str, body: str | None = None, good: Mapping[str, Schema] | None = None, status: int = 200
) -> Schema:
    contents = {kind: {"schema": schema} for kind, schema in (good or {"application/json": {"type": "object"}}).items()}
    error = {"description": "An error.", "content": {"application/json": {"schema": _named("Error")}}}
    made: Schema = {
        "summary": told,
        "responses": {str(status): {"description": "As asked.", "content": contents}}
        | {str(code): error for code in _ERRORS},
    }
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _named(body)}}}
    return made


def _parameter(name: str, place: str, schema: Schema) -> Schema:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _answer(told: str, body: str) -> Schema:
    return _operation(told, body, {"application/json": _named("Completion"), "text/event-stream": _ANY})


def _ready() -> Schema:
    made = _operation("Whether this gateway can answer.")
    made["responses"]["503"]["content"]["application/json"]["schema"] = {"type": "object"}
    return made


def _open(operation: Schema) -> Schema:
    return operation | {"security": []}


_WHOLE: Schema = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
_RECENT = _operation("The last decisions.") | {
    "parameters": [_parameter("after", "query", _WHOLE), _parameter("limit", "query", _WHOLE)]
}
PATHS: dict[str, dict[str, Schema]] = {
    "/v1/chat/completions": {"post": _answer("Ask, and get what was judged.", "ChatRequest")},
    "/v1/completions": {"post": _answer("Complete a text, and get what was judged.", "TextRequest")},
    "/v1/models": {"get": _operation("The upstream's models.")},
    "/v1/systemone": {"post": _operation("Ask the judge about an exchange.", "ScoreRequest")},
    "/v1/decisions": {"post": _operation("Ask the judge about an exchange.", "DecisionRequest")},
    "/v1/feedback": {"post": _operation("Say how good an answer was.", "Feedback", status=201)},
    "/health/live": {"get": _open(_operation("Whether this process lives."))},
    "/health/ready": {"get": _open(_ready())},
    "/metrics": {"get": _operation("Figures in the text format of Prometheus.", good={"text/plain": _TEXT})},
    PATH: {"get": _open(_operation("This description."))},
    "/": {"get": _open(_operation("The page.", good={"text/html": _TEXT}))},
    "/selfj/decisions": {"get": _RECENT},
    "/selfj/decision/{id}": {
        "get": _operation("One decision.") | {"parameters": [_parameter("id", "path", _TEXT | {"minLength": 1})]}
    },
    "/selfj/curve": {"get": _operation("Risk against coverage.")},
    "/selfj/histogram": {"get": _operation("Scores of answers and declines.")},
    "/selfj/drift": {"get": _operation("Whether the promise still holds.")},
}


def describe(routes: Collection[str], *, keys: bool) -> Schema:
    """The description of a gateway.

    Args:
        routes: Paths that it has; one that ends in `/` holds for all below it.
        keys: Whether callers need a key.
    """
    paths = {path: dict(found) for path, found in PATHS.items() if path.partition("{")[0] in routes}
    made: Schema = {
        "openapi": "3.1.0",
        "info": {"title": "selfj serve", "version": selfj.__version__, "summary": "A gateway that judges answers."},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return made | ({"security": [{"key": []}]} if keys else {})


class OpenApi:
    """Gives the description."""

    def __init__(self, routes: Collection[str], *, keys: bool):
        """Write it once; see `describe`."""
        self._body = dump_json(describe(routes, keys=keys))

    async def handle(self, request: Request) -> Reply:
        """`GET /openapi.json`."""
        return Reply(200, self._body, [(b"content-type", b"application/json")])
