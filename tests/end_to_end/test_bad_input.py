"""Every bad input gives a clear message and the right exit code, and leaves nothing half-written."""

import json
import os
from pathlib import Path

import pytest

GOOD = [{"instruction": f"What is {i} + 1?", "reference": str(i + 1), "response": str(i + i % 2)} for i in range(200)]


def write(rows, name="in.jsonl"):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


@pytest.fixture
def run(cli, fake):
    def call(path, *more, verb="run"):
        source = f"collect.source={{kind='file', path='{path}'}}"
        return cli(verb, "demo", *fake(source, "target={kind='none'}", "label={self_eval=false}", "sample={}", *more))

    return call


def half_written():
    return [path for path in Path("runs").rglob("*") if path.name.endswith((".partial", ".tmp")) and path.is_file()]


def test_good_exchanges_need_no_model(run):
    code, _, err = run(write(GOOD), "calibrate.max_risk=0.9")
    assert code == 0, err
    assert "came with the input" in err


def test_missing_file(run):
    code, _, err = run("absent.jsonl")
    assert code == 3
    assert "absent.jsonl" in err


def test_empty_file(run):
    Path("empty.jsonl").write_text("")
    code, _, err = run("empty.jsonl")
    assert code == 3
    assert "empty" in err


def test_unknown_column(run):
    path = write(GOOD)
    source = f"collect.source={{kind='file', path='{path}', columns={{instruction='qestion'}}}}"
    code, _, err = run(path, source)
    assert code == 2
    assert "qestion" in err
    assert "instruction" in err


def test_wrong_type(run):
    rows = [*GOOD, {"instruction": {"a": 1}, "reference": "x", "response": "y"}]
    code, _, err = run(write(rows), "calibrate.max_risk=0.9")
    assert code == 0, err
    assert "wrong_type 1" in err


def test_too_many_bad_rows(run):
    code, _, err = run(write([*GOOD[:50], *({"instruction": 5, "response": "y"} for _ in range(20))]))
    assert code == 5
    assert "wrong_type 20" in err


def test_bad_utf8(run):
    path = write(GOOD)
    Path(path).write_bytes(b'{"instruction": "\xff\xfe", "response": "a"}\n' + Path(path).read_bytes())
    code, _, err = run(path, "calibrate.max_risk=0.9")
    assert code == 0, err
    assert "bad_utf8 1" in err


def test_a_line_of_ten_megabytes(run):
    path = write([*GOOD, {"instruction": "x" * 10_000_000, "response": "y"}])
    code, _, err = run(path, "calibrate.max_risk=0.9")
    assert code == 0, err
    assert "line_too_long 1" in err


def test_duplicate_ids_and_rows(run):
    rows = [{**row, "id": "same"} for row in GOOD]
    code, _, err = run(write([*rows, *rows[:20]]), "calibrate.max_risk=0.9")
    assert code == 0, err
    manifest = json.loads(Path("runs/demo/instructions/manifest.json").read_text())
    assert manifest["counts"]["duplicates"] == 20
    assert manifest["counts"]["duplicate_ids"] >= 199


def test_no_references(run):
    code, _, err = run(write([{"instruction": row["instruction"], "response": "x"} for row in GOOD]))
    assert code == 2
    assert "reference" in err


def test_one_instruction(run):
    code, _, err = run(write(GOOD[:1]))
    assert code in (2, 3)
    assert "found" in err


def test_all_answers_right(run):
    rows = [{**row, "response": row["reference"]} for row in GOOD]
    code, out, err = run(write(rows))
    assert code == 0, err
    assert "–" in out


def test_all_answers_wrong(run):
    rows = [{**row, "response": "!?"} for row in GOOD]
    code, out, err = run(write(rows))
    assert code == 4, err
    assert "report.html" in out


def test_read_only_folder(run):
    if os.geteuid() == 0:
        target = "/proc/selfj"
    else:
        Path("locked").mkdir(mode=0o500)
        target = "locked"
    code, _, err = run(write(GOOD), f"dir={target}")
    assert code == 3
    assert "Cannot write" in err


def test_full_disk(run):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    path = write(GOOD)
    Path("runs/demo/instructions").mkdir(parents=True)
    Path("runs/demo/instructions/.part-00000.parquet.partial").symlink_to("/dev/full")
    code, _, err = run(path)
    assert code == 3
    assert "disk is full" in err
    assert half_written() == []


def test_corrupt_part(run, cli):
    run(write(GOOD), "calibrate.max_risk=0.9")
    part = Path("runs/demo/responses/part-00000.parquet")
    data = bytearray(part.read_bytes())
    data[50] ^= 255
    part.write_bytes(bytes(data))
    code, _, err = cli("label", "runs/demo", "--force")
    assert code == 3
    assert "part-00000.parquet" in err
    code, _, err = cli("run", "runs/demo")
    assert code == 0, err
    assert "damaged" in err


def test_manifest_of_another_version(run, cli):
    run(write(GOOD), "calibrate.max_risk=0.9")
    path = Path("runs/demo/labels/manifest.json")
    path.write_text(path.read_text().replace("manifest/1", "manifest/7"))
    code, _, err = cli("tune", "runs/demo")
    assert code == 3
    assert "manifest/7" in err


def test_unknown_config(cli):
    code, _, err = cli("run", "nothing")
    assert code == 2
    assert "demo" in err


def test_unknown_family(cli):
    code, _, err = cli("run", "demo", "--set", "collect.source.families=['poetry']")
    assert code == 2
    assert "poetry" in err
    assert "capitals" in err


def test_a_model_that_is_not_there(cli, fake):
    code, _, err = cli("run", "demo", *fake("target={kind='transformers', model='no/such-model'}"))
    assert code == 2
    assert "no/such-model" in err
    assert half_written() == []
