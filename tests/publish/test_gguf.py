"""A GGUF file holds the merged weights, tensor by tensor, in llama.cpp's names and order, and its tokenizer."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GPT2Config, PreTrainedTokenizerFast

gguf = pytest.importorskip("gguf")

from selfj.errors import ConfigError  # noqa: E402
from selfj.publish import publish, read_vocabulary  # noqa: E402
from selfj.publish.gguf import write_gguf  # noqa: E402

from .conftest import FAMILIES, LLAMA3, byte_level, digits, pieces, split  # noqa: E402

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def renamed(own):
    stem, _, kind = own.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, rest = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[rest]}.{kind}"
    return f"{NAMES[stem]}.{kind}"


def in_pairs(data, heads):
    """Row by row: number p of half w of a head becomes number w of pair p."""
    size = data.shape[0] // heads
    moved = np.empty_like(data)
    for head in range(heads):
        for half in range(2):
            for place in range(size // 2):
                moved[head * size + 2 * place + half] = data[head * size + half * size // 2 + place]
    return moved


def expected(folder):
    """Tensors of a folder for transformers, as llama.cpp wants them."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    config = model.config
    found = {}
    for own, weight in model.state_dict().items():
        data = weight.numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(own.split(".")[-2])
        if heads and config.model_type in ("llama", "mistral"):
            data = in_pairs(data, heads)
        found[renamed(own)] = data
    if config.tie_word_embeddings:
        del found["output.weight"]
    return found, config


def read(path):
    reader = gguf.GGUFReader(path)
    numbers = {
        tensor.name: gguf.quants.dequantize(np.array(tensor.data), tensor.tensor_type) for tensor in reader.tensors
    }
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    return numbers, kinds, {name: field.contents() for name, field in reader.fields.items()}


@pytest.mark.parametrize("kind", ["f32", "f16", "q8_0"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_is_there(judges_of, family, kind):
    publish(judges_of(family), merge="merged", gguf="judge.gguf", gguf_type=kind)
    wanted, config = expected("merged")
    numbers, kinds, _ = read("judge.gguf")
    slowed = numbers.pop("rope_freqs.weight", None)
    assert set(numbers) == set(wanted)
    for name, data in wanted.items():
        assert numbers[name].shape == data.shape, name
        if data.ndim == 1 or kind == "f32":
            assert kinds[name] == "F32"
            assert np.array_equal(numbers[name], data), name
        elif kind == "f16":
            assert kinds[name] == "F16"
            assert np.array_equal(numbers[name], data.astype(np.float16).astype(np.float32)), name
        else:
            assert kinds[name] == "Q8_0"
            blocks = np.abs(data.reshape(-1, 32)).max(axis=1, keepdims=True)
            gap = np.abs(numbers[name].reshape(-1, 32) - data.reshape(-1, 32))
            assert (gap <= blocks / 127 * 0.51 + 1e-3 * blocks).all(), name
    assert (slowed is None) == (family != "llama3")
    if slowed is not None:
        assert slowed.shape == (config.hidden_size // config.num_attention_heads // 2,)
        assert slowed[0] == pytest.approx(1)
        assert slowed[-1] == pytest.approx(LLAMA3["factor"])
        assert (np.diff(slowed) >= -1e-4).all()


def test_rows_that_do_not_fit_blocks_stay_in_f16(models_of):
    model = AutoModelForCausalLM.from_pretrained(models_of("qwen3"))
    model.model.layers[0].mlp.down_proj.weight = torch.nn.Parameter(torch.ones(64, 40))
    tokenizer = AutoTokenizer.from_pretrained(models_of("qwen3"))
    write_gguf(model, tokenizer, Path("odd.gguf"), "q8_0", template="selfj", digest="d")
    _, kinds, _ = read("odd.gguf")
    assert kinds["blk.0.ffn_down.weight"] == "F16"
    assert kinds["blk.1.ffn_down.weight"] == "Q8_0"


@pytest.mark.parametrize(
    ("family", "arch", "words"),
    [
        ("llama", "llama", {"rope.freq_base": 10000.0, "attention.key_length": 16}),
        ("llama3", "llama", {"rope.freq_base": 500000.0}),
        ("linear", "llama", {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
        ("mistral", "llama", {"context_length": 128, "attention.key_length": 32}),
        ("qwen2", "qwen2", {"context_length": 512}),
        ("qwen3", "qwen3", {"attention.key_length": 32, "attention.value_length": 32, "rope.dimension_count": 32}),
    ],
)
def test_settings_are_told(judges_of, family, arch, words):
    publish(judges_of(family), gguf="judge.gguf", gguf_type="f16")
    _, _, found = read("judge.gguf")
    always = {
        "embedding_length": 64,
        "block_count": 2,
        "feed_forward_length": 96,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
    }
    assert found["general.architecture"] == arch
    assert {name: found[f"{arch}.{name}"] for name in {**always, **words}} == {**always, **words}
    assert found[f"{arch}.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)
    assert found["general.file_type"] == 1
    assert found["selfj.template"] == "selfj"
    assert found["selfj.digest"] == "d" * 64


@pytest.mark.parametrize(
    ("family", "model", "pre"),
    [
        ("llama", "gpt2", "smollm"),
        ("llama3", "gpt2", "llama-bpe"),
        ("linear", "gpt2", "gpt-2"),
        ("mistral", "llama", "default"),
        ("qwen2", "gpt2", "qwen2"),
    ],
)
def test_the_tokenizer_is_told(judges_of, models_of, family, model, pre):
    publish(judges_of(family), gguf="judge.gguf")
    _, _, found = read("judge.gguf")
    tokenizer = AutoTokenizer.from_pretrained(models_of(family))
    rows = AutoConfig.from_pretrained(models_of(family)).vocab_size
    tokens, types = found["tokenizer.ggml.tokens"], found["tokenizer.ggml.token_type"]
    assert (found["tokenizer.ggml.model"], found["tokenizer.ggml.pre"]) == (model, pre)
    assert len(tokens) == len(types) == rows > len(tokenizer)
    assert {token: tokens.index(token) for token in tokenizer.get_vocab()} == tokenizer.get_vocab()
    assert types.count(5) == rows - len(tokenizer)
    for token, added in tokenizer.added_tokens_decoder.items():
        assert types[token] == (2 if added.content == "<unk>" else 3 if added.special else 4)
    assert found["tokenizer.ggml.eos_token_id"] == tokenizer.eos_token_id
    starts = tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    assert found["tokenizer.ggml.add_bos_token"] is starts
    if model == "llama":
        assert found["tokenizer.ggml.add_space_prefix"] is True
        assert sum(kind == 6 for kind in types) == 256
    else:
        assert found["tokenizer.chat_template"] == tokenizer.chat_template
        first = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"][0]
        assert found["tokenizer.ggml.merges"][0] == " ".join(first)


def test_the_embedded_model_can_be_said(tmp_path):
    folder = Path(__file__).parents[2] / "src" / "selfj" / "world" / "model"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).float(), AutoTokenizer.from_pretrained(folder)
    write_gguf(model, tokenizer, tmp_path / "world.gguf", "f32", template="selfj", digest="d")
    _, _, found = read(tmp_path / "world.gguf")
    assert found["tokenizer.ggml.pre"] == "smollm"
    # It has no token to begin with, and the one that it is taken for is never a word.
    assert found["tokenizer.ggml.bos_token_id"] == tokenizer.eos_token_id
    assert found["tokenizer.ggml.add_bos_token"] is False


def test_transformers_reads_it_back(judges_of):
    publish(judges_of("qwen2"), merge="merged", gguf="out/judge.gguf", gguf_type="f32")
    ids = torch.arange(5, 45)[None]
    with torch.no_grad():
        one = AutoModelForCausalLM.from_pretrained("merged")(ids).logits
        two = AutoModelForCausalLM.from_pretrained("out", gguf_file="judge.gguf", dtype=torch.float32)(ids).logits
    assert torch.allclose(one, two, atol=1e-4, rtol=0)


def word_level():
    inner = Tokenizer(models.WordLevel({"a": 0, "<s>": 1}, unk_token="a"))
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<s>")


def prefixed():
    cut = [pre_tokenizers.ByteLevel(add_prefix_space=True)]
    return byte_level(cut)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (word_level, "its model is WordLevel"),
        (lambda: byte_level(digits(), normaliser=normalizers.Lowercase()), "changes text first"),
        (lambda: byte_level(split(r"\d+")), "no name that is known here"),
        (prefixed, "cuts text by ByteLevel"),
        (lambda: byte_level([pre_tokenizers.Digits(individual_digits=False), *digits()[1:]]), "cuts text by Digits"),
        (lambda: pieces(leave_out=3), "leave out a way"),
    ],
)
def test_a_tokenizer_that_cannot_be_said_is_refused(make, why):
    with pytest.raises(ConfigError, match=why):
        read_vocabulary(make(), 1000)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused():
    with pytest.raises(ConfigError, match="the model only 20"):
        read_vocabulary(byte_level(digits()), 20)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}, "of the kind yarn"),
        ({"hidden_act": "gelu"}, "the activation silu"),
        ({"use_sliding_window": True}, "sliding window"),
    ],
)
def test_a_setting_without_a_place_is_refused(models_of, change, why):
    model = AutoModelForCausalLM.from_pretrained(models_of("llama"))
    for name, value in change.items():
        setattr(model.config, name, value)
    with pytest.raises(ConfigError, match=why):
        write_gguf(
            model, AutoTokenizer.from_pretrained(models_of("llama")), Path("x.gguf"), "f16", template="t", digest="d"
        )
    assert list(Path().iterdir()) == []


def test_another_architecture_is_refused(models_of):
    model = AutoModelForCausalLM.from_config(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=10))
    with pytest.raises(ConfigError, match="architecture gpt2"):
        write_gguf(model, None, Path("x.gguf"), "f16", template="t", digest="d")
