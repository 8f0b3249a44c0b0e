"""A tokenizer in the words of GGUF, as far as its `tokenizer.json` can be said in them.

llama.cpp knows ways of cutting text by name, not by rule, so the rules in the file are looked up here; a rule that is
not known is refused, since any other name would cut text in another way without a word.
"""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from selfj.errors import ConfigError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""Types of tokens in GGUF."""

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_THREE_DIGITS = _CONTRACTIONS + r"\p{N}{1,3}" + _REST
_ONE_DIGIT = _CONTRACTIONS + r"\p{N}" + _REST
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT2, _DIGITS = "(GPT-2's)", "(single digits)"
_CUTS: Mapping[tuple[tuple[str, ...], bool], str] = {
    ((_GPT2,), False): "gpt-2",
    ((_DIGITS, _GPT2), False): "smollm",
    ((_THREE_DIGITS,), True): "llama-bpe",
    ((_THREE_DIGITS,), False): "smaug-bpe",
    ((_ONE_DIGIT,), False): "qwen2",
    ((_TEKKEN,), True): "tekken",
}
"""llama.cpp's name for a way of cutting text: its rules in order, and whether a whole piece skips the merges."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a GGUF file says of a tokenizer."""

    model: str
    """`gpt2` for pairs of bytes, `llama` for pieces that fall back to bytes."""
    pre: str
    """llama.cpp's name for the way text is cut first."""
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...] | None
    scores: tuple[float, ...] | None
    ids: Mapping[str, int]
    """Tokens with a part to play: bos, eos, unk, pad."""
    add_bos: bool
    add_eos: bool
    add_space: bool
    """Whether a space is put before a text."""
    chat_template: str | None


def read_vocabulary(tokenizer: Any, size: int, *, bos: int | None = None, eos: int | None = None) -> Vocabulary:
    """Describe a fast tokenizer of transformers.

    Args:
        tokenizer: The tokenizer.
        size: Rows of the model's table of tokens; tokens that the tokenizer lacks are filled up as unused.
        bos: The model's token to begin with, where the tokenizer names none.
        eos: The model's token to end with, where the tokenizer names none.

    Raises:
        ConfigError: GGUF has no words for this tokenizer.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise _unsaid("it has no tokenizer.json")
    rules = json.loads(backend.to_str())
    model = rules["model"]
    if model.get("type") != "BPE":
        raise _unsaid(f"its model is {model.get('type')}, not BPE")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix") or model.get("dropout"):
        raise _unsaid("its BPE marks the inside or the end of words, or drops merges")
    tokens, types = _tokens(rules, size)
    pairs = [tuple(pair.split(" ", 1)) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    named = {
        "bos": tokenizer.bos_token_id if tokenizer.bos_token_id is not None else bos,
        "eos": tokenizer.eos_token_id if tokenizer.eos_token_id is not None else eos,
        "unk": tokenizer.unk_token_id,
        "pad": tokenizer.pad_token_id,
    }
    # Without a word llama.cpp takes token 11 for the beginning; it is not added, but must not be some common word.
    named["bos"] = named["eos"] if named["bos"] is None else named["bos"]
    first, last = _ends(tokenizer)
    template = tokenizer.chat_template
    if model.get("byte_fallback"):
        name, pre = "llama", "default"
        added = {token["content"] for token in rules.get("added_tokens", [])}
        scores = _scores(model["vocab"], pairs, len(tokens), added)
        merges, space = None, _space_before(rules)
        types = _with_bytes(tokens, types, named["unk"])
    else:
        name, pre, scores, space = "gpt2", _cut(rules), None, False
        merges = tuple(" ".join(pair) for pair in pairs)
    return Vocabulary(
        model=name,
        pre=pre,
        tokens=tuple(tokens),
        types=tuple(types),
        merges=merges,
        scores=scores,
        ids={part: token for part, token in named.items() if token is not None},
        add_bos=first is not None and first == tokenizer.bos_token_id,
        add_eos=last is not None and last == tokenizer.eos_token_id,
        add_space=space,
        chat_template=template if isinstance(template, str) else None,
    )


def _tokens(rules: Mapping[str, Any], size: int) -> tuple[list[str], list[int]]:
    found = {number: token for token, number in rules["model"]["vocab"].items()}
    kinds = dict.fromkeys(found, NORMAL)
    for added in rules.get("added_tokens", []):
        found[added["id"]] = added["content"]
        kinds[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    if found and max(found) >= size:
        raise _unsaid(f"it has the token number {max(found)}, and the model only {size}")
    tokens = [found.get(number, f"[PAD{number}]") for number in range(size)]
    if len(set(tokens)) < len(tokens):
        raise _unsaid("two of its tokens have one text")
    return tokens, [kinds.get(number, UNUSED) for number in range(size)]


def _cut(rules: Mapping[str, Any]) -> str:
    normaliser = rules.get("normalizer")
    if normaliser is not None and normaliser.get("type") != "NFC":
        raise _unsaid(f"it changes text first ({normaliser.get('type')})")
    steps = rules.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps])
    cuts: list[str] = []
    for step in steps:
        kind = step.get("type")
        if kind == "Digits" and step.get("individual_digits"):
            cuts.append(_DIGITS)
        elif kind == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
            cuts.append(str(step["pattern"].get("Regex")))
        elif kind == "ByteLevel" and not step.get("add_prefix_space"):
            cuts += [_GPT2] if step.get("use_regex", True) else []
        else:
            raise _unsaid(f"it cuts text by {kind}")
    if not steps or steps[-1].get("type") != "ByteLevel":
        raise _unsaid("its BPE is not over bytes")
    name = _CUTS.get((tuple(cuts), bool(rules["model"].get("ignore_merges"))))
    if name is None:
        raise _unsaid(f"llama.cpp has no name that is known here for its way of cutting text, {cuts}")
    return name


def _scores(
    vocab: Mapping[str, int], pairs: Sequence[tuple[str, ...]], size: int, added: Set[str]
) -> tuple[float, ...]:
    """Scores that merge in the order of the pairs.

    With scores, every two neighbours merge whose union is a token, the best first. That is the same only if the pairs
    list all such unions, and all pairs of one union stand together.
    """
    scores, ranks = [0.0] * size, dict[str, int]()
    last = ""
    for pair in pairs:
        union = "".join(pair)
        if union != last and union in ranks:
            raise _unsaid("its merges are in an order that scores cannot say")
        ranks.setdefault(union, len(ranks))
        last = union
    listed = set(pairs)
    for token in vocab:
        halves = [(token[:place], token[place:]) for place in range(1, len(token))]
        if token not in added and any(a in vocab and b in vocab and (a, b) not in listed for a, b in halves):
            raise _unsaid(f"its merges leave out a way to make {token!r}")
    for token, rank in ranks.items():
        scores[vocab[token]] = -float(rank + 1)
    return tuple(scores)


def _with_bytes(tokens: Sequence[str], types: Sequence[int], unknown: int | None) -> list[int]:
    named = {f"<0x{value:02X}>" for value in range(256)}
    if not named <= set(tokens):
        raise _unsaid("it falls back to bytes and lacks some of the 256")
    found = [BYTE if token in named else kind for token, kind in zip(tokens, types, strict=True)]
    if unknown is not None:
        found[unknown] = UNKNOWN
    return found


def _space_before(rules: Mapping[str, Any]) -> bool:
    text = json.dumps([rules.get("normalizer"), rules.get("pre_tokenizer")])
    if "\\u2581" not in text:
        raise _unsaid("it falls back to bytes and does not write a space as \u2581")
    return '"Prepend"' in text or '"prepend_scheme": "first"' in text or '"prepend_scheme": "always"' in text


def _ends(tokenizer: Any) -> tuple[int | None, int | None]:
    """Tokens that are put before and after a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    place = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
    before, after = whole[:place], whole[place + len(bare) :]
    return (before[0] if before else None), (after[-1] if after else None)


def _unsaid(why: str) -> ConfigError:
    return ConfigError(f"This tokenizer cannot be written as GGUF: {why}. Use the merged weights instead (--merge).")
