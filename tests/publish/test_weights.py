"""Merged weights are the judge: for selfj, for transformers, and to the last digit that matters."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

import selfj
from selfj.backends.base import JudgeInput
from selfj.backends.loading import quiet_peft
from selfj.errors import ArtefactError, ConfigError, StaleArtefact
from selfj.publish import publish
from selfj.settings import Config

from .conftest import save_judge, save_model

CONFIG = Config(score={"min_label_mass": 0})
INPUTS = [JudgeInput("What is the capital?", "Lima"), JudgeInput("How many?", "9", "nine")]


def levels(judge):
    return np.array([score.levels for score in judge.score(INPUTS)])


def own_copy(folder, to):
    return Path(shutil.copytree(folder, to))


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen3"])
def test_logits_are_those_of_the_adapter_on_its_base(judges_of, models_of, family):
    folder = judges_of(family)
    made = publish(folder, merge="merged")
    assert made.merged == Path("merged")
    ids = torch.arange(3, 40)[None]
    merged = AutoModelForCausalLM.from_pretrained("merged").eval()
    with quiet_peft(), torch.no_grad():
        adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(models_of(family)), folder).eval()
        expected, plain = adapted(ids).logits, AutoModelForCausalLM.from_pretrained(models_of(family))(ids).logits
    assert torch.allclose(merged(ids).logits, expected, atol=1e-4, rtol=0)
    assert not torch.allclose(plain, expected, atol=1e-2)
    tokens = AutoTokenizer.from_pretrained("merged")("the capital 123")["input_ids"]
    assert tokens == AutoTokenizer.from_pretrained(models_of(family))("the capital 123")["input_ids"]


@pytest.mark.parametrize("template", ["selfj", "paper"])
def test_a_merged_judge_scores_as_before_without_its_base(tmp_path, template):
    base = save_model("llama", tmp_path / "base")
    (tmp_path / "judge").mkdir()
    folder = save_judge(base, tmp_path / "judge", template=template)
    before = levels(selfj.load_judge(folder, CONFIG))
    publish(folder, merge="merged")
    shutil.rmtree(base)
    judge = selfj.load_judge("merged", CONFIG)
    np.testing.assert_allclose(levels(judge), before, atol=2e-5)
    manifest = json.loads(Path("merged/judge.json").read_text())
    assert manifest["template"] == template
    assert manifest["merged_from"] == "d" * 64
    assert judge.digest == manifest["digest"] != "d" * 64


def test_lower_precision_is_written_as_asked_and_can_be_published_again(judges_of):
    publish(judges_of("qwen2"), merge="half", dtype="bfloat16")
    assert AutoModelForCausalLM.from_pretrained("half", dtype="auto").dtype == torch.bfloat16
    publish("half", merge="again", dtype="float32")
    np.testing.assert_allclose(
        levels(selfj.load_judge("again", CONFIG)), levels(selfj.load_judge("half", CONFIG)), atol=1e-6
    )
    assert json.loads(Path("again/judge.json").read_text())["merged_from"] == "d" * 64


def test_the_same_judge_gives_the_same_bytes(judges_of):
    publish(judges_of("qwen3"), merge="one")
    publish(judges_of("qwen3"), merge="two")
    one, two = (
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(name).iterdir()}
        for name in ("one", "two")
    )
    assert one == two


def test_the_cards_say_what_the_folders_hold(judges_of):
    folder = own_copy(judges_of("llama"), "copy")
    publish(folder, merge="merged")
    assert 'library_name: "peft"' in (folder / "README.md").read_text()
    assert 'library_name: "transformers"' in Path("merged/README.md").read_text()


def test_what_is_there_is_left_alone(judges_of):
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="does not exist yet"):
        publish(judges_of("llama"), merge="out")
    Path("file").write_text("mine")
    for options in ({"merge": "file"}, {"gguf": "file"}):
        with pytest.raises(ConfigError, match="there already"):
            publish(judges_of("llama"), **options)
    assert Path("out/thesis.txt").read_text() == Path("file").read_text() == "mine"


def test_a_fault_while_writing_leaves_no_folder(judges_of, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", fail)
    with pytest.raises(ArtefactError, match="disk is full"):
        publish(judges_of("llama"), merge="merged")
    assert not Path("merged").exists()


def test_weights_that_do_not_fit_a_type_are_refused(tmp_path):
    base = save_model("qwen3", tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = 1e5
    model.save_pretrained(base)
    (tmp_path / "judge").mkdir()
    folder = save_judge(base, tmp_path / "judge")
    with pytest.raises(ConfigError, match=r"up_proj.weight do not fit float16"):
        publish(folder, merge="merged", dtype="float16")
    with pytest.raises(ConfigError, match="does not fit f16"):
        publish(folder, gguf="judge.gguf")
    assert not Path("merged").exists()
    assert not Path("judge.gguf").exists()


@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings")
def test_an_adapter_of_a_shared_table_is_refused(models_of, tmp_path):
    folder = save_judge(models_of("llama"), tmp_path, targets=("q_proj", "embed_tokens"))
    with pytest.raises(ConfigError, match="input and its output alike"):
        publish(folder, merge="merged")


def test_another_base_is_refused(tmp_path):
    base = save_model("llama", tmp_path / "base")
    (tmp_path / "judge").mkdir()
    folder = save_judge(base, tmp_path / "judge")
    (tmp_path / "base" / "generation_config.json").write_text("{}")
    with pytest.raises(StaleArtefact, match="now has digest"):
        publish(folder, merge="merged")


def test_a_head_over_an_encoder_has_nothing_to_merge(judges_of):
    folder = own_copy(judges_of("llama"), "copy")
    manifest = json.loads((folder / "judge.json").read_text())
    (folder / "judge.json").write_text(json.dumps({**manifest, "kind": "encoder"}))
    with pytest.raises(ConfigError, match="--merge and --gguf needs a causal"):
        publish(folder, merge="merged", gguf="judge.gguf")


def test_a_folder_without_a_judge_says_what_was_expected(tmp_path):
    with pytest.raises(ArtefactError, match=r"holds no judge.*Run selfj tune"):
        publish(tmp_path)
