"""What is here already is told without asking anyone."""

import json

from selfj.collection import fetch
from selfj.collection.sources import Source


def source(**place):
    return Source(name="own", instruction="q", **place)


def test_a_local_file_is_here_with_its_size(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"q": "Why?"}) + "\n")
    [found] = fetch.look([source(path=str(path))], tmp_path / "cache")
    assert (found.files, found.found, found.bytes, found.fault) == (1, 1, path.stat().st_size, None)
    [absent] = fetch.look([source(path=str(tmp_path / "none*.jsonl"))], tmp_path / "cache")
    assert "no file fits" in absent.fault


def test_of_a_server_only_what_came_is_known(tmp_path):
    urls = ["https://files.example/a.jsonl", "https://files.example/b.jsonl"]
    [before] = fetch.look([source(url=urls)], tmp_path)
    assert (before.files, before.found, before.bytes, before.fault) == (2, 0, None, None)
    came = tmp_path / "addresses" / "own" / "0001-b.jsonl"
    came.parent.mkdir(parents=True)
    came.write_text("{}\n")
    [after] = fetch.look([source(url=urls)], tmp_path)
    assert (after.files, after.found, after.bytes) == (2, 1, None)


def test_a_repository_that_was_never_listed_is_not_known(tmp_path):
    [found] = fetch.look([source(hub="acme/own")], tmp_path)
    assert (found.files, found.found, found.bytes, found.fault) == (0, 0, None, None)
    assert not list(tmp_path.iterdir())
