import json
from pathlib import Path

import pytest

from selfj import config as configs
from selfj import pipeline
from selfj.records import INSTRUCTIONS, LABELS, RESPONSES, SCORES
from selfj.store import open_artefact

from .conftest import FAKE

KINDS = (INSTRUCTIONS, RESPONSES, LABELS, SCORES)


def digests(path):
    found = {kind.name: open_artefact(path, kind).digest for kind in KINDS}
    return {**found, "judge": json.loads((path / "judge" / "judge.json").read_text())["digest"]}


def test_a_run_leaves_every_artefact_and_a_report(cli, fake):
    code, out, _ = cli("run", "demo", *fake())
    assert code == 0
    assert "Self-J" in out
    assert "report.html" in out
    run = Path("runs/demo")
    report = json.loads((run / "report" / "report.json").read_text())
    with_fake = {"self_j", "length", "random", "oracle", "self_eval_reference", "ppl", "vro", "self_eval"}
    assert with_fake <= set(report["methods"])
    chosen = report["selective"]
    assert chosen["answered"] + chosen["declined"] + chosen["unscored"] == chosen["n"] > 0
    assert report["methods"]["oracle"]["pearson"]["value"] == pytest.approx(1)
    page = (run / "report" / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert configs.load(run) == configs.load("demo", FAKE)


def test_a_second_run_does_nothing_again(cli, fake):
    cli("run", "demo", *fake())
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("part-*")}
    code, _, err = cli("run", "demo", *fake())
    assert code == 0
    assert err.count("up to date") == 5
    assert before == {path: path.stat().st_mtime_ns for path in Path("runs").rglob("part-*")}


def test_stages_one_by_one_give_what_run_gives():
    whole = pipeline.run("demo", [*FAKE, "name=whole"])
    config = configs.load("demo", [*FAKE, "name=steps"])
    for verb in ("collect", "sample", "label", "tune", "score", "calibrate"):
        getattr(pipeline, verb)(config)
    report = pipeline.evaluate(config)
    assert digests(whole.path) == digests(config.path)
    assert report["methods"] == whole.report["methods"]


@pytest.mark.parametrize("size", [1, 17, 10_000])
def test_part_size_never_changes_a_result(size):
    first = pipeline.run("demo", [*FAKE, "name=a"])
    second = pipeline.run("demo", [*FAKE, "name=b", f"part_size={size}"])
    assert digests(first.path) == digests(second.path)
    assert first.report["methods"] == second.report["methods"]


def test_another_seed_changes_the_sampling():
    first = pipeline.run("demo", [*FAKE, "name=a"])
    second = pipeline.run("demo", [*FAKE, "name=b", "seed=2"])
    assert digests(first.path)["instructions"] == digests(second.path)["instructions"]
    assert digests(first.path)["judge"] != digests(second.path)["judge"]


def test_a_changed_setting_makes_again_what_depends_on_it(cli, fake):
    cli("run", "demo", *fake())
    code, _, err = cli("label", "runs/demo", "--set", "label.template=paper")
    assert code == 0
    assert "settings or input changed" in err
    code, _, err = cli("score", "runs/demo")
    assert code == 0
    code, _, err = cli("evaluate", "runs/demo")
    assert code == 0
    code, _, err = cli("sample", "runs/demo", "--set", "target.skill=0.9")
    assert code == 0
    code, _, err = cli("score", "runs/demo")
    assert code == 0
    code, _, err = cli("evaluate", "runs/demo")
    assert code == 3
    assert "labels was made from responses" in err
    assert cli("run", "runs/demo")[0] == 0


def test_failed_rows_are_retried_alone(cli, fake):
    code, _, err = cli("run", "demo", *fake("target.fail_share=0.2"))
    assert code == 5
    assert "--retry-failed" in err
    kept = open_artefact(Path("runs/demo"), RESPONSES)
    assert 0 < kept.manifest.failed["fake_failure"] < kept.manifest.rows / 2
    code, _, _ = cli("sample", "runs/demo", "--retry-failed", "--set", "max_failed=0.5")
    assert code == 0


def test_no_threshold_is_a_normal_end_with_its_own_code(cli, fake):
    code, out, _ = cli("run", "demo", *fake("target.skill=0", "calibrate.max_risk=0.01"))
    assert code == 4
    assert "report.html" in out
    report = json.loads(Path("runs/demo/report/report.json").read_text())
    assert report["selective"]["infeasible"]
    assert report["selective"]["answered"] == 0
    assert report["selective"]["risk"]["value"] is None
    code, _, err = cli("calibrate", "runs/demo")
    assert code == 4
    assert "max_risk" in err


def test_ablations_are_judges_of_their_own():
    outcome = pipeline.run("demo", [*FAKE, "label.cosine=true", "tune.ablations=['cosine', 'self_eval']"])
    assert {"judge_cosine", "judge_self_eval"} <= set(outcome.report["methods"])
    assert (outcome.path / "judge_cosine" / "judge.json").is_file()
