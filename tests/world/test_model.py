"""The shipped small Llama: its format, its size, and that it lives in the world it is said to live in."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from selfj import backends, world
from selfj.backends.base import JudgeInput, Sampling
from selfj.settings import TransformersBackend

FOLDER = Path(str(files("selfj").joinpath("world", "model")))
ITEMS = world.exercises(410, seed=5, held_out=True, families=world.ASKED)


@pytest.fixture(scope="module")
def generator():
    return backends.generator(TransformersBackend(stable_batches=False))


@pytest.fixture(scope="module")
def reader():
    return backends.level_reader(TransformersBackend(stable_batches=False))


def test_it_is_small_and_has_all_that_transformers_and_vllm_need():
    names = {path.name for path in FOLDER.iterdir()}
    wanted = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert wanted | {"README.md"} <= names
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 8 * 2**20
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["head_dim"] == 32
    for path in FOLDER.iterdir():
        if path.suffix in (".json", ".md"):
            assert "/tmp" not in path.read_text(), path.name


def test_it_gets_between_40_and_70_percent_right(generator):
    asked = [[{"role": "user", "content": item.instruction}] for item in ITEMS]
    drawn = generator.generate(asked, list(range(len(asked))), Sampling(0.7, 1.0, 64))
    grades = [world.quality(world.meta(item), made.text) for item, made in zip(ITEMS, drawn, strict=True)]
    # 410 answers: two standard errors are 0.05.
    assert 0.35 < np.mean([grade == 9 for grade in grades]) < 0.75


def test_a_reference_makes_it_a_far_better_grader(reader):
    rows, truth = [], []
    for item in ITEMS:
        rows.append((item, world.reply(item, item.taught, 0)))
        truth.append(world.quality(world.meta(item), rows[-1][1]))
    correlation = {}
    for seen in (True, False):
        inputs = [JudgeInput(i.instruction, text, world.reference(i) if seen else None) for i, text in rows]
        reading = reader.read(inputs)
        assert reading.label_mass.min() > 0.5
        correlation[seen] = np.corrcoef(reading.probabilities @ np.arange(10), truth)[0, 1]
    assert correlation[True] > 0.5
    assert correlation[False] < 0.4
