"""Files come whole or not at all, once, and a source that cannot be had does not stop the rest."""

import gzip
import hashlib
import io
import json
import os
import time
from pathlib import Path

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from selfj.collection import addresses
from selfj.collection.fetch import fetch
from selfj.collection.reading import parts_of, read
from selfj.collection.sources import parse

from .servers import Files, Hub

TOKEN = "hf_averysecrettoken0123456789"
DATA = os.urandom(50_000)


@pytest.fixture
def online(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(addresses.time, "sleep", lambda _: None)


@pytest.fixture
def files(online):
    made = Files()
    yield made
    made.close()


@pytest.fixture
def hub(online, monkeypatch):
    # The tests are offline; this hub is on this machine.
    made = Hub()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", made.address)
    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda _: None)
    yield made
    made.close()


def source(**fields):
    return parse([{"name": "mine", "instruction": "question", **fields}])[0]


def one(cache, offline=False, **fields):
    [result] = fetch([source(**fields)], cache, offline=offline)
    return result


def rows_of(result):
    return [row for part in parts_of(result.source, result.files, 100) for row in read(part).to_pylist()]


def parquet(*questions):
    out = io.BytesIO()
    pq.write_table(pa.table({"question": list(questions)}), out)
    return out.getvalue()


class Told:
    """Keeps what it is told."""

    def __init__(self):
        self.total, self.done, self.notes = None, 0, []

    def start(self, stage, total, done=0):
        self.total = total

    def advance(self, n):
        self.done += n

    def tell(self, values):
        pass

    def note(self, text):
        self.notes.append(text)

    def finish(self, summary):
        pass


def test_an_address(files, tmp_path):
    files.files["/a.bin"] = DATA
    told = Told()
    url = f"{files.address}/a.bin"
    [got] = fetch([source(url=url, format="jsonl")], tmp_path, progress=told)
    assert got.fault is None
    assert got.files[0].path.read_bytes() == DATA
    assert (got.files[0].sha256, got.files[0].bytes) == (hashlib.sha256(DATA).hexdigest(), len(DATA))
    assert (got.files[0].label, told.done) == (url, len(DATA))
    # A second time nothing is asked for.
    calls = len(files.calls)
    assert one(tmp_path, url=url, format="jsonl").files == got.files
    assert len(files.calls) == calls
    kept = json.loads((tmp_path / "checksums.json").read_text())
    assert [value["sha256"] for value in kept.values()] == [got.files[0].sha256]


def test_a_cut_connection_is_gone_on_with(files, tmp_path):
    files.files["/a"] = DATA
    files.cut_after["/a"] = [20_000, 10_000]
    told = Told()
    [got] = fetch([source(url=f"{files.address}/a", format="jsonl")], tmp_path, progress=told)
    assert got.files[0].path.read_bytes() == DATA
    assert [wanted for _, wanted in files.calls] == [None, "bytes=20000-", "bytes=30000-"]
    assert told.done == len(DATA)
    assert [path.name for path in (tmp_path / "addresses/mine").iterdir()] == ["0000-a"]


def test_an_interrupted_run_is_gone_on_with(files, tmp_path):
    files.files["/a"] = DATA
    files.cut_after["/a"] = [20_000, *[0] * 4]
    url = f"{files.address}/a"
    got = one(tmp_path, url=url, format="jsonl")
    assert "failed 5 times" in got.fault
    assert got.files == ()
    assert not (tmp_path / "addresses/mine/0000-a").exists()
    del files.cut_after["/a"]
    files.calls.clear()
    assert one(tmp_path, url=url, format="jsonl").files[0].path.read_bytes() == DATA
    assert files.calls == [("/a", "bytes=20000-")]


def test_a_file_that_changed_in_between_is_begun_anew(files, tmp_path):
    files.files["/a"] = DATA
    files.cut_after["/a"] = [20_000, *[0] * 4]
    url = f"{files.address}/a"
    one(tmp_path, url=url, format="jsonl")
    files.files["/a"] = DATA[::-1]
    files.cut_after.clear()
    assert one(tmp_path, url=url, format="jsonl").files[0].path.read_bytes() == DATA[::-1]


@pytest.mark.parametrize("manner", ["no ranges", "another range", "no tag", "weak tag"])
def test_servers_without_ranges(files, tmp_path, manner):
    files.files["/a"] = DATA
    files.cut_after["/a"] = [20_000]
    files.ranges = manner != "no ranges"
    files.wrong_range = manner == "another range"
    if "tag" in manner:
        files.etags["/a"] = {"no tag": "", "weak tag": 'W/"1"'}[manner]
    told = Told()
    [got] = fetch([source(url=f"{files.address}/a", format="jsonl")], tmp_path, progress=told)
    assert got.files[0].path.read_bytes() == DATA
    if "tag" in manner:
        assert [wanted for _, wanted in files.calls] == [None, None]


def test_a_wrong_length_is_no_file(files, tmp_path):
    files.files["/a"] = DATA
    files.lie = 7
    got = one(tmp_path, url=f"{files.address}/a?key=hunter2", format="jsonl")
    assert "/a failed 5 times" in got.fault
    assert "hunter2" not in got.fault
    assert not (tmp_path / "addresses/mine/0000-a").exists()


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ([], "is not there (404): it moved or was deleted"),
        ([403], "is closed (403)"),
        ([418], "the server answered 418"),
        ([503] * 5, "failed 5 times: the server answered 503. Try again later."),
    ],
)
def test_refusals(files, tmp_path, statuses, said):
    files.statuses["/gone"] = statuses
    good, bad = source(url=f"{files.address}/good.jsonl"), source(url=f"{files.address}/gone?key=hunter2")
    files.files["/good.jsonl"] = b'{"question": "q"}\n'
    told = Told()
    results = fetch([bad, good], tmp_path, progress=told)
    assert said in results[0].fault
    assert "hunter2" not in results[0].fault
    assert told.notes == [f"mine is left out: {results[0].fault}"]
    assert [row["instruction"] for row in rows_of(results[1])] == ["q"]


def test_a_server_that_recovers(files, tmp_path):
    files.files["/a"] = DATA
    files.statuses["/a"] = [503, 429, 500]
    assert one(tmp_path, url=f"{files.address}/a", format="jsonl").fault is None


def test_nobody_there(online, tmp_path):
    got = one(tmp_path, url="http://127.0.0.1:9/a")
    assert "the connection was lost (ConnectError) after 0 bytes" in got.fault


def test_pins_and_damage(files, tmp_path):
    files.files["/a"] = DATA
    url, pin = f"{files.address}/a", hashlib.sha256(DATA).hexdigest()
    other = one(tmp_path / "x", url=url, format="jsonl", sha256=["0" * 64])
    assert "is not the pinned file: expected SHA-256 0000000000000000…" in other.fault
    assert not list((tmp_path / "x").rglob("0000-a"))
    assert "pins 2 digests, and the source has 1 files" in one(tmp_path, url=url, sha256=[pin, pin]).fault
    got = one(tmp_path / "y", url=url, format="jsonl", sha256=[pin.upper()])
    # What lies in the cache is checked again, and fetched again where it is damaged.
    got.files[0].path.write_bytes(DATA[:-1] + b"x")
    assert (
        "is damaged in the cache, and the work is offline" in one(tmp_path / "y", True, url=url, format="jsonl").fault
    )
    assert one(tmp_path / "y", url=url, format="jsonl").files[0].path.read_bytes() == DATA
    # A server that has another file now is a fault, too.
    got.files[0].path.unlink()
    files.files["/a"] = DATA * 2
    assert "is no longer the file that was listed or came before" in one(tmp_path / "y", url=url, format="jsonl").fault


def test_offline_takes_the_cache_alone(files, tmp_path, monkeypatch):
    files.files["/a"] = DATA
    url = f"{files.address}/a"
    assert "is not in the cache, and the work is offline" in one(tmp_path, True, url=url).fault
    assert files.calls == []
    one(tmp_path, url=url, format="jsonl")
    files.calls.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert one(tmp_path, url=url, format="jsonl").files[0].path.read_bytes() == DATA
    assert files.calls == []
    assert "x/y is not in the cache, and the work is offline" in one(tmp_path, hub="x/y").fault


def test_files_of_this_machine(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b.jsonl").write_text('{"question": "two"}\n')
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(b'{"question": "one"}\n'))
    (folder / "c.json").write_text('[{"question": "three"}, 4]')
    (folder / "d.jsonl.zst").write_bytes(pa.compress(b'{"question": "four"}\n', "zstd", asbytes=True))
    got = one(tmp_path / "cache", path=f"{folder}/*")
    assert got.fault is None
    rows = rows_of(got)
    assert [row["instruction"] for row in rows] == ["one", "two", "three", "", "four"]
    assert [row["position"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[3]["error"] == "not_an_object"
    assert "no file fits" in one(tmp_path / "cache", path=f"{folder}/*.csv").fault
    # Unpacked once.
    unpacked = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache/unpacked").iterdir()}
    assert len(unpacked) == 3
    assert one(tmp_path / "cache", path=f"{folder}/*").files == got.files
    assert {path: path.stat().st_mtime_ns for path in unpacked} == unpacked


def test_a_limit_ends_the_unpacking(tmp_path):
    lines = b"".join(b'{"question": "%d"}\n' % n for n in range(400_000))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines, 1))
    got = one(tmp_path / "cache", path="a.jsonl.gz", limit=250)
    assert [row["instruction"] for row in rows_of(got)] == [str(n) for n in range(250)]
    assert got.files[0].path.stat().st_size < len(lines)


@pytest.mark.parametrize("form", ["gz", "zst"])
def test_damaged_compression(tmp_path, form):
    text = b'{"question": "q"}\n' * 10_000
    data = gzip.compress(text) if form == "gz" else pa.compress(text, "zstd", asbytes=True)
    (tmp_path / f"a.jsonl.{form}").write_bytes(data[: len(data) // 2])
    got = one(tmp_path / "cache", path=f"a.jsonl.{form}")
    assert f"a.jsonl.{form} is damaged or incomplete" in got.fault
    assert not list((tmp_path / "cache").rglob("*.jsonl"))


def test_a_data_set_of_the_hub(hub, tmp_path):
    name = "acme/questions"
    hub.sets[name] = {
        "default/train/0000.parquet": parquet("a", "b"),
        "default/train/0001.parquet": parquet("c"),
        "default/test/0000.parquet": parquet("d"),
        "other/partial-train/0000.parquet": parquet("e"),
        ".gitattributes": b"",
    }
    told = Told()
    [got] = fetch([source(hub=name)], tmp_path, progress=told)
    assert [row["instruction"] for row in rows_of(got)] == ["a", "b", "c"]
    assert got.revision == hub.commit(name)
    assert [file.label for file in got.files] == ["default/train/0000.parquet", "default/train/0001.parquet"]
    sizes = [len(hub.sets[name][file.label]) for file in got.files]
    assert (told.total, told.done) == (sum(sizes), sum(sizes))
    assert [row["instruction"] for row in rows_of(one(tmp_path, hub=name, splits=["test", "train"]))] == list("dabc")
    assert [row["instruction"] for row in rows_of(one(tmp_path, hub=name, splits=["*"], configs=["*"]))] == list(
        "dabce"
    )
    assert [row["instruction"] for row in rows_of(one(tmp_path, hub=name, files=["*/test/*"]))] == ["d"]
    assert set(hub.tokens) == {f"Bearer {TOKEN}"}
    kept = "".join(path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN not in kept
    # What the revision held when it was first asked for stays, and no further call is made.
    hub.sets[name]["default/train/0002.parquet"] = parquet("new")
    hub.calls.clear()
    assert [row["instruction"] for row in rows_of(one(tmp_path, True, hub=name))] == ["a", "b", "c"]
    assert [row["instruction"] for row in rows_of(one(tmp_path, hub=name))] == ["a", "b", "c"]
    assert hub.calls == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hub": "acme/absent"}, "the hub has no data set acme/absent (404)"),
        ({"hub": "acme/gated"}, "acme/gated is gated: agree to its terms"),
        ({"hub": "acme/private"}, "the hub refused acme/private (403); put a token"),
        ({"hub": "acme/broken"}, "the hub is overloaded or broken (500)"),
        ({"hub": "acme/here", "revision": "v9"}, "acme/here has no revision v9 (404)"),
        ({"hub": "acme/here", "configs": ["de"]}, "has no configuration 'de' at refs/convert/parquet; it has: default"),
        ({"hub": "acme/here", "splits": ["test"]}, "has no split 'test'; it has: train"),
        ({"hub": "acme/here", "files": ["*.csv"]}, "acme/here holds no file *.csv"),
    ],
)
def test_data_sets_that_moved_or_closed(hub, tmp_path, fields, said):
    hub.sets["acme/here"] = {"default/train/0000.parquet": parquet("a")}
    hub.closed["acme/gated"] = (403, "GatedRepo", f"no access for {TOKEN}")
    hub.closed["acme/private"] = (403, None, f"no access for {TOKEN}")
    hub.closed["acme/broken"] = (500, None, "oh")
    results = fetch([source(**fields), source(hub="acme/here")], tmp_path)
    assert said in results[0].fault
    assert TOKEN not in results[0].fault
    assert [row["instruction"] for row in rows_of(results[1])] == ["a"]


def test_a_file_that_is_not_what_the_hub_listed(hub, tmp_path):
    hub.sets["acme/here"] = {"default/train/0000.parquet": parquet("a")}
    got = one(tmp_path, hub="acme/here")
    path = got.files[0].path
    # Damaged in the cache: fetched again, from the same commit.
    path.resolve().write_bytes(b"x")
    assert "is damaged in the cache" in one(tmp_path, True, hub="acme/here").fault
    assert [row["instruction"] for row in rows_of(one(tmp_path, hub="acme/here"))] == ["a"]
    path.resolve().write_bytes(b"x")
    hub.sets["acme/here"]["default/train/0000.parquet"] = parquet("b")
    assert "is no longer the file that was listed or came before" in one(tmp_path, hub="acme/here").fault


def test_an_interrupt_ends_downloads_and_keeps_what_came(files, tmp_path):
    files.files["/slow"] = DATA
    files.cut_after["/slow"] = [30_000, *[0] * 9]

    class Impatient(Told):
        def advance(self, n):
            super().advance(n)
            raise KeyboardInterrupt

    url = f"{files.address}/slow"
    with pytest.raises(KeyboardInterrupt):
        fetch([source(url=url, format="jsonl")], tmp_path, progress=Impatient())
    files.cut_after.clear()
    files.calls.clear()
    assert one(tmp_path, url=url, format="jsonl").files[0].path.read_bytes() == DATA
    [(_, wanted)] = files.calls
    assert wanted.startswith("bytes=")


def test_paths_hold_in_another_folder(files, tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_text('{"question": "one"}\n')
    files.files["/b.jsonl"] = b'{"question": "two"}\n'
    results = fetch([source(path="a.jsonl"), source(url=f"{files.address}/b.jsonl")], Path("cache"))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert [row["instruction"] for result in results for row in rows_of(result)] == ["one", "two"]
    assert results[0].files[0].label == "a.jsonl"


def test_a_hub_that_is_away(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    got = one(tmp_path, hub="acme/here")
    assert "the hub cannot be reached (ConnectError); check the network and HF_ENDPOINT" in got.fault
    assert time.monotonic() - began < 20
