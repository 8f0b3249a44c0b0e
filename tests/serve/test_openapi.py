"""The description of the routes against the routes themselves."""

import json

import pytest

from selfj.serve.openapi import PATH, PATHS
from selfj.serve.page import Page
from selfj.serve.store import Store

from .conftest import fake_judge

LEVELS = [f"level {place}" for place in range(10)]
BODIES = {
    "/v1/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "2 + 2?"}]},
    "/v1/completions": {"model": "m", "prompt": "2 + 2?"},
    "/v1/systemone": {
        "model": "m",
        "state": {"instruction": "2 + 2?", "response": "4"},
        "questions": {"a": {"type": "score", "criteria": LEVELS}},
    },
    "/v1/decisions": {
        "model": "m",
        "input": json.dumps({"instruction": "2 + 2?", "response": "4"}),
        "questions": [{"type": "score", "instructions": "", "levels": [{"label": "x"}] * 10}],
    },
    "/v1/feedback": {"decision_id": "nothing", "good": True},
}


@pytest.fixture
def served(gateway, tmp_path):
    with Store(str(tmp_path / "audit.sqlite")) as store:
        page = Page(store)
        yield gateway(judge=fake_judge(), extra_routes=page.routes(), hooks={"open_paths": ["/"]})


def test_each_route_is_described_and_each_described_one_is_there(served):
    described = served.http.get(PATH).json()
    known = {path.partition("{")[0]: set(found) for path, found in described["paths"].items()}
    there = {path: {method.lower() for method in found} for path, found in served.app._routes.items()}
    assert known == there
    assert set(described["paths"]) == set(PATHS)
    assert "security" not in described


def test_a_gateway_without_a_page_does_not_describe_one(gateway, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("0" * 64)
    described = gateway(keys=str(keys)).http.get(PATH).json()
    assert "/" not in described["paths"]
    assert "/v1/feedback" not in described["paths"]
    assert described["security"] == [{"key": []}]


def test_references_lead_somewhere():
    from selfj.serve.openapi import describe

    text = json.dumps(describe([path.partition("{")[0] for path in PATHS], keys=False))
    known = set(json.loads(text)["components"]["schemas"])
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == known


@pytest.mark.parametrize("path", PATHS)
def test_what_is_required_is_what_the_route_needs(served, path):
    (method,) = PATHS[path]
    if method == "get":
        status = served.http.get(path.replace("{id}", "nothing")).status_code
        assert status == (404 if "{id}" in path else 200)
        return
    described = served.http.get(PATH).json()
    name = described["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = described["components"]["schemas"][name.rpartition("/")[2]]
    body = BODIES[path]
    good = 404 if path == "/v1/feedback" else 200
    assert served.http.post(path, json=body).status_code == good
    assert set(schema["required"]) <= set(body) <= set(schema["properties"])
    for field in schema["required"]:
        less = {key: value for key, value in body.items() if key != field}
        assert served.http.post(path, json=less).status_code == 400, field
