"""The encoder in 8-bit integers; `make test` installs what it needs."""

import json
import subprocess
import sys

import numpy as np
import pytest

from selfj import backends
from selfj.backends.quantised import CALIBRATION, cache_folder, cache_key
from selfj.errors import ArtefactError
from selfj.settings import MiniLM
from selfj.world.calibration import calibration_texts

pytestmark = pytest.mark.slow
TEXTS = [
    "hi",
    "",
    "Grüße, 世界, \U0001f600",
    "The capital of France is Paris.",
    "Paris is the capital of France.",
    "The tax law of 1931 was repealed after the war.",
    *(f"A text of {n} words" + " and more of them" * n for n in range(0, 60, 3)),
    "word " * 400,
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELFJ_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def embedder(cache):
    return backends.embedder(MiniLM(engine="openvino"))


def test_vectors_are_close_to_those_in_float32(embedder):
    found, exact = embedder.embed(TEXTS), backends.embedder(MiniLM()).embed(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    similar = (found * exact).sum(axis=1)
    assert similar.mean() > 0.99
    assert similar.min() > 0.95
    same, law = found[3] @ found[4], found[3] @ found[5]
    assert same > law + 0.5
    assert embedder.exceeds(TEXTS)[-2:] == [False, True]


def test_neighbours_change_a_row_by_rounding_at_most(embedder):
    whole = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, whole, atol=1e-5)
    np.testing.assert_array_equal(embedder.embed(TEXTS), whole)
    assert embedder.embed([]).shape == (0, 384)


def test_the_model_is_made_once_and_a_damaged_one_again(embedder, cache):
    (folder,) = cache.iterdir()
    assert folder.name == f"minilm-int8-{cache_key()}"
    assert {path.name for path in folder.iterdir()} == {"model.xml", "model.bin", "about.json"}
    made = (folder / "model.bin").stat().st_mtime_ns
    vectors = backends.embedder(MiniLM(engine="openvino")).embed(TEXTS[:3])
    assert (folder / "model.bin").stat().st_mtime_ns == made
    (folder / "about.json").write_text("{}")
    again = backends.embedder(MiniLM(engine="openvino")).embed(TEXTS[:3])
    assert (folder / "model.bin").stat().st_mtime_ns > made
    assert json.loads((folder / "about.json").read_text())
    assert [path.name for path in cache.iterdir()] == [folder.name]
    np.testing.assert_allclose(again, vectors, atol=1e-5)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SELFJ_CACHE", str(tmp_path / "file"))
    with pytest.raises(ArtefactError, match="file"):
        backends.embedder(MiniLM(engine="openvino"))


def test_the_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SELFJ_CACHE", raising=False)
    assert cache_folder() == tmp_path / "selfj"


def test_nothing_is_reported_to_anyone():
    assert sys.modules["openvino_telemetry"] is None


def test_the_calibration_text_is_what_the_world_draws():
    assert [json.loads(line) for line in CALIBRATION.read_text().splitlines()] == calibration_texts()


def test_a_signal_is_handled_after_models_have_come_and_gone(embedder):
    code = """
import os, signal
from selfj import backends
from selfj.settings import MiniLM
first, second = (backends.embedder(MiniLM(engine="openvino")) for _ in range(2))
del first
del second
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
