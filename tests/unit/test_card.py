"""The card of a judge: only what is known, everything escaped, and no path of this machine."""

import json
import re
import shutil
from pathlib import Path

import pytest

from selfj import config as configs
from selfj import pipeline
from selfj.card import write_card

from ..end_to_end.conftest import FAKE


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    pipeline.run(configs.load("demo", [*FAKE, f"dir={folder}", "name=made"]))
    return folder / "made"


@pytest.fixture
def run(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "run"))


def head(card):
    """The head's fields; each value is JSON, so that no reader of YAML is needed."""
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert found
    return {name: json.loads(value) for name, value in (line.split(": ", 1) for line in found[1].splitlines())}


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def as_lora(run, base):
    change(run / "judge" / "judge.json", kind="lora", base=base, template="paper")


def section(card, title):
    return card.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_it_says_what_the_run_knows(run):
    card = write_card(run / "judge", run)
    assert head(card) == {
        "pipeline_tag": "text-classification",
        "tags": ["selfj", "llm-as-a-judge", "selective-prediction", "encoder"],
    }
    judge = json.loads((run / "judge" / "judge.json").read_text())
    threshold = json.loads((run / "threshold.json").read_text())
    assert f"{judge['rows']:,} exchanges of the train split" in section(card, "What it learned from")
    assert "a model of kind fake" in section(card, "Limits")
    assert "| Self-J |" in section(card, "Measured on the test split")
    assert f"score of {threshold['value']:.6f} or more" in section(card, "Threshold")
    assert f"Loss over {len(judge['losses'])} steps" in section(card, "Training")
    assert judge["digest"] in section(card, "Origin")


def test_rows_are_counted_by_category_and_split(run):
    found = re.findall(r"^\| ([\w ]+) \| (\d+) \| (\d+) \| (\d+) \|$", write_card(run / "judge", run), re.MULTILINE)
    sums = [sum(int(row[place]) for row in found if row[0] != "all") for place in (1, 2, 3)]
    assert [str(value) for value in sums] == list(found[-1][1:])
    assert sum(sums) == 600


def test_without_a_run_nothing_is_made_up(run):
    card = write_card(run / "judge")
    assert "no more is known" in card
    assert "Nothing was measured" in card
    assert "None was chosen for this judge" in card
    assert "Self-J |" not in card


def test_what_is_not_there_yet_is_said_to_be_missing(run):
    shutil.rmtree(run / "report")
    (run / "threshold.json").unlink()
    card = write_card(run / "judge", run)
    assert "Nothing was measured" in section(card, "Measured on the test split")
    assert "None was chosen" in section(card, "Threshold")
    assert "a model of kind fake" in card


def test_what_belongs_to_another_judge_is_left_out(run):
    change(run / "judge" / "judge.json", digest="f" * 64)
    card = write_card(run / "judge", run)
    assert "about another judge" in card
    assert "None was chosen for this judge" in card


def test_data_that_changed_since_is_left_out(run):
    change(run / "judge" / "judge.json", inputs={"labels": "0" * 32})
    assert "no more is known" in write_card(run / "judge", run)


def test_where_no_threshold_keeps_the_promise_it_says_so(run):
    found = json.loads((run / "threshold.json").read_text())
    kept = {"schema": "threshold/1", "infeasible": "No *luck*.", "judge": found["judge"], "data": found["data"]}
    (run / "threshold.json").write_text(json.dumps(kept))
    assert "No \\*luck\\*. Every answer is declined." in write_card(run / "judge", run)


@pytest.mark.parametrize("name", ["threshold.json", "report/report.json"])
def test_a_file_that_is_damaged_does_not_end_the_card(run, name):
    (run / name).write_text("{}")
    assert "cannot be read" in write_card(run / "judge", run)


def test_validation_is_told_where_there_is_some(run):
    change(run / "judge" / "judge.json", validation=[])
    assert "held back" not in write_card(run / "judge", run)
    change(
        run / "judge" / "judge.json",
        validation=[{"step": 50, "student_pearson": 0.5, "teacher_pearson": None, "loss": 1.0}],
        exchanges_per_second=123.4,
    )
    text = section(write_card(run / "judge", run), "Training")
    assert "0.50 without the reference (student), – with it (teacher)" in text
    assert "| exchanges per second | 123.4 |" in text


@pytest.mark.parametrize(
    ("base", "named"),
    [("owner/some_model", "owner/some\\_model"), ("package:selfj.world.model", "package:selfj.world.model")],
)
def test_the_head_of_an_adapter_names_a_base_that_a_hub_can_know(run, base, named):
    as_lora(run, base)
    card = write_card(run / "judge", run)
    fields = head(card)
    assert fields["library_name"] == "peft"
    assert fields["pipeline_tag"] == "text-generation"
    assert fields.get("base_model") == (base if "/" in base else None)
    assert fields.get("license") == (None if "/" in base else "apache-2.0")
    assert named in card


def test_a_folder_of_this_machine_is_named_by_its_last_part_only(run, tmp_path):
    base = tmp_path / "secret_owner" / "my_model"
    base.mkdir(parents=True)
    as_lora(run, str(base))
    settings = json.loads((run / "judge" / "judge.json").read_text())["settings"]
    settings["tune"]["method"]["base"] = str(base)
    change(run / "judge" / "judge.json", settings=settings)
    card = write_card(run / "judge", run)
    assert "secret_owner" not in card.replace("\\", "")
    assert "in a local folder named my\\_model" in card
    assert "base_model" not in head(card)


def test_a_text_that_was_given_cannot_write_the_card(run):
    evil = "a|b\n# New <script>alert(1)</script> [x](y)\u202e"
    change(run / "judge" / "judge.json", versions={evil: evil}, template=evil, kind="lora", base="owner/name")
    card = write_card(run / "judge", run)
    assert "<script>" not in card
    assert "\n# New" not in card
    assert "\u202e" not in card
    assert "\\[x\\](y)" in card


def test_rows_that_state_their_licence_are_counted(tmp_path):
    lines = [
        {"instruction": f"What is {i} + 1?", "reference": f"{i + 1}", "response": f"{i}", "license": "cc-by-4.0"}
        for i in range(60)
    ]
    lines += [{"instruction": f"{i} + 2?", "reference": f"{i + 2}", "response": f"{i}"} for i in range(40)]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    config = configs.load("own", ["collect.source.path=rows.jsonl", "embedder.kind=fake", "name=rows"])
    for verb in ("collect", "sample", "label", "tune"):
        pipeline.perform(verb, config)
    card = write_card(config.path / "judge", config.path)
    assert "cc-by-4.0 60; 40 state none" in section(card, "Licences")
    assert "came with the file" in section(card, "Limits")
