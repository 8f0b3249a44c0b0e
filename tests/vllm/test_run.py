"""A whole run whose target model is read through vLLM."""

import os

import pytest

from selfj import config as configs
from selfj import judge, pipeline
from selfj.assistant import load
from selfj.backends.base import JudgeInput
from selfj.records import RESPONSES, SCORES
from selfj.settings import TransformersBackend
from selfj.store import open_artefact


@pytest.fixture
def config(llama, tmp_path):
    return configs.load(
        "demo",
        [
            f"target={{kind='vllm', model='{llama}', cpu_cache_gib=1, max_length=400}}",
            "embedder.kind=fake",
            "collect.source.n=60",
            "sample={max_tokens=6, variations=1}",
            "tune.method={kind='lora', r=4, epochs=1, batch_size=8, max_length=400}",
            "label.min_label_mass=0",
            "score.min_label_mass=0",
            "calibrate={max_risk=0.9, confidence=0.5, min_quality=0.1}",
            "evaluate={bootstrap=10}",
            f"dir={tmp_path}",
        ],
    )


def test_the_whole_road(config):
    pipeline.run(config)
    assert open_artefact(config.path, RESPONSES).manifest.failed == {}
    scores = list(open_artefact(config.path, SCORES).records())
    assert {row.method for row in scores} >= {"self_j", "self_j_teacher", "self_eval", "ppl"}
    assert all(row.score is not None for row in scores)
    folder = config.path / "judge"
    assert judge.tuning_backend(config, None) == TransformersBackend(model=config.target.model)
    tuned = judge.load_judge(folder, config)
    same = judge.load_judge(folder, config.model_copy(update={"target": judge.tuning_backend(config, None)}))
    rows = [JudgeInput(f"q{n}", f"a{n}") for n in range(5)]
    assert tuned.digest == same.digest
    for found, expected in zip(tuned.score(rows), same.score(rows), strict=True):
        assert found.value == pytest.approx(expected.value, abs=1e-3)
    decision = load(config.path).ask("What is 1 + 1?")
    assert decision.action in {"answer", "decline"}
    assert decision.score is not None
    assert os.environ["VLLM_NO_USAGE_STATS"] == "1"
