"""A release holds every row in each form, says what it is, and goes to the hub as data without showing a token."""

import gzip
import hashlib
import json
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

from selfj.collection.datacard import size_category, write_datacard
from selfj.collection.describe import describe
from selfj.collection.finished import PART, open_collection
from selfj.collection.release import lines, push, release
from selfj.errors import ArtefactError, ConfigError

from ..publish.hub_fake import FakeHub
from .finished_folder import lost, make_finished, row

# The hub's library uploads large files with a word that its own HTTP client has given up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_averysecrettoken0123456789"


def rows():
    made = []
    for k in range(57):
        text, category = f"Frage {k} \u00fcber \u2028 Zeilen\n{{}}", "common" if k % 3 else "coding"
        copies = {"copies": k % 3, "copy_sources": ["b"] * (k % 3)}
        made.append(row("a", k, text, category, "ja" if k % 2 else None, **copies))
    return made


@pytest.fixture
def collection(tmp_path):
    sources = {"a": {"licence": "cc-by-sa-4.0", "note": "A | <b>note</b>", "hub": "acme/a", "path": None}}
    gone = [lost("a", 900, "duplicate", of=("a", 1)), lost("b", 1, "too_short")]
    return open_collection(make_finished(tmp_path / "own", rows(), gone, sizes=(20, 3), sources=sources))


@pytest.fixture
def hub(monkeypatch):
    # The tests are offline; this hub is on this machine.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(_http.time, "sleep", lambda _: None)
    made = FakeHub(TOKEN)
    yield made
    made.close()


def read_lines(path):
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode()
    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd").read().decode()


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_every_row_is_there_in_each_form(collection, tmp_path, compression):
    made = release(collection, tmp_path / "out", form="both", compression=compression, rows_per_file=25)
    parquet = sorted((tmp_path / "out" / "data").iterdir())
    assert [path.name for path in parquet] == [f"train-0000{k}-of-00003.parquet" for k in range(3)]
    tables = [pq.read_table(path) for path in parquet]
    assert [table.num_rows for table in tables] == [25, 25, 7]
    assert all(table.schema.equals(PART) for table in tables)
    assert pa.concat_tables(tables).to_pylist() == rows()
    text = "".join(read_lines(path) for path in sorted((tmp_path / "out" / "jsonl").iterdir()))
    assert [json.loads(line) for line in text.removesuffix("\n").split("\n")] == rows()
    assert made.rows == 57


def test_the_same_collection_gives_the_same_bytes_and_true_checksums(collection, tmp_path):
    for name in ("x", "y"):
        release(collection, tmp_path / name, form="both", compression="gzip")
    for path in (tmp_path / "x").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "y" / path.relative_to(tmp_path / "x")).read_bytes()
    sums = (tmp_path / "x" / "SHA256SUMS").read_text().splitlines()
    for line in sums:
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "x" / name).read_bytes()).hexdigest() == digest
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "x", check=False)
    assert done.returncode == 0
    assert not list(tmp_path.glob(".*"))


def test_a_release_that_is_there_is_checked_and_anything_else_is_left_alone(collection, tmp_path):
    out = tmp_path / "out"
    first = release(collection, out)
    again = release(collection, out)
    assert (again.made, again.files, again.rows) == (False, first.files, 57)
    assert lines(again, None, None) == [f"There already, and whole: {out}, 57 rows, 5 files"]
    with pytest.raises(ConfigError, match="is no release of this kind"):
        release(collection, out, form="jsonl")
    next((out / "data").iterdir()).write_bytes(b"damaged")
    with pytest.raises(ArtefactError, match="is not what was written"):
        release(collection, out)
    other = tmp_path / "mine"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        release(collection, other)
    assert [path.name for path in other.iterdir()] == ["notes.txt"]
    for wrong in ({"form": "csv"}, {"compression": "lzma"}, {"rows_per_file": 0}):
        with pytest.raises(ConfigError, match=r"expected one of|at least 1"):
            release(collection, tmp_path / "new", **wrong)


def test_an_empty_collection_is_released(tmp_path):
    made = release(open_collection(make_finished(tmp_path / "own", [], [lost("a", 0, "too_short")])), tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet").num_rows == made.rows == 0


def test_the_card_says_what_a_reader_must_know(collection):
    card = write_datacard(describe(collection, sample=0).numbers, [("default", "data/*.parquet"), ("jsonl", "j/*")])
    head = dict(line.split(": ", 1) for line in card.split("---\n")[1].splitlines())
    head = {name: json.loads(value) for name, value in head.items()}
    assert head["license"] == "cc-by-sa-4.0"
    assert head["language"] == ["en"]
    assert head["size_categories"] == ["n<1K"]
    assert [c["config_name"] for c in head["configs"]] == ["default", "jsonl"]
    assert head["configs"][0]["data_files"] == [{"split": "train", "path": "data/*.parquet"}]
    assert "57 instructions from 1 source," in card
    assert "`acme/a`" in card
    assert "A \\| &lt;b&gt;note&lt;/b&gt;" in card
    assert "| `duplicate` | 1 | 1.7 % |" in card
    assert "| coding | 19 |" in card


def test_licences_that_differ_unknown_or_not_commercial_are_named(tmp_path):
    stated = {"a": "mit", "b": "unknown", "c": "cc-by-nc-4.0", "d": "Own"}
    sources = {name: {"licence": licence} for name, licence in stated.items()}
    folder = make_finished(tmp_path / "own", [row(name, 0, f"Hi {name}?") for name in stated], sources=sources)
    collection = open_collection(folder)
    card = write_datacard(describe(collection, sample=0).numbers, [("default", "parts/*.parquet")])
    assert 'license: ["cc-by-nc-4.0", "mit", "other", "unknown"]' in card
    assert "No licence is stated for 1 source (b)" in card
    assert "Not for commercial use: c." in card


def test_sizes_as_the_hub_names_them():
    assert [size_category(n) for n in (0, 10_000, 999_999, 5_754_412, 10**7)] == [
        "n<1K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M",
    ]  # fmt: skip


def test_the_release_goes_to_the_hub_whole_and_as_data(collection, tmp_path, hub):
    made = release(collection, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    address = push(made, "acme/own", endpoint=hub.address)
    assert address == f"{hub.address}/acme/own"
    assert [(made["type"], made["visibility"]) for made in hub.created] == [("dataset", "private")]
    sent = hub.repositories["acme/own"]
    assert set(sent) == {"README.md", "SHA256SUMS", "release.json", "report.json", "data/train-00000-of-00001.parquet"}
    assert all(sent[name] == (tmp_path / "out" / name).read_bytes() for name in sent)
    with pytest.raises(ConfigError, match="is there already"):
        push(made, "acme/own", endpoint=hub.address)
    push(made, "acme/own", update=True, public=True, endpoint=hub.address)
    told = "\n".join(lines(made, made.sending("acme/own"), address))
    assert f"Sent to {hub.address}/acme/own" in told
    assert TOKEN not in told


def test_a_refused_push_shows_no_token(collection, tmp_path, hub):
    made = release(collection, tmp_path / "out")
    hub.faults["/api/repos/create"] = (403, {"error": f"no right for {TOKEN}"})
    with pytest.raises(ConfigError) as found:
        push(made, "acme/own", endpoint=hub.address)
    assert TOKEN not in str(found.value)
    assert "may not write" in str(found.value)
    with pytest.raises(ConfigError, match="OWNER/NAME"):
        push(made, "own", endpoint=hub.address)
