"""A judge loads by one argument, whatever it is: a folder of the tune stage, an adapter, or a whole model."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

import selfj
from selfj import backends
from selfj.backends.base import JudgeInput
from selfj.backends.loading import quiet_peft
from selfj.errors import ArtefactError, ConfigError
from selfj.settings import Config, TransformersBackend

INPUTS = [JudgeInput("q", "a"), JudgeInput("qq", "aa", "r")]
CONFIG = Config(score={"min_label_mass": 0})


@pytest.fixture(scope="module")
def adapter(llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    with quiet_peft():
        get_peft_model(AutoModelForCausalLM.from_pretrained(llama), config).save_pretrained(folder)
    return str(folder)


def levels(judge):
    return np.array([score.levels for score in judge.score(INPUTS)])


def reference(llama, template, adapter=None):
    reader = backends.level_reader(TransformersBackend(model=llama, adapter=adapter), template=template)
    return reader.read(INPUTS).probabilities


@pytest.mark.parametrize("template", ["selfj", "paper"])
def test_a_model_is_its_own_judge(llama, template):
    judge = selfj.load_judge(llama, CONFIG, template=template)
    assert judge.name == llama
    np.testing.assert_allclose(levels(judge), reference(llama, template), atol=1e-6)


@pytest.mark.parametrize("kind", [str, Path])
def test_an_adapter_names_its_base(llama, adapter, kind):
    judge = selfj.load_judge(kind(adapter), CONFIG, template="paper")
    assert judge.name == f"{llama}+{adapter}"
    np.testing.assert_allclose(levels(judge), reference(llama, "paper", adapter), atol=1e-6)
    assert abs(levels(judge) - reference(llama, "paper")).max() > 1e-3


def test_a_merged_judge_reads_as_its_adapter(llama, adapter, tmp_path):
    with quiet_peft():
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(llama), adapter).merge_and_unload()
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(llama).save_pretrained(tmp_path)
    merged = selfj.load_judge(str(tmp_path), CONFIG)
    np.testing.assert_allclose(levels(merged), reference(llama, "selfj", adapter), atol=1e-5)
    assert merged.digest != selfj.load_judge(llama, CONFIG).digest


def test_a_judge_of_selfj_knows_its_template(tmp_path):
    manifest = {"version": "judge/1", "kind": "lora", "template": "selfj", "digest": "d", "base": "b"}
    (tmp_path / "judge.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match="tuned with the template selfj"):
        selfj.load_judge(tmp_path, template="paper")


def test_what_is_no_judge_is_refused(llama, adapter, tmp_path):
    with pytest.raises(ConfigError, match="No judge template"):
        selfj.load_judge(llama, CONFIG, template="absent")
    with pytest.raises(ConfigError, match="folder with a causal language model"):
        selfj.load_judge("nobody/no-such-judge")
    for absent in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ArtefactError, match="Run selfj tune first"):
            selfj.load_judge(absent)
    about = json.loads((Path(adapter) / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**about, "base_model_name_or_path": None}))
    with pytest.raises(ConfigError, match="does not name its base"):
        selfj.load_judge(tmp_path)
    (tmp_path / "adapter_config.json").write_text("nonsense")
    with pytest.raises(ConfigError, match="cannot be read"):
        selfj.load_judge(tmp_path)
