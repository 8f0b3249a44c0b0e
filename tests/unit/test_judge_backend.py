"""Who reads a judge and who tunes it."""

import pytest

from selfj.judge import judge_backend, tuning_backend
from selfj.settings import Config, FakeBackend, NoBackend, TransformersBackend, VllmBackend


@pytest.mark.parametrize(
    ("target", "reads", "tunes"),
    [
        (
            TransformersBackend(model="m", adapter="a", dtype="float16"),
            TransformersBackend(model="m", dtype="float16"),
            TransformersBackend(model="m", dtype="float16"),
        ),
        (
            VllmBackend(model="m", adapter="a", dtype="float16", max_model_len=99),
            VllmBackend(model="m", dtype="float16", max_model_len=99),
            TransformersBackend(model="m", dtype="float16"),
        ),
        (FakeBackend(), TransformersBackend(), TransformersBackend()),
        (NoBackend(), TransformersBackend(), TransformersBackend()),
    ],
)
def test_a_judge_is_read_as_its_target_and_tuned_with_transformers(target, reads, tunes):
    config = Config(target=target)
    assert judge_backend(config, None) == reads
    assert tuning_backend(config, None) == tunes
    assert judge_backend(config, "base") == reads.model_copy(update={"model": "base"})
    assert tuning_backend(config, "base") == tunes.model_copy(update={"model": "base"})
