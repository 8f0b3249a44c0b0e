"""Each way to tune a causal language model leaves a judge that reads otherwise than its base."""

import pytest

pytest.importorskip("torch")

from selfj.backends.base import JudgeInput
from selfj.backends.transformers import CausalModel
from selfj.errors import MissingDependency
from selfj.files import write_json
from selfj.judge import JUDGE_VERSION, Judge, load_judge
from selfj.progress import Quiet
from selfj.settings import Config, FullTuning, LoraTuning, TransformersBackend, Tune
from selfj.tune import Example, causal, tune

STEPS = {"epochs": 1, "batch_size": 4, "warmup_steps": 0, "validation": 0.0}
WAYS = {
    "lora": LoraTuning(**STEPS, learning_rate=3e-3),
    "checkpointing": LoraTuning(**STEPS, learning_rate=3e-3, gradient_checkpointing=True),
    "full": FullTuning(**STEPS, learning_rate=1e-4),
    "full checkpointing": FullTuning(**STEPS, learning_rate=1e-4, gradient_checkpointing=True),
    "one pass": LoraTuning(**STEPS, learning_rate=3e-3, template="selfj-last"),
}


def example(number):
    teacher = JudgeInput(f"What is {number} + 1?", str(number), str(number + 1))
    return Example(f"{number:02}", teacher, JudgeInput(teacher.instruction, teacher.response), float(number % 10))


EXAMPLES = [example(number) for number in range(12)]


def tuned(method, folder, **changes):
    config = Config(target=TransformersBackend(device="cpu"), tune=Tune(method=method.model_copy(update=changes)))
    folder.mkdir()
    return tune(config, EXAMPLES, folder, "key", Quiet())


@pytest.mark.parametrize("way", WAYS)
def test_a_way_to_tune(way, tmp_path):
    method = WAYS[way]
    found = tuned(method, tmp_path / "judge")
    manifest = {"version": JUDGE_VERSION, "kind": method.kind, "digest": found.digest, "base": found.base}
    write_json(
        tmp_path / "judge" / "judge.json",
        {**manifest, "base_digest": found.base_digest, "template": method.template, "key": "key"},
    )
    judge = load_judge(tmp_path / "judge")
    base = Judge(CausalModel(TransformersBackend(), template=method.template), min_label_mass=0)
    inputs = [one.student for one in EXAMPLES]
    changed = [abs(a.value - b.value) for a, b in zip(judge.score(inputs), base.score(inputs), strict=True)]
    assert max(changed) > 0.01
    assert not list((tmp_path / "judge").glob("checkpoint*"))


@pytest.mark.parametrize("way", ["lora", "full"])
def test_computing_again_changes_nothing(way, tmp_path):
    kept = tuned(WAYS[way], tmp_path / "a", dropout=0.0) if way == "lora" else tuned(WAYS[way], tmp_path / "a")
    other = {"gradient_checkpointing": True} | ({"dropout": 0.0} if way == "lora" else {})
    again = tuned(WAYS[way], tmp_path / "b", **other)
    assert [loss["total"] for loss in again.losses] == pytest.approx([loss["total"] for loss in kept.losses], abs=1e-4)


def test_bitsandbytes_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(causal.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"int4.*needs bitsandbytes"):
        tuned(WAYS["lora"], tmp_path / "judge", quantised="int4")
