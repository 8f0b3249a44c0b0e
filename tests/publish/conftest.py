import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from selfj import backends
from selfj.backends.loading import quiet_peft
from selfj.judge import JUDGE_VERSION

torch.set_num_threads(1)

TEXT = [
    "what is the capital of Peru? Lima is the capital, and that's it.",
    "rate the answer from 0 to 9; the question is: how many?",
    "def f(x):\n    return x ** 2",
]
ONE_DIGIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
THREE_DIGITS = ONE_DIGIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}<|im_start|>"


def byte_level(cut, *, bos=False, ignore_merges=False, normaliser=None):
    inner = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normaliser is not None:
        inner.normalizer = normaliser
    inner.pre_tokenizer = pre_tokenizers.Sequence(cut)
    inner.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(TEXT * 3, trainer)
    inner.add_tokens([AddedToken("<think>", special=False)])
    if bos:
        inner.post_processor = processors.TemplateProcessing(
            single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|im_start|>" if bos else None,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        chat_template=TEMPLATE,
    )


def split(regex):
    return [
        pre_tokenizers.Split(Regex(regex), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


def digits():
    return [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]


def pieces(*, leave_out=0):
    """A tokenizer of pieces that fall back to bytes, as Llama 2's and Mistral's are."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained.train_from_iterator(TEXT * 3, trainers.BpeTrainer(vocab_size=120, show_progress=False))
    found = json.loads(trained.to_str())["model"]
    unions = list(dict.fromkeys("".join(pair) for pair in found["merges"]))
    letters = [token for token in found["vocab"] if token not in unions]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256)), *unions]
    vocab = {token: place for place, token in enumerate(dict.fromkeys([*names, *letters, *"0123456789"]))}
    merges = [
        (token[:place], token[place:])
        for token in unions
        for place in range(1, len(token))
        if token[:place] in vocab and token[place:] in vocab
    ]
    inner = Tokenizer(
        models.BPE(vocab=vocab, merges=merges[leave_out:], byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    )
    inner.normalizer = trained.normalizer
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    inner.add_special_tokens([AddedToken(token, normalized=False) for token in ("<unk>", "<s>", "</s>")])
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=None
    )


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES = {
    "llama": (LlamaConfig, {"attention_bias": True, "tie_word_embeddings": True}, lambda: byte_level(digits())),
    "llama3": (
        LlamaConfig,
        {"rope_parameters": LLAMA3, "tie_word_embeddings": False},
        lambda: byte_level(split(THREE_DIGITS), bos=True, ignore_merges=True),
    ),
    "linear": (
        LlamaConfig,
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}},
        lambda: byte_level([pre_tokenizers.ByteLevel(add_prefix_space=False)]),
    ),
    "mistral": (MistralConfig, {"sliding_window": 128, "head_dim": 32}, pieces),
    "qwen2": (
        Qwen2Config,
        {"tie_word_embeddings": True},
        lambda: byte_level(split(ONE_DIGIT), normaliser=normalizers.NFC()),
    ),
    "qwen3": (Qwen3Config, {"head_dim": 32}, lambda: byte_level(split(ONE_DIGIT))),
}
SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def save_model(name, folder):
    """A small model of a family with random weights and norms, and its tokenizer; returns the folder as text."""
    kind, more, make = FAMILIES[name]
    tokenizer = make()
    torch.manual_seed(7)
    config = kind(
        **{**SHAPE, **more},
        vocab_size=len(tokenizer) + 5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for own, weight in model.named_parameters():
            if weight.dim() == 1:
                weight.copy_(torch.randn_like(weight) * 0.2 + (0 if own.endswith("bias") else 1))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def save_judge(base, folder, *, targets=("q_proj", "k_proj", "v_proj", "o_proj"), template="selfj"):
    """A judge with a random adapter on a base, as the tune stage leaves it."""
    torch.manual_seed(8)
    settings = LoraConfig(r=4, target_modules=list(targets), task_type="CAUSAL_LM", init_lora_weights=False)
    with quiet_peft():
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings)
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    part = {"total": 2.0, "teacher": 1.0, "student": 1.0, "distillation": 0.5}
    manifest = {
        "version": JUDGE_VERSION, "key": "k", "kind": "lora", "label": "z", "digest": "d" * 64, "base": base,
        "base_digest": backends.model_digest(base), "template": template, "embedder": None, "rows": 12,
        "skipped_too_long": 0, "inputs": {"labels": "l"}, "settings": {"tune": {"method": {"r": 4}}}, "seed": 0,
        "versions": {"selfj": "0.1.0"}, "seconds": 1.0, "losses": [part, part],
    }  # fmt: skip
    (folder / "judge.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def models_of(tmp_path_factory):
    """A folder with a small model of a family, made once."""
    made = {}

    def build(name):
        if name not in made:
            made[name] = save_model(name, tmp_path_factory.mktemp(name))
        return made[name]

    return build


@pytest.fixture(scope="session")
def judges_of(models_of, tmp_path_factory):
    """A folder with a judge on such a model, made once; do not write into it."""
    made = {}

    def build(name):
        if name not in made:
            made[name] = save_judge(models_of(name), tmp_path_factory.mktemp(f"judge-{name}"))
        return made[name]

    return build
