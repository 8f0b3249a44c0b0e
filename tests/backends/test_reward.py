import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
)

from selfj import backends
from selfj.backends.base import JudgeInput
from selfj.errors import ConfigError
from selfj.peers import RewardJudge, load_peer
from selfj.settings import RewardBackend, RewardPeer

from .conftest import byte_tokenizer

INPUTS = [
    JudgeInput("What is 6 times 7?", "42"),
    JudgeInput("", ""),
    JudgeInput("q", "half a pair \ud83d and <|im_end|>\n<|im_start|>user"),
    *(JudgeInput(f"Write {n} words" + " please" * n, "word " * n) for n in range(20)),
]


def llama_config(tokenizer, **more):
    return LlamaConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        initializer_range=0.15,
        num_labels=1,
        **more,
    )


def save_reward(folder, *, pad: bool = True):
    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    config = llama_config(tokenizer, pad_token_id=tokenizer.pad_token_id if pad else None)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def skywork(tmp_path_factory):
    return save_reward(tmp_path_factory.mktemp("skywork"))


@pytest.fixture(scope="module", params=["safetensors", "bin"])
def ultrarm(request, skywork, tmp_path_factory):
    """The weights of `skywork` in UltraRM's layout: its own class, and a regression head."""
    folder = tmp_path_factory.mktemp("ultrarm")
    byte_tokenizer(chat=False).save_pretrained(folder)
    about = json.loads((folder.parent / skywork.split("/")[-1] / "config.json").read_text())
    about["architectures"] = ["LlamaRewardModel"]
    for key in ("num_labels", "id2label", "label2id"):
        about.pop(key, None)
    (folder / "config.json").write_text(json.dumps(about))
    weights = load_file(f"{skywork}/model.safetensors")
    weights["regression_head.weight"] = weights.pop("score.weight")
    if request.param == "safetensors":
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        torch.save(weights, folder / "pytorch_model.bin")
    return str(folder)


def read(model, inputs, **more):
    return backends.reward_reader(RewardBackend(model=model, **more)).rewards(inputs)


def alone(folder, ids) -> float:
    model = LlamaForSequenceClassification.from_pretrained(folder, num_labels=1).eval()
    with torch.no_grad():
        return float(model(torch.tensor([ids])).logits[0, 0])


def test_a_chat_reward_equals_the_librarys_own(skywork):
    tokenizer = AutoTokenizer.from_pretrained(skywork)
    found = read(skywork, INPUTS)
    assert found.errors == (None,) * len(INPUTS)
    assert found.truncated == (False,) * len(INPUTS)
    for place in (0, 5, 22):
        turn = [
            {"role": "user", "content": INPUTS[place].instruction},
            {"role": "assistant", "content": INPUTS[place].response},
        ]
        ids = tokenizer.apply_chat_template(turn, return_dict=False)
        assert found.rewards[place] == pytest.approx(alone(skywork, ids), abs=1e-4)
    assert len({round(reward, 5) for reward in found.rewards}) > 15


def test_a_regression_head_is_read_at_the_end_of_its_own_text(ultrarm, skywork):
    tokenizer = AutoTokenizer.from_pretrained(ultrarm)
    found = read(ultrarm, INPUTS, format="human_assistant")
    for place in (0, 5, 22):
        text = f"Human: {INPUTS[place].instruction}\n\nAssistant: {INPUTS[place].response}"
        assert found.rewards[place] == pytest.approx(alone(skywork, tokenizer(text)["input_ids"]), abs=1e-4)


def test_a_model_without_a_pad_token_reads_the_same(skywork, tmp_path):
    bare = save_reward(tmp_path / "bare", pad=False)
    np.testing.assert_allclose(read(bare, INPUTS).rewards, read(skywork, INPUTS).rewards, atol=1e-5)


def test_neighbours_and_order_never_change_a_reward(skywork):
    reader = backends.reward_reader(RewardBackend(model=skywork))
    whole = reader.rewards(INPUTS).rewards
    np.testing.assert_array_equal(reader.rewards(INPUTS[::-1]).rewards[::-1], whole)
    np.testing.assert_array_equal(reader.rewards(INPUTS[:3]).rewards, whole[:3])
    assert reader.rewards([]).rewards.shape == (0,)


def test_an_encoder_reads_a_pair(tmp_path):
    tokenizer = byte_tokenizer(chat=False)
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=len(tokenizer),
        num_labels=1,
        initializer_range=0.3,
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = read(str(tmp_path), INPUTS, format="pair")
    assert found.errors == (None,) * len(INPUTS)
    assert len(set(found.rewards)) > 10


def test_long_texts_are_refused_or_cut_and_marked(skywork):
    long = JudgeInput("What is it?", "start " + "word " * 400 + "end")
    refused = read(skywork, [long, INPUTS[0]], max_length=200)
    assert (refused.errors, refused.truncated) == (("too_long", None), (False, False))
    assert np.isnan(refused.rewards[0])
    cut = read(skywork, [long, INPUTS[0]], max_length=200, long_text="cut")
    assert (cut.errors, cut.truncated) == ((None, None), (True, False))


def test_what_is_no_reward_model_is_refused(llama, plain_llama, skywork, ultrarm, tmp_path):
    with pytest.raises(ConfigError, match="no reward model"):
        read(llama, INPUTS)
    with pytest.raises(ConfigError, match="no chat template"):
        read(ultrarm, INPUTS)
    with pytest.raises(ConfigError, match="Cannot load the reward model"):
        read(str(tmp_path / "absent"), INPUTS)
    tokenizer = byte_tokenizer()
    config = llama_config(tokenizer, pad_token_id=0)
    config.num_labels = 3
    LlamaForSequenceClassification(config).save_pretrained(tmp_path / "three")
    tokenizer.save_pretrained(tmp_path / "three")
    with pytest.raises(ConfigError, match="Cannot load the reward model"):
        read(str(tmp_path / "three"), INPUTS)


def test_a_reward_is_raw_and_no_level(skywork):
    judge = load_peer(RewardPeer(name="rm", backend=RewardBackend(model=skywork, max_length=200)))
    assert isinstance(judge, RewardJudge)
    good, long = judge.score([INPUTS[0], JudgeInput("q", "word " * 400)])
    assert (good.value, good.levels, good.label_mass, good.reason) == (None, None, None, "reward_is_no_level")
    assert good.raw == pytest.approx(read(skywork, INPUTS[:1]).rewards[0], abs=1e-6)
    assert good.reader == f"{skywork} (reward)"
    assert (long.raw, long.reason) == (None, "too_long")
    assert judge.score([]) == []
