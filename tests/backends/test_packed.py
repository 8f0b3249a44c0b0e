"""Linear layers laid out for the processor, and a last MLP that computes only what is read."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from selfj.backends import packed
from selfj.backends.base import Sampling
from selfj.backends.last_layer import LastLayer
from selfj.backends.packed import PackedLinear, pack
from selfj.backends.transformers import CausalModel
from selfj.settings import TransformersBackend

from .conftest import byte_tokenizer, tiny_llama


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("wide"), byte_tokenizer(), hidden=512, spread=0.05)


@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_maps_alike(bias):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(600, 512, bias=bias), nn.Linear(512, 4), nn.Linear(512, 512))
    plain = copy.deepcopy(model)
    assert pack(model, keep=model[2]) == 1  # the second is small, the third is kept
    assert isinstance(model[0], PackedLinear)
    torch.testing.assert_close(model[0].weight, plain[0].weight)
    for shape in ((600,), (3, 600), (2, 17, 600)):
        x = torch.randn(shape)
        with torch.inference_mode():
            torch.testing.assert_close(model[0](x), plain[0](x), rtol=1e-4, atol=1e-4)


def test_lower_precision_is_left_alone():
    assert pack(nn.Sequential(nn.Linear(600, 512).to(torch.bfloat16))) == 0


def test_no_weight_is_held_twice(wide):
    model = CausalModel(TransformersBackend(model=wide), template="selfj")
    linear = [layer for layer in model._model.modules() if type(layer) is nn.Linear]
    assert linear == [model._model.get_output_embeddings()]
    assert sum(isinstance(layer, PackedLinear) for layer in model._model.modules()) == 14


@pytest.mark.parametrize("threads", [1, 2])
def test_draws_of_a_packed_model_do_not_depend_on_neighbours(wide, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model = CausalModel(TransformersBackend(model=wide, batch_size=8), template="selfj")
        asked = [[{"role": "user", "content": "why " * n + "?"}] for n in range(1, 40, 2)]
        seeds = list(range(len(asked)))
        sampling = Sampling(temperature=1.0, max_tokens=8)
        whole = model.generate(asked, seeds, sampling)
        assert len({x.text for x in whole}) > 5
        assert model.generate(asked[::-1], seeds[::-1], sampling) == whole[::-1]
        assert [model.generate([asked[i]], [i], sampling)[0] for i in range(0, 20, 3)] == whole[::3]
        replies = [x.text or "so" for x in whole]
        likely = model.mean_logprob(asked, replies)
        assert model.mean_logprob(asked[5:9], replies[5:9]) == likely[5:9]
    finally:
        torch.set_num_threads(before)


def test_a_packed_model_draws_what_a_plain_one_draws(wide, monkeypatch):
    asked, sampling = [[{"role": "user", "content": "What is 6 times 7?"}]] * 8, Sampling(max_tokens=8)
    fast = CausalModel(TransformersBackend(model=wide), template="selfj").generate(asked, range(8), sampling)
    monkeypatch.setattr(packed, "_LEAST_SIZE", 2**60)
    slow = CausalModel(TransformersBackend(model=wide), template="selfj").generate(asked, range(8), sampling)
    assert [x.text for x in fast] == [x.text for x in slow]
    np.testing.assert_allclose([x.logprob for x in fast], [x.logprob for x in slow], atol=1e-4)


SHAPE = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "pad_token_id": 0,
}
KINDS = {
    "llama": {},
    "qwen3": {},
    "gemma2": {},
    "phi": {"num_key_value_heads": 2},
    "gpt_neox": {},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 2},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_token_stays_as_it_was(kind):
    torch.manual_seed(0)
    shape = SHAPE if kind != "gpt2" else {"vocab_size": 320}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(shape | KINDS[kind]))).eval()
    last = LastLayer(model)
    assert (last._mlp is not None) == (kind != "gpt2"), "gpt2 calls its layers otherwise, and is read in full"
    ids = torch.arange(2 * 30).reshape(2, 30) + 5
    with torch.inference_mode():
        expected = model(ids).logits
        with last.limited():
            found = model(ids).logits
        torch.testing.assert_close(found[:, -1], expected[:, -1], atol=1e-4, rtol=1e-4)
        if kind != "gpt2":
            assert (found[:, 0] - expected[:, 0]).abs().max() > 1e-3
        torch.testing.assert_close(model(ids).logits, expected)


class Mixing(nn.Module):
    """Its output at a token depends on other tokens, which no MLP's does."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.cumsum(dim=1))


def test_a_last_layer_of_another_kind_is_left_alone():
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SHAPE)).eval()
    model.model.layers[-1].mlp = Mixing(model.model.layers[-1].mlp)
    assert LastLayer(model)._mlp is None
