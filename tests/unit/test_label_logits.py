"""Logits at the label position: what is shared is computed once, and nothing else changes."""

import pytest

torch = pytest.importorskip("torch")

from selfj.tune.lora import _label_logits  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

SHARED = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
PROMPTS = [[*SHARED, 20, 21, 22], [*SHARED, 30], [*SHARED, 20, 40, 41, 42, 43]]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        attn_implementation="eager",
    )
    return LlamaForCausalLM(config).train()


def gradients(model, prompts, *, divide):
    model.zero_grad()
    logits = _label_logits(model, 0, prompts, divide=divide)
    weights = torch.arange(logits.numel(), dtype=logits.dtype).reshape(logits.shape).cos()
    torch.autograd.backward((logits * weights).sum())
    return logits.detach(), {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize(
    "prompts", [PROMPTS, PROMPTS[:1], [[1, 2, 3], [4, 5]], [SHARED, [*SHARED, 3]], [SHARED, SHARED]]
)
def test_a_shared_beginning_changes_neither_logits_nor_gradients(model, prompts):
    plain, expected = gradients(model, prompts, divide=False)
    divided, found = gradients(model, prompts, divide=True)
    torch.testing.assert_close(divided, plain, rtol=1e-4, atol=1e-5)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def test_each_prompt_alone_has_the_same_logits(model):
    together = _label_logits(model, 0, PROMPTS, divide=True)
    alone = torch.cat([_label_logits(model, 0, [prompt], divide=False) for prompt in PROMPTS])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_a_shared_beginning_is_read_once(model):
    seen = []
    hook = model.register_forward_pre_hook(
        lambda module, args, given: seen.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    _label_logits(model, 0, PROMPTS, divide=True)
    hook.remove()
    assert seen == [(1, 10), (3, 5)]
