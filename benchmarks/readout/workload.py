"""The workload that every read-out benchmark shares: a random model and exchanges of realistic length.

* The model: 12 layers of 768, heads of 32, 88 million parameters in bfloat16, random. Speed does not depend on what
  weights say. `quick` makes it 3 million. A Llama, or a Qwen3 of the same size, which `/v1/systemone` serves.
* The tokenizer: byte-level BPE over invented words, so that a word is about one token and a digit is one.
* The exchanges: 8 responses to each instruction. With `TEMPLATE` a prompt has about 60 tokens of template, 40 to 80 of
  instruction and 100 to 200 of response, all drawn from a seed. Those of one instruction follow each other.

Both template and instruction stand before the response, so the prompts of one instruction share their start:
`shared_lengths` counts it in tokens, and `must_read` cuts prompts into the pieces that have to be read at least once.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from selfj.backends.base import JudgeInput
from selfj.prompts import PAPER_STUDENT, PAPER_TEACHER, SELFJ_STUDENT, SELFJ_TEACHER

TEMPLATE = "paper"
CANDIDATES = 8
_VOCABULARY = 4096
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""`/v1/systemone` wants letters, yes and no to be single tokens."""
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Size:
    """Shape of the random model."""

    hidden: int = 768
    intermediate: int = 2048
    layers: int = 12


FULL, QUICK = Size(), Size(hidden=256, intermediate=688, layers=3)


def write_model(folder: Path, size: Size = FULL, *, qwen: bool = False) -> str:
    """Write the random model and its tokenizer into a folder; returns the folder as a model's name."""
    tokenizer = _tokenizer()
    torch.manual_seed(0)
    kind, shape = (Qwen3ForCausalLM, Qwen3Config) if qwen else (LlamaForCausalLM, LlamaConfig)
    config = shape(
        head_dim=32,
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.hidden // 32,
        num_key_value_heads=size.hidden // 32,
        vocab_size=len(tokenizer),
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    kind(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def exchanges(
    instructions: int, *, candidates: int = CANDIDATES, seed: int = 0, reference: bool = False
) -> list[JudgeInput]:
    """Draw exchanges, those of one instruction one after the other.

    Args:
        instructions: Number of different instructions.
        candidates: Responses to each.
        seed: The same seed gives the same texts.
        reference: Give each instruction a reference of 40 to 80 tokens.
    """
    draw = random.Random(seed)
    rows = []
    for _ in range(instructions):
        instruction = _text(draw, 40, 80)
        gold = _text(draw, 40, 80) if reference else None
        rows += [JudgeInput(instruction, _text(draw, 100, 200), gold) for _ in range(candidates)]
    return rows


def shuffled(rows: Sequence[JudgeInput], seed: int = 0) -> list[JudgeInput]:
    """The same exchanges in a random order, as they lie in a data set that nobody has sorted."""
    return random.Random(seed).sample(list(rows), len(rows))


def shared_lengths(prompts: Sequence[Sequence[int]], candidates: int = CANDIDATES) -> list[int]:
    """Tokens that all prompts of one instruction share at their start, one number per instruction.

    Args:
        prompts: Token ids, `candidates` of each instruction one after the other.
        candidates: Prompts per instruction.
    """
    groups = [prompts[start : start + candidates] for start in range(0, len(prompts), candidates)]
    return [next((i for i, column in enumerate(zip(*group)) if len(set(column)) > 1), 0) for group in groups]  # noqa: B905


def must_read(prompts: Sequence[Sequence[int]], candidates: int = CANDIDATES) -> list[list[int]]:
    """The pieces of prompts that have to be read at least once: shared starts once each, then every own part.

    Order and arguments are those of `shared_lengths`.
    """
    pieces = []
    for number, length in enumerate(shared_lengths(prompts, candidates)):
        group = prompts[number * candidates : (number + 1) * candidates]
        pieces.append(list(group[0][:length]))
        pieces += [list(prompt[length:]) for prompt in group]
    return pieces


def _words() -> list[str]:
    draw = random.Random(1)
    starts, middles = [*"bcdfghlmnprstv", "st", "tr", "pl"], [*"aeiou", "ai", "ou"]
    made = {"".join(draw.choice(part) for part in (starts, middles, starts, middles)) for _ in range(6000)}
    return sorted(made)[:2400]


_WORDS = _words()


def _text(draw: random.Random, least: int, most: int) -> str:
    return " ".join(draw.choice(_WORDS) for _ in range(draw.randint(least, most)))


def _tokenizer() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=["<|im_start|>", "<|im_end|>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    templates = [PAPER_STUDENT, PAPER_TEACHER, SELFJ_STUDENT, SELFJ_TEACHER, "### Response:", "user\n", "assistant\n"]
    single = " ".join(["yes no", *_LETTERS])
    inner.train_from_iterator([*templates * 50, *[single] * 50, *(f" {word} {word}" for word in _WORDS)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        pad_token="<pad>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=_CHAT,
    )


def sizes(prompts: Sequence[Sequence[int]], candidates: int = CANDIDATES) -> str:
    """One line that says how long prompts are."""
    shared = shared_lengths(prompts, candidates)
    whole, once = sum(map(len, prompts)), sum(map(len, must_read(prompts, candidates)))
    return (
        f"{len(prompts)} prompts of {len(shared)} instructions, {whole / len(prompts):.0f} tokens each, "
        f"{sum(shared) / len(shared):.0f} of them shared; {once / whole:.0%} of all tokens must be read once"
    )
