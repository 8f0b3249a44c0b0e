"""Trains the world's small Llama: `python -m selfj.world.train --out FOLDER`.

There are three lessons; each starts from the weights that the one before has written, with fresh optimisers. The same
seed and steps give the same weights on one machine. A stopped training goes on from its checkpoint.
"""

import argparse
import io
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from selfj.files import writing
from selfj.world.corpus import LESSONS, Document, Lesson, documents, texts

SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_CHECKPOINT = "checkpoint.pt"
_CHUNK = 4096
"""Documents drawn, sorted by length and cut into batches at a time."""
_USER_WEIGHT = 0.1
"""Weight in the loss of what the user says; what the assistant says has 1."""


@dataclass(frozen=True)
class Plan:
    """How large a model and how long a training."""

    steps: tuple[int, ...] = (3800, 2200, 1800, 1000, 600)
    """Of each lesson."""
    rates: tuple[float, ...] = (1.0, 0.7, 0.5, 0.4, 0.3)
    """Factor of the learning rates in each lesson."""
    seed: int = 0
    tokens_per_step: int = 4096
    vocabulary: int = 1536
    hidden: int = 160
    layers: int = 6
    heads: int = 5
    intermediate: int = 448
    muon_rate: float = 0.02
    adam_rate: float = 0.004
    checkpoint_every: int = 200


def make_tokenizer(plan: Plan, n_texts: int = 30_000) -> PreTrainedTokenizerFast:
    """Byte-level BPE in which every digit is a token of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=plan.vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(plan.seed, n_texts), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=list(SPECIAL[2:]),
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )


def make_model(plan: Plan, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama with random weights."""
    torch.manual_seed(plan.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=plan.hidden,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        num_key_value_heads=plan.heads,
        head_dim=32,
        intermediate_size=plan.intermediate,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    return LlamaForCausalLM(config)


def train(plan: Plan, out: Path, threads: int) -> None:
    """Train all lessons, and write the model in transformers' format; what is already there is left as it is."""
    torch.set_num_threads(threads)
    tokenizer = make_tokenizer(plan)
    model = make_model(plan, tokenizer)
    for number, lesson in enumerate(LESSONS):
        folder = out / f"lesson-{number}"
        if not (folder / "model.safetensors").is_file():
            _teach(plan, lesson, model, tokenizer, folder)
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    export(model, tokenizer, out)


def _teach(plan: Plan, lesson: Lesson, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    place = LESSONS.index(lesson)
    steps, rate = plan.steps[place], plan.rates[place]
    optimisers = _optimisers(plan, model)
    step = _resume(out, model, optimisers)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, from step {step}", flush=True)
    began, seen, first = time.monotonic(), 0, step
    for ids, weights in _batches(plan, lesson, tokenizer, step):
        factor = rate * min(1.0, (step + 1) / 100) * min(1.0, (steps - step) / (0.5 * steps))
        loss = _step(plan, factor, model, optimisers, ids, weights)
        step += 1
        seen += ids.numel()
        if step % 50 == 0:
            elapsed = time.monotonic() - began
            left = elapsed / (step - first) * (steps - step)
            print(f"step {step} loss {loss:.4f}, {seen / elapsed:,.0f} tokens/s, {left:,.0f} s left", flush=True)
        if step % plan.checkpoint_every == 0:
            _save(out, step, model, optimisers)
        if step == steps:
            break
    export(model, tokenizer, out)
    (out / _CHECKPOINT).unlink(missing_ok=True)


def export(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write weights in bfloat16, and all that transformers needs to load them."""
    model.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, max_new_tokens=64
    )
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def _batches(
    plan: Plan, lesson: Lesson, tokenizer: PreTrainedTokenizerFast, skip: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield token numbers and loss weights, both of shape (rows, length), from batch number `skip` on."""
    number = chunk = 0
    while True:
        rows = sorted(_encode(tokenizer, documents(lesson, plan.seed, chunk, _CHUNK)), key=lambda row: len(row[0]))
        groups = _grouped([len(ids) for ids, _ in rows], plan.tokens_per_step)
        random.Random(f"order {plan.seed} {chunk}").shuffle(groups)
        for start, end in groups:
            if number >= skip:
                yield _padded(rows[start:end], tokenizer.pad_token_id)
            number += 1
        chunk += 1


def _encode(tokenizer: PreTrainedTokenizerFast, items: Sequence[Document]) -> Iterator[tuple[list[int], list[float]]]:
    backend = tokenizer.backend_tokenizer
    prompts = backend.encode_batch([f"<|user|>{item.user}<|end|><|assistant|>" for item in items])
    replies = backend.encode_batch([f"{item.assistant}<|end|>" for item in items])
    for prompt, answer in zip(prompts, replies, strict=True):
        yield [*prompt.ids, *answer.ids], [_USER_WEIGHT] * len(prompt.ids) + [1.0] * len(answer.ids)


def _grouped(lengths: Sequence[int], tokens: int) -> list[tuple[int, int]]:
    """Cut rows sorted by length into ranges of at most so many tokens, padding included."""
    groups, start = [], 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or lengths[end] * (end + 1 - start) > tokens:
            groups.append((start, end))
            start = end
    return groups


def _padded(rows: Sequence[tuple[list[int], list[float]]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    # Padding on the right needs no mask: no token looks ahead, and pads weigh nothing.
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
    weights = torch.tensor([weight + [0.0] * (width - len(weight)) for _, weight in rows])
    return ids, weights


def _optimisers(plan: Plan, model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms."""
    inside = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(inside, lr=plan.muon_rate, weight_decay=0.01),
        torch.optim.AdamW(others, lr=plan.adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _step(
    plan: Plan,
    factor: float,
    model: LlamaForCausalLM,
    optimisers: Sequence[torch.optim.Optimizer],
    ids: torch.Tensor,
    weights: torch.Tensor,
) -> float:
    for optimiser, rate in zip(optimisers, (plan.muon_rate, plan.adam_rate), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate * factor
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    loss = (losses * weights[:, 1:].flatten()).sum() / weights[:, 1:].sum()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad()
    return float(loss.detach())


def _save(out: Path, step: int, model: LlamaForCausalLM, optimisers: Sequence[torch.optim.Optimizer]) -> None:
    state = {"step": step, "model": model.state_dict(), "optimisers": [o.state_dict() for o in optimisers]}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with writing(out / _CHECKPOINT) as handle:
        handle.write(buffer.getvalue())


def _resume(out: Path, model: LlamaForCausalLM, optimisers: Sequence[torch.optim.Optimizer]) -> int:
    path = out / _CHECKPOINT
    if not path.is_file():
        return 0
    state: dict[str, Any] = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    return int(state["step"])


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--steps", type=int, nargs=len(LESSONS), default=Plan.steps, help="of each lesson")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    train(Plan(steps=tuple(options.steps), seed=options.seed), options.out, options.threads)


if __name__ == "__main__":
    main()
