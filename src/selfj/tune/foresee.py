"""From settings and rows to a plan; tokens are counted with the model's tokenizer, on a sample where rows are many."""

import math
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from selfj.backends.base import JudgeInput
from selfj.backends.tokens import Prompts
from selfj.judge import judge_backend
from selfj.prompts import TEMPLATES
from selfj.settings import Config, FullTuning, LoraTuning
from selfj.sft_settings import SftLora
from selfj.tune import plan as plans
from selfj.tune.plan import Device, Learned, Plan, Tokens
from selfj.tune.probe import model_sizes, this_device, tokenizer_of
from selfj.tune.sft import Lesson
from selfj.tune.shapes import Model

SAMPLE = 400
"""Rows whose tokens are counted."""
_CHARS = 4
"""Characters of a token, where no tokenizer can be reached."""

Ids = list[int]


def plan_tuning(
    config: Config,
    pairs: Sequence[tuple[JudgeInput, JudgeInput]],
    unseen: int,
    notes: Sequence[str],
    device: str | None,
) -> Plan:
    """Plan the tuning of a judge.

    Args:
        config: `config.tune.method` is LoRA or full tuning.
        pairs: What the teacher and the student would read; empty where nothing is known.
        unseen: Tokens to add to each prompt for a response that is not there yet.
        notes: What was assumed so far.
        device: See `selfj.tune.plan.device_named`; None is this machine.
    """
    method = config.tune.method
    assert isinstance(method, LoraTuning | FullTuning)
    backend = judge_backend(config, method.base)
    model = model_sizes(backend.model)
    notes = list(notes)
    tokens = _pair_tokens(config, method, pairs, unseen, notes) if pairs else _assumed(config, method, notes)
    if isinstance(method, FullTuning):
        learned = Learned(full=True, checkpointing=method.gradient_checkpointing)
    else:
        learned = Learned(
            full=False,
            r=method.r,
            targets=method.target_modules,
            dropout=method.dropout,
            quantised=method.quantised,
            checkpointing=method.gradient_checkpointing,
        )
    steps = method.epochs * math.ceil(tokens.rows / method.batch_size)
    where = _device(device, getattr(backend, "device", "auto"), model, tokens.widest)
    return plans.make_plan(model, where, learned, tokens, method.epochs, steps, [*_table(model), *notes])


def plan_sft(config: Config, lessons: Sequence[Lesson], notes: Sequence[str], device: str | None) -> Plan:
    """Plan an instruction tuning; without lessons, of `max_rows` rows as long as they may be."""
    sft = config.sft
    backend = judge_backend(config, sft.base)
    model = model_sizes(backend.model)
    notes = list(notes)
    if lessons:
        sample = _sample(lessons, config.seed)
        length = _lesson_lengths(backend.model, notes)
        lengths = [length(lesson) for lesson in sample]
        total, sampled = len(lessons), None if len(sample) == len(lessons) else len(sample)
    else:
        total, sampled = sft.max_rows or 1, None
        lengths = [sft.max_length] * min(total, SAMPLE)
    kept = [length for length in lengths if length <= sft.max_length] or [sft.max_length]
    rows = max(1, round(total * len(kept) / len(lengths)))
    naive = round(rows * sum(kept) / len(kept))
    method = sft.method
    if isinstance(method, SftLora):
        learned = Learned(False, method.r, method.target_modules, method.dropout, method.quantised)
    else:
        learned = Learned(full=True)
    learned = replace(learned, checkpointing=sft.gradient_checkpointing, all_logits=True)
    padded = _padded(kept, sft.batch_size, sft.micro_rows)
    read = round(rows * padded / len(kept))
    tokens = Tokens(
        rows=rows,
        skipped=total - rows,
        read=read,
        naive=naive,
        length=naive / rows,
        passes=math.ceil(rows / sft.micro_rows),
        widest=sft.micro_rows * max(kept),
        logits=read,
        sampled=sampled,
    )
    steps = math.ceil(rows * sft.epochs / sft.batch_size)
    where = _device(device, getattr(backend, "device", "auto"), model, tokens.widest)
    return plans.make_plan(model, where, learned, tokens, sft.epochs, steps, [*_table(model), *notes])


def _pair_tokens(
    config: Config,
    method: LoraTuning | FullTuning,
    pairs: Sequence[tuple[JudgeInput, JudgeInput]],
    unseen: int,
    notes: list[str],
) -> Tokens:
    tokenizer = tokenizer_of(judge_backend(config, method.base).model)
    sample = _sample(pairs, config.seed)
    ids: Callable[[JudgeInput], Ids]
    if tokenizer is None:
        notes.append(f"the tokenizer cannot be reached: a token is taken for {_CHARS} characters")
        ids = lambda exchange: _by_characters(method.template, exchange)  # noqa: E731
    else:
        ids = Prompts(tokenizer, method.template).judge_ids
    both = [(ids(teacher), ids(student)) for teacher, student in sample]
    kept = [(t, s) for t, s in both if max(len(t), len(s)) + unseen <= method.max_length]
    if not kept:
        notes.append("every sampled row is too long: see tune.method.max_length")
        kept = [(t[: method.max_length - unseen], s[: method.max_length - unseen]) for t, s in both]
    learned = round(len(pairs) * len(kept) / len(both))
    # Rows of one pass are of like length, as the loop sorts them inside a batch.
    share = min(1.0, method.batch_size / len(kept))
    kept.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
    sizes = [len(t) + len(s) + 2 * unseen for t, s in kept]
    batches = max(1, round(1 / share))
    read = widest = passes = 0
    for number in range(batches):
        batch = list(range(number, len(kept), batches))
        for part in plans.pack([sizes[row] for row in batch], method.micro_tokens):
            chosen = [kept[batch[place]] for place in part]
            apart = sum(t[: len(s)] != s for t, s in chosen)
            tokens = plans.read_tokens([t for t, _ in chosen], [s for _, s in chosen])
            tokens += unseen * (len(chosen) + apart)
            read, widest, passes = read + tokens, max(widest, tokens), passes + 1
    rows = max(1, round(learned * (1 - method.validation)))
    scale = rows / len(kept)
    naive = sum(sizes)
    return Tokens(
        rows=rows,
        skipped=len(pairs) - learned,
        read=round(read * scale),
        naive=round(naive * scale),
        length=naive / len(kept) / 2,
        passes=max(1, round(passes * scale)),
        widest=widest,
        logits=2 * rows,
        sampled=None if len(sample) == len(pairs) else len(sample),
    )


def _assumed(config: Config, method: LoraTuning | FullTuning, notes: list[str]) -> Tokens:
    rows = max(1, round((config.tune.max_rows or 1) * (1 - method.validation)))
    length = method.max_length
    return Tokens(
        rows=rows,
        skipped=0,
        read=2 * rows * length,
        naive=2 * rows * length,
        length=float(length),
        passes=math.ceil(rows / max(1, method.micro_tokens // (2 * length))),
        widest=max(2 * length, method.micro_tokens),
        logits=2 * rows,
    )


def _lesson_lengths(name: str, notes: list[str]) -> Callable[[Lesson], int]:
    tokenizer = tokenizer_of(name)
    if tokenizer is None:
        notes.append(f"the tokenizer cannot be reached: a token is taken for {_CHARS} characters")
        return lambda lesson: (sum(len(m["content"]) + 12 for m in lesson.messages) + len(lesson.reply)) // _CHARS
    prompts = Prompts(tokenizer)
    # The end of turn is one more.
    return lambda lesson: sum(map(len, prompts.reply_ids(lesson.messages, lesson.reply))) + 1


def _padded(lengths: Sequence[int], batch_size: int, micro_rows: int) -> int:
    """Tokens of some rows, those of a pass padded to its longest."""
    ordered = sorted(lengths)
    stride = max(1, round(len(ordered) / batch_size))
    total = 0
    for first in range(stride):
        batch = ordered[first::stride]
        parts = [batch[start : start + micro_rows] for start in range(0, len(batch), micro_rows)]
        total += sum(len(part) * max(part) for part in parts)
    return total


def _by_characters(template: str, exchange: JudgeInput) -> Ids:
    judge = TEMPLATES[template]
    text = "".join(judge.render_turns(exchange.instruction, exchange.response, exchange.reference))
    return [zlib.crc32(text[start : start + _CHARS].encode()) for start in range(0, len(text), _CHARS)]


def _sample(rows: Sequence[Any], seed: int) -> list[Any]:
    return list(rows) if len(rows) <= SAMPLE else random.Random(seed).sample(list(rows), SAMPLE)


def _device(spec: str | None, setting: str, model: Model, tokens: int) -> Device:
    if spec is not None and "cpu" not in spec:
        return plans.device_named(spec, plans.GPUS["h100"])
    here = this_device("cpu" if spec is not None else setting, model, tokens)
    return here if spec is None else plans.device_named(spec, here)


def _table(model: Model) -> list[str]:
    return (
        [f"the config of {model.name} cannot be reached: its sizes are those known to selfj"]
        if model.from_table
        else []
    )
