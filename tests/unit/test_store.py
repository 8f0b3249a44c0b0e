import json
import os
from dataclasses import replace

import pytest

from selfj.errors import ArtefactError, StaleArtefact, TooManyFailures
from selfj.files import locked, write_json, writing
from selfj.progress import Quiet
from selfj.records import LABELS, Label
from selfj.store import Build, open_artefact


class Notes(Quiet):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def labels(chunk):
    return [Label(id=row, instruction_id=f"i{row}", z=float(int(row) % 10)) for row in chunk]


def builder(run, make=labels, **changes):
    build = Build(
        run=run,
        kind=LABELS,
        make=make,
        row_id=lambda row: row,
        source_id=lambda record: record.id,
        settings={"a": 1},
        inputs={"responses": "d1"},
        seed=0,
        part_size=7,
        max_failed=0.0,
        progress=Notes(),
    )
    return replace(build, **changes)


ROWS = [str(i) for i in range(50)]


def test_rows_come_back_in_order(tmp_path):
    artefact = builder(tmp_path)(ROWS, 50)
    assert [row.id for row in artefact.records()] == ROWS
    assert [row.z for row in open_artefact(tmp_path, LABELS).records()] == [i % 10 for i in range(50)]
    assert len(artefact.manifest.parts) == 8


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_digest_depends_on_rows_alone(tmp_path, size):
    whole = builder(tmp_path / "a")(ROWS, 50)
    cut = builder(tmp_path / "b", part_size=size)(list(reversed(ROWS)), 50)
    other = builder(tmp_path / "c")([*ROWS[:-1], "77"], 50)
    assert whole.digest == cut.digest != other.digest


def test_finished_work_is_not_done_again(tmp_path):
    builder(tmp_path)(ROWS, 50)
    again = builder(tmp_path, make=None)(ROWS, 50)
    assert again.manifest.rows == 50


@pytest.mark.parametrize("change", [{"settings": {"a": 2}}, {"inputs": {"responses": "d2"}}, {"seed": 1}])
def test_changed_work_is_done_again(tmp_path, change):
    builder(tmp_path)(ROWS, 50)
    calls = []
    builder(tmp_path, make=lambda chunk: calls.append(1) or labels(chunk), **change)(ROWS, 50)
    assert len(calls) == 8


def test_a_stop_midway_keeps_finished_parts(tmp_path):
    calls = []

    def stops(chunk):
        calls.append(chunk)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return labels(chunk)

    with pytest.raises(KeyboardInterrupt):
        builder(tmp_path, make=stops)(ROWS, 50)
    with pytest.raises(ArtefactError, match="incomplete"):
        open_artefact(tmp_path, LABELS)
    calls.clear()
    resumed = builder(tmp_path, make=lambda chunk: calls.append(chunk) or labels(chunk))(ROWS, 50)
    assert len(calls) == 5
    assert resumed.digest == builder(tmp_path / "b")(ROWS, 50).digest


def test_damage_is_noticed_when_read_and_mended_when_made_again(tmp_path):
    artefact = builder(tmp_path)(ROWS, 50)
    for name in ("part-00002.parquet", "part-00005.parquet"):
        path = artefact.path / name
        data = bytearray(path.read_bytes())
        data[40] ^= 255
        path.write_bytes(bytes(data))
    with pytest.raises(ArtefactError, match="part-00002"):
        list(open_artefact(tmp_path, LABELS).records())
    build = builder(tmp_path)
    mended = build(ROWS, 50)
    assert mended.digest == artefact.digest
    assert sum("damaged" in note for note in build.progress.notes) == 2


def test_an_unfinished_damaged_part_is_made_again(tmp_path):
    artefact = builder(tmp_path)(ROWS, 50)
    (artefact.path / "manifest.json").unlink()
    path = artefact.path / "part-00003.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 255
    path.write_bytes(bytes(data))
    assert builder(tmp_path)(ROWS, 50).digest == artefact.digest


def test_failed_rows_are_kept_counted_and_the_only_ones_retried(tmp_path):
    def fails(chunk):
        made = labels(chunk)
        return [replace(row, z=None, error="no_reply") if row.id in {"3", "20"} else row for row in made]

    with pytest.raises(TooManyFailures, match="no_reply 2"):
        builder(tmp_path, make=fails)(ROWS, 50)
    kept = open_artefact(tmp_path, LABELS)
    assert kept.manifest.failed == {"no_reply": 2}
    assert [row.z for row in kept.records() if row.error] == [None, None]
    asked = []
    mended = builder(tmp_path, make=lambda chunk: asked.extend(chunk) or labels(chunk))(ROWS, 50, retry_failed=True)
    assert asked == ["3", "20"]
    assert mended.digest == builder(tmp_path / "b")(ROWS, 50).digest
    assert [row.id for row in mended.records()] == ROWS


def test_parts_left_over_from_longer_work_are_dropped(tmp_path):
    builder(tmp_path)(ROWS, 50)
    shorter = builder(tmp_path, inputs={"responses": "d2"})(ROWS[:10], 10)
    assert len(list(shorter.path.glob("part-*"))) == 2


def test_stale_input_is_refused_unless_forced(tmp_path):
    artefact = builder(tmp_path)(ROWS, 50)
    with pytest.raises(StaleArtefact, match="responses"):
        artefact.check_input("responses", "another", force=False)
    artefact.check_input("responses", "another", force=True)
    artefact.check_input("responses", "d1", force=False)


@pytest.mark.parametrize(
    ("text", "match"),
    [("{", "JSON"), ("[]", "object"), ('{"version": "manifest/9", "kind": "labels/1"}', "version manifest/9")],
)
def test_a_bad_manifest_says_what_is_wrong(tmp_path, text, match):
    artefact = builder(tmp_path)(ROWS, 50)
    (artefact.path / "manifest.json").write_text(text)
    with pytest.raises(ArtefactError, match=match):
        open_artefact(tmp_path, LABELS)
    assert builder(tmp_path)(ROWS, 50).digest == artefact.digest


def test_a_manifest_of_another_kind_is_refused(tmp_path):
    artefact = builder(tmp_path)(ROWS, 50)
    manifest = json.loads((artefact.path / "manifest.json").read_text())
    write_json(artefact.path / "manifest.json", {**manifest, "kind": "labels/2"})
    with pytest.raises(ArtefactError, match="labels/2"):
        open_artefact(tmp_path, LABELS)


def test_a_write_that_fails_leaves_nothing(tmp_path):
    def full(handle):
        raise OSError(28, "No space left on device")

    with pytest.raises(ArtefactError, match="disk is full"), writing(tmp_path / "x.json") as handle:
        full(handle)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtefactError, match="Cannot write"):
        builder(tmp_path / "file")(ROWS, 50)


def test_a_run_belongs_to_one_process(tmp_path):
    with locked(tmp_path):
        child = os.fork()
        if child == 0:
            try:
                with locked(tmp_path):
                    os._exit(1)
            except ArtefactError:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    with locked(tmp_path):
        pass
