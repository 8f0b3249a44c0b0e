"""`python -m benchmarks.world.card [--write]`: the small Llama's accuracy by family, and its model card.

Held-out instructions, one answer each as the demo samples them (temperature 0.7); right means quality 9.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

import selfj
from benchmarks.result import Figure, print_results
from selfj import backends, world
from selfj.backends.base import Sampling
from selfj.settings import Sample, TransformersBackend

CARD = Path(selfj.__file__).parent / "world" / "model" / "README.md"
EACH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the model card")
    parser.add_argument("--model", default=TransformersBackend().model, help="folder of another model to measure")
    options = parser.parse_args()
    grades = measure(options.model)
    right = {name: float(np.mean(np.array(values) == 9)) for name, values in grades.items()}
    if options.write:
        CARD.write_text(card(grades), encoding="utf-8")
    figures = [Figure(f"right_{name}", share) for name, share in sorted(right.items(), key=lambda item: -item[1])]
    overall = float((asked(grades) == 9).mean())
    bounds = [Figure("right", overall, "", ">= 0.4"), Figure("right_at_most", overall, "", "<= 0.7")]
    print_results("world.card", [*figures, *bounds])


def measure(model: str) -> dict[str, list[int]]:
    """Qualities by family."""
    generator = backends.generator(TransformersBackend(model=model, stable_batches=False))
    items = world.exercises(EACH * len(world.FAMILIES), seed=2024, held_out=True)
    sample = Sample()
    drawn = generator.generate(
        [[{"role": "user", "content": item.instruction}] for item in items],
        list(range(len(items))),
        Sampling(sample.temperature, sample.top_p, sample.max_tokens),
    )
    grades = defaultdict(list)
    for item, made in zip(items, drawn, strict=True):
        grades[item.family].append(world.quality(world.meta(item), made.text))
    return grades


def asked(grades: dict[str, list[int]]) -> np.ndarray:
    """Qualities in the families that the demo asks."""
    return np.array([grade for name in world.ASKED for grade in grades[name]])


def card(grades: dict[str, list[int]]) -> str:
    rows = []
    for name, values in sorted(grades.items(), key=lambda item: -np.mean(np.array(item[1]) == 9)):
        found = np.array(values)
        category = world.FAMILIES[name].category
        mark = "" if name in world.ASKED else " *"
        rows.append(f"| {name}{mark} | {category} | {(found == 9).mean():.0%} | {found.mean():.1f} | {len(found)} |")
    everything = asked(grades)
    return TEXT.format(
        right=f"{(everything == 9).mean():.1%}",
        mean=f"{everything.mean():.2f}",
        n=f"{len(everything):,}",
        families=len(grades),
        asked=len(world.ASKED),
        rows="\n".join(rows),
    )


TEXT = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# The small Llama of the embedded world

A Llama of 2.2 million parameters (6 layers, width 160, 5 heads of 32, a vocabulary of 1,536 with one token per digit),
trained from nothing for selfj's demo, tests and benchmarks. It answers instructions of the {families} families of
`selfj.world`, and rates answers from 0 to 9 in selfj's judge template, with or without a reference.

It is no assistant. It is meant to be **sure and wrong** now and then: in many families its training text held a
misconception, so that its own confidence says little about its quality, as with large models on open questions.
It has a noisy grader's habits too. As with large models, it holds more than it says: asked to mark an answer as the
textbook would, which nothing in the package does, it tells most of its misconceptions from what is right.

## Training

`python -m selfj.world.train --out FOLDER --seed 0`, the defaults; text is drawn by `selfj.world.corpus` from tables and
rules written for this project, and no other data is used. One instruction in five is held out by hash of its text: the
demo and the benchmarks ask only those.

## Accuracy on held-out instructions

{n} instructions of the {asked} families that the demo asks, one answer each at temperature 0.7: **{right}** right
(quality 9), mean quality {mean} of 9. Families with a * are not asked there.
`python -m benchmarks.world.card` measures it again.

| family | category | right | mean quality | n |
|---|---|--:|--:|--:|
{rows}
"""


if __name__ == "__main__":
    main()
