"""What the tuning benchmarks learn from: a random Llama with a vocabulary of 32,000, and exchanges of realistic length.

* The model: 8 layers of 768, 106 million parameters in float32, random. Speed does not depend on what weights say.
* The tokenizer: words as tokens, digits one by one, so that a text's length in tokens is drawn and not found; it uses
  17,600 of them.
* The exchanges: lengths log-normal. A 13B chat model's (Vicuna's) answers to FLASK's questions make prompts with the
  reference of 134, 325 and 782 tokens (a tenth, half and nine tenths are shorter); these are of 135, 307 and 713.
  Longer ones than 1,024 are drawn again, as both procedures leave them out. In random batches of 16, padding makes them
  2.3 times as many tokens, as it does those of FLASK.
"""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from selfj.backends.base import JudgeInput
from selfj.prompts import TEMPLATES
from selfj.tune import Example

VOCABULARY = 32_000
LONGEST = 1024
_TEMPLATE_TOKENS = 75
_MEDIANS = {"instruction": 58.0, "response": 120.0, "reference": 45.0}
_SPREADS = {"instruction": 0.7, "response": 0.7, "reference": 1.1}
_COMMON = 0.9
"""Spread of what lengthens all three at once."""


def write_model(folder: Path, *, quick: bool = False) -> str:
    """Write the random model and its tokenizer; returns the folder as a model's name."""
    torch.manual_seed(0)
    hidden, layers = (256, 3) if quick else (768, 8)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 64,
        max_position_embeddings=2 * LONGEST,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return str(folder)


def exchanges(n: int, seed: int) -> list[Example]:
    """Draw n exchanges; the same seed draws the same."""
    rng = np.random.default_rng(seed)
    words = _words()
    examples: list[Example] = []
    while len(examples) < n:
        scale = float(rng.lognormal(0, _COMMON))
        lengths = {
            name: max(1, round(scale * median * float(rng.lognormal(0, _SPREADS[name]))))
            for name, median in _MEDIANS.items()
        }
        if sum(lengths.values()) + _TEMPLATE_TOKENS > LONGEST:
            continue
        text = {name: " ".join(rng.choice(words, length)) for name, length in lengths.items()}
        teacher = JudgeInput(text["instruction"], text["response"], text["reference"])
        student = JudgeInput(text["instruction"], text["response"])
        examples.append(Example(f"{len(examples):06}", teacher, student, round(float(rng.uniform(0, 9)), 3)))
    return examples


def _words() -> np.ndarray:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return np.array([a + b + c for a in letters for b in letters for c in letters])


def _tokenizer() -> PreTrainedTokenizerFast:
    pieces = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)])
    known = ["<pad>", "<s>", "</s>", "<unk>", *map(str, range(10))]
    for template in TEMPLATES.values():
        for text in (template.teacher, template.student, template.turn or "", template.wrap or "", "### Response:"):
            known += [piece for piece, _ in pieces.pre_tokenize_str(text)]
    distinct = list(dict.fromkeys([*known, *_words().tolist()]))
    inner = Tokenizer(models.WordLevel({word: place for place, word in enumerate(distinct)}, unk_token="<unk>"))
    inner.pre_tokenizer = pieces
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
