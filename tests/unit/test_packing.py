import numpy as np
import pytest

torch = pytest.importorskip("torch")

from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
)

from selfj.tune.packing import packed, read_pack, shared_beginning, use_packing  # noqa: E402
from selfj.tune.padding import read_padded  # noqa: E402

SIZES = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.15,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
PACKABLE = {
    "llama": LlamaConfig(**SIZES),
    "mistral with a window": MistralConfig(**SIZES, sliding_window=9),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=16),
    "phi3": Phi3Config(**SIZES),
    "gpt2": GPT2Config(
        n_embd=64, n_layer=2, n_head=4, vocab_size=97, initializer_range=0.15, attn_pdrop=0, embd_pdrop=0, resid_pdrop=0
    ),
}
OTHERS = {
    "capped scores": Gemma2Config(**SIZES, head_dim=16, attn_logit_softcapping=5.0),
    "no attention": MambaConfig(hidden_size=32, num_hidden_layers=2, vocab_size=97, state_size=4),
}


def build(config):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()


def prompts(seed, n, head=12, inside=False):
    rng = np.random.default_rng(seed)
    beginning = rng.integers(3, 97, head).tolist()
    student = [beginning + rng.integers(3, 97, rng.integers(1, 30)).tolist() for _ in range(n)]
    other = beginning if inside else rng.integers(3, 97, head + 4).tolist()
    teacher = [
        (whole if inside else other + whole[head:]) + rng.integers(3, 97, rng.integers(1, 9)).tolist()
        for whole in student
    ]
    return teacher, student


def alone(model, rows):
    return torch.stack([model(input_ids=torch.tensor([row]), use_cache=False).logits[0, -1] for row in rows]).float()


@pytest.mark.parametrize("kind", PACKABLE)
@pytest.mark.parametrize("inside", [False, True], ids=["apart", "inside"])
@pytest.mark.parametrize("share", [False, True], ids=["whole", "shared"])
def test_a_pack_reads_what_each_prompt_alone_reads(kind, inside, share):
    model = build(PACKABLE[kind])
    teacher, student = prompts(1, 7, inside=inside)
    expected = alone(model, teacher), alone(model, student)
    assert use_packing(model)
    pack = packed(teacher, student, share=share)
    found = read_pack(model, pack, torch.device("cpu"))
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).detach().abs().max()) < 2e-4
    whole = sum(map(len, teacher)) + sum(map(len, student))
    saved = {(False, False): 0, (True, False): 6 * (12 + 16)}.get((share, inside))
    if saved is None:
        saved = (6 * 12 + sum(map(len, student))) if share else 0
    assert len(pack.ids) == whole - saved


@pytest.mark.parametrize("kind", PACKABLE)
def test_gradients_are_those_of_prompts_read_alone(kind):
    model = build(PACKABLE[kind])
    teacher, student = prompts(2, 5, inside=True)
    weights = torch.randn(2, 5, 97)

    def gradients(logits):
        model.zero_grad()
        sum((w * x).sum() for w, x in zip(weights, logits, strict=True)).backward()
        return {name: p.grad.clone() for name, p in model.named_parameters()}

    expected = gradients((alone(model, teacher), alone(model, student)))
    assert use_packing(model)
    found = gradients(read_pack(model, packed(teacher, student), torch.device("cpu")))
    for name, gradient in expected.items():
        assert float((found[name] - gradient).norm()) <= 1e-3 * float(gradient.norm()) + 1e-5, name


@pytest.mark.parametrize("kind", OTHERS)
def test_a_model_that_cannot_be_packed_is_left_as_it_was(kind):
    model = build(OTHERS[kind])
    teacher, _ = prompts(3, 4)
    expected = alone(model, teacher)
    assert not use_packing(model)
    assert torch.equal(alone(model, teacher), expected)
    if kind != "no attention":
        found = read_padded(model, 0, teacher, torch.device("cpu"))
        assert float((found - expected).detach().abs().max()) < 2e-4


def test_a_beginning_leaves_a_token_of_each():
    assert shared_beginning([[1] * 20, [1] * 12]) == 11
    assert shared_beginning([[1] * 20, [1] * 5]) == 0
    assert shared_beginning([[1] * 20]) == 0
    assert shared_beginning([[*range(9), 5], [*range(9), 6], [*range(9), 5, 7]]) == 9


@pytest.mark.parametrize("n", [1, 2])
def test_equal_prompts_are_read_too(n):
    model = build(PACKABLE["llama"])
    rows = [list(range(3, 23))] * n
    expected = alone(model, rows)
    assert use_packing(model)
    teacher, student = read_pack(model, packed(rows, rows), torch.device("cpu"))
    assert float((teacher - expected).detach().abs().max()) < 2e-4
    assert torch.equal(teacher, student)
