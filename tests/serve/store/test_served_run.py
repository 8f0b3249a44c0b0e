"""What the gateway's page knows of a real run, also where its folder was moved or holds no calibration rows."""

import shutil

import numpy as np

from selfj import config as configs
from selfj import pipeline
from selfj.errors import Infeasible
from selfj.risk import answers, load_threshold
from selfj.serve.run import ServedRun, load_served_run

from ...end_to_end.conftest import FAKE


def test_a_run_is_read_with_what_its_threshold_was_chosen_on(local, tmp_path):
    config = configs.load("demo", [*FAKE, "collect.source.n=300", "calibrate.max_risk=0.9", "tune.method.epochs=2"])
    for verb in ("collect", "sample", "label", "tune", "score", "calibrate"):
        pipeline.perform(verb, config)
    run = load_served_run(config.path)
    threshold, _ = load_threshold(config.path / "threshold.json")
    assert (run.name, run.threshold, run.max_risk) == ("demo", threshold, 0.9)
    answered = answers(run.scores, threshold.value)
    assert len(run.scores) == threshold.n
    assert answered.sum() == threshold.answered
    assert round(float((run.labels[answered] < run.min_quality).mean()), 6) == threshold.risk
    assert run.monitor(local).update().calibration == int((~np.isnan(run.scores)).sum())

    moved = tmp_path / "elsewhere" / "bot"
    shutil.copytree(config.path, moved)
    shutil.rmtree(config.path)
    again = load_served_run(moved)
    np.testing.assert_array_equal(again.scores, run.scores)
    assert again.name == "bot"
    shutil.rmtree(moved / "scores")
    bare = load_served_run(moved)
    assert (bare.threshold, len(bare.scores)) == (threshold, 0)


def test_a_run_without_a_threshold_promises_nothing(local):
    config = configs.load("demo", [*FAKE, "collect.source.n=200", "calibrate.max_risk=0.001", "tune.method.epochs=1"])
    try:
        for verb in ("collect", "sample", "label", "tune", "score", "calibrate"):
            pipeline.perform(verb, config)
    except Infeasible:
        pass
    run = load_served_run(config.path)
    assert run.threshold is None
    assert "No threshold keeps the risk" in run.infeasible
    assert run.monitor(local).update().sentences()[0].startswith("There is no threshold")
    assert ServedRun.unknown().monitor(local).update().risk.n == 0
