"""A run whose threshold came from feedback: evaluated, reported and served as such."""

import json

import pytest

from selfj.judge import read_judge
from selfj.risk import load_threshold
from selfj.serve.feedback import Feedback
from selfj.serve.store import Store

from ...end_to_end.conftest import FAKE, cli  # noqa: F401
from .conftest import decision


@pytest.fixture
def run(cli, tmp_path, monkeypatch):  # noqa: F811
    """A finished run whose threshold was chosen anew on feedback."""
    monkeypatch.chdir(tmp_path)
    settings = [*FAKE, "name=again", "target.noise=1.5", "target.skill=0.6", "calibrate.max_risk=0.3"]
    code, _, err = cli("run", "demo", *(word for setting in settings for word in ("--set", setting)))
    assert code == 0, err
    folder = tmp_path / "runs" / "again"
    digest = str(read_judge(folder / "judge")["digest"])
    with Store(str(tmp_path / "audit.sqlite")) as store:
        rows = [decision(n, judge="a name without digits", judge_digest=digest) for n in range(300)]
        store.append(rows)
        for row in rows:
            store.add_feedback(Feedback(row.id, good=row.score > 3, at=1.0))
        # Another judge's rows have the same name and do not count.
        store.append([decision(n, judge="a name without digits", judge_digest="0" * 64) for n in range(300, 320)])
        store.add_feedback(Feedback("d000301", good=False, at=1.0))
    code, out, err = cli("recalibrate", folder, "--store", "audit.sqlite", "--apply", "--max-risk", "0.1")
    assert code == 0, err
    assert "1 scored by another judge" in " ".join(out.split())
    return folder


def test_evaluate_takes_it_for_what_it_is(cli, run):  # noqa: F811
    chosen, _ = load_threshold(run / "threshold.json")
    code, _, err = cli("evaluate", run)
    assert code == 0, err
    report = json.loads((run / "report" / "report.json").read_text())["selective"]
    assert (report["threshold"], report["max_risk"]) == (chosen.value, 0.1)
    assert (report["label"], report["chosen_on"]) == ("z", "gateway_feedback")
    shown = " ".join((run / "report" / "report.html").read_text().split())
    assert "failures among answers by the label gateway_feedback" in shown
    assert "which these test questions cannot check" in shown
    assert "Kept on these test questions" not in shown
    assert (run / "report" / "trust.html").is_file()
    # Calibrating again brings the run's own promise back.
    assert cli("calibrate", run)[0] == 0
    assert cli("evaluate", run)[0] == 0
    report = json.loads((run / "report" / "report.json").read_text())["selective"]
    assert (report["label"], report["chosen_on"], report["max_risk"]) == ("z", "z", 0.3)


def test_another_judge_or_another_failure_is_still_stale(cli, run):  # noqa: F811
    path = run / "threshold.json"
    kept = json.loads(path.read_text())
    for changes, word in (({"judge": "0" * 64}, "another judge"), ({"min_quality": 4.0}, "min_quality 4.0")):
        path.write_text(json.dumps(kept | changes))
        code, _, err = cli("evaluate", run)
        assert (code, word in " ".join(err.split())) == (3, True), err
