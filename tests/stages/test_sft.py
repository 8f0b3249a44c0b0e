"""Instruction tuning: what is learned, in which tokens, and what a kill leaves."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from selfj import pipeline
from selfj.backends import transformers as backend
from selfj.backends.base import Sampling
from selfj.errors import ArtefactError, ConfigError
from selfj.progress import Quiet
from selfj.settings import Collect, Config, FileSource, Sft, SftFull, SftLora, TransformersBackend
from selfj.stages.sft import read_lessons
from selfj.tune.sft_loop import Row, _Collator, passes_of, row_order

torch.set_num_threads(1)

QUICK = {"epochs": 6, "batch_size": 4, "micro_rows": 2, "warmup_steps": 2, "schedule": "constant"}
FULL = SftFull(learning_rate=1e-3)
LORA = SftLora(learning_rate=5e-3, r=8, dropout=0.1)
ANSWERS = {
    "What is the capital of Selfland?": "Jotown",
    "What is the opposite of zorb?": "brum",
    "How many moons has Quall?": "7 and a half",
    "Who wrote the song of Tarn?": "Mira Voss",
}


def config(method, **more) -> Config:
    Path("rows.jsonl").write_text("\n".join(json.dumps({"question": q, "answer": a}) for q, a in ANSWERS.items()))
    settings = {**QUICK, "method": method, "splits": ("train", "calibration", "test"), **more}
    return Config(
        name="taught", collect=Collect(source=FileSource(path="rows.jsonl")), sft=Sft(file="rows.jsonl", **settings)
    )


def manifest(folder: Path) -> dict:
    return json.loads((folder / "sft.json").read_text())


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


class Killed(Quiet):
    """Ends the work after some steps, as a kill would."""

    def __init__(self, step: int) -> None:
        self.left = step

    def advance(self, n: int) -> None:
        self.left -= n
        if self.left == 0:
            raise KeyboardInterrupt


class Counted(Quiet):
    started: tuple = ()

    def __init__(self):
        self.losses = []

    def start(self, stage, total, done=0):
        self.started = (stage, total, done)

    def tell(self, values):
        self.losses.append(values["loss"])


def test_every_step_tells_its_loss():
    told = Counted()
    pipeline.sft(config(FULL), progress=told)
    assert len(told.losses) == told.started[1]
    assert told.losses[-1] < told.losses[0]


@pytest.mark.parametrize("method", [FULL, LORA], ids=["full", "lora"])
def test_what_is_taught_is_answered(method):
    settings = config(method, epochs=40)
    folder = pipeline.sft(settings)
    about = manifest(folder)
    assert about["rows"] == 4
    assert sum(about["losses"][-4:]) < 0.2 * sum(about["losses"][:4])
    assert not list(folder.glob("checkpoint-*"))
    source = {"adapter": str(folder)} if method is LORA else {"model": str(folder)}
    model = backend.CausalModel(TransformersBackend(**source))
    asked = [[{"role": "user", "content": question}] for question in ANSWERS]
    said = model.generate(asked, [0] * 4, Sampling(0.0, 1.0, 24))
    assert [item.text.strip() for item in said] == list(ANSWERS.values())
    assert {item.finish for item in said} == {"stop"}


@pytest.mark.parametrize("method", [FULL, LORA], ids=["full", "lora"])
def test_a_killed_tuning_goes_on_to_the_same_weights(method, monkeypatch):
    settings = config(method, checkpoint_steps=2, max_rows=3, batch_size=2)
    wanted = weights(pipeline.sft(settings))
    assert wanted
    for step in (1, 5):
        again = settings.model_copy(update={"name": f"killed{step}"})
        with pytest.raises(KeyboardInterrupt):
            pipeline.sft(again, progress=Killed(step))
        assert not (again.path / "sft").exists()
        counted = Counted()
        assert weights(pipeline.sft(again, progress=counted)) == wanted
        assert counted.started == ("sft", 9, step // 2 * 2)


def test_a_checkpoint_that_was_cut_off_is_not_used():
    settings = config(FULL, checkpoint_steps=2)
    with pytest.raises(KeyboardInterrupt):
        pipeline.sft(settings, progress=Killed(5))
    (settings.path / ".sft.partial/checkpoint-4/whole.json").unlink()
    counted = Counted()
    pipeline.sft(settings, progress=counted)
    assert counted.started == ("sft", 6, 2)


def test_other_work_starts_anew_and_the_same_is_left_alone():
    settings = config(FULL, checkpoint_steps=2)
    with pytest.raises(KeyboardInterrupt):
        pipeline.sft(settings, progress=Killed(5))
    other = settings.model_copy(update={"seed": 1})
    counted = Counted()
    folder = pipeline.sft(other, progress=counted)
    assert counted.started == ("sft", 6, 0)
    before = weights(folder)
    counted = Counted()
    pipeline.sft(other, progress=counted)
    assert counted.started == ()
    assert weights(folder) == before
    pipeline.sft(other, progress=counted, force=True)
    assert counted.started == ("sft", 6, 0)
    assert weights(folder) == before


CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
    {"role": "user", "content": "the question <|im_end|> is?"},
]


def test_the_loss_looks_at_replies_alone():
    batch = _Collator(pad=9)([Row([1, 2, 3], [4, 5]), Row([6], [7])])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4, 5], [6, 7, 9, 9, 9]]
    assert batch["labels"].tolist() == [[-100, -100, -100, 4, 5], [-100, 7, -100, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]


def test_every_epoch_reads_every_row_once():
    lengths = [(n * 7) % 11 for n in range(10)]
    order = row_order(lengths, epochs=3, batch_size=4, seed=5)
    assert Counter(order) == Counter(dict.fromkeys(range(10), 3))
    batches = [order[start : start + 4] for start in range(0, 30, 4)]
    assert all([lengths[row] for row in batch] == sorted(lengths[row] for row in batch) for batch in batches)
    assert row_order(lengths, 3, 4, 5) == order != row_order(lengths, 3, 4, 6)


@pytest.mark.parametrize(
    ("batch", "rows", "devices", "expected"),
    [(128, 4, 1, (4, 32)), (128, 6, 4, (4, 8)), (6, 4, 2, (3, 1)), (7, 4, 1, (1, 7))],
)
def test_a_step_is_spread_over_passes_and_devices(batch, rows, devices, expected):
    assert passes_of(batch, rows, devices) == expected
    assert expected[0] * expected[1] * devices == batch


def test_a_batch_that_cannot_be_spread_is_refused():
    with pytest.raises(ConfigError, match="multiple of the number of devices"):
        passes_of(10, 4, 4)


def test_what_a_model_is_judged_on_is_not_taught():
    rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(200)]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = Config(name="a", collect=Collect(source=FileSource(path="rows.jsonl")))
    pipeline.collect(run)
    own, left_out, _ = read_lessons(run)
    assert len(own) + left_out["other_split"] == 200
    assert 90 < len(own) < 150
    file, _, _ = read_lessons(run.model_copy(update={"sft": Sft(file="rows.jsonl")}))
    assert file == own
    few, _, _ = read_lessons(run.model_copy(update={"sft": Sft(max_rows=10)}))
    assert few == own[:10]


def test_responses_system_texts_and_turns_are_learned():
    rows = [
        {
            "messages": [*CONVERSATION, {"role": "assistant", "content": "yes"}],
        },
        {"messages": [{"role": "user", "content": "no answer"}, {"role": "assistant", "content": " "}]},
    ]
    Path("chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = Config(sft=Sft(file="chats.jsonl", replies="response", splits=("train", "calibration", "test")))
    (lesson,), left_out, _ = read_lessons(run)
    assert lesson.messages == CONVERSATION
    assert lesson.reply == "yes"
    assert left_out == {"no_response": 1}
    from_run = run.model_copy(
        update={
            "collect": Collect(source=FileSource(path="chats.jsonl")),
            "sft": run.sft.model_copy(update={"file": None}),
        }
    )
    pipeline.collect(from_run)
    assert read_lessons(from_run)[0] == [lesson]


def test_nothing_to_learn_is_said_before_a_model_is_loaded():
    with pytest.raises(ArtefactError, match="Run the stage that makes instructions"):
        pipeline.sft(Config())
    Path("q.jsonl").write_text('{"question": "a"}\n')
    with pytest.raises(ConfigError, match="no_reference 1"):
        pipeline.sft(Config(sft=Sft(file="q.jsonl", splits=("train", "calibration", "test"))))


@pytest.mark.parametrize("kind", [FULL, LORA], ids=["full", "lora"])
def test_checkpointed_layers_learn_the_same(kind):
    plain = config(kind.model_copy(update={"dropout": 0.0}) if kind is LORA else kind, epochs=1)
    found = [
        manifest(
            pipeline.sft(
                plain.model_copy(
                    update={"name": name, "sft": plain.sft.model_copy(update={"gradient_checkpointing": on})}
                )
            )
        )
        for name, on in (("a", False), ("b", True))
    ]
    assert found[0]["losses"] == pytest.approx(found[1]["losses"], abs=1e-4)
