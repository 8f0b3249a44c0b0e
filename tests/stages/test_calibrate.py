import json

import pytest

from selfj import config as configs
from selfj import pipeline
from selfj.errors import Infeasible, StaleArtefact
from selfj.exchanges import load_exchanges

from ..end_to_end.conftest import FAKE

SMALL = [*FAKE, "collect.source.n=200", "sample.responses=2", "sample.variations=0", "calibrate.max_risk=0.9"]


@pytest.fixture
def config():
    made = configs.load("demo", [*SMALL, "tune.method.epochs=1"])
    for verb in ("collect", "sample", "label", "tune", "score", "calibrate"):
        pipeline.perform(verb, made)
    return made


def test_a_threshold_is_chosen_on_independent_rows_and_reported_for_its_own_promise(config):
    rows = load_exchanges(config.path).of("calibration")
    instructions = {row.instruction.id for row in rows}
    threshold = json.loads((config.path / "threshold.json").read_text())
    # Two answers to one question fail together; one of them counts.
    assert len(rows) == 2 * len(instructions) == 2 * threshold["n"]
    pipeline.evaluate(config)

    stricter = config.model_copy(update={"calibrate": config.calibrate.model_copy(update={"max_risk": 0.01})})
    with pytest.raises(StaleArtefact, match=r"max_risk = 0\.9, but the settings now say 0\.01"):
        pipeline.evaluate(stricter)
    with pytest.raises(Infeasible):
        pipeline.calibrate(stricter)
    assert pipeline.evaluate(stricter)["selective"]["infeasible"]
