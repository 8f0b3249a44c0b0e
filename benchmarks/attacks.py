"""`python -m benchmarks.attacks [--quick] [--run RUN]`: what each kind of attack does to a judge's score.

Wrong answers of the embedded world are judged as they are, with each attack of `selfj.attacks`, and with a neutral text
of the same length in the same place. The shift of an attack is the score with it minus the score with the neutral text,
in levels; above 0 it persuades more than other words would. The gain is the score with it minus that of the answer as
it is; above 0 the attack pays.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.result import Figure, commit, print_results
from selfj import judging, prompts, world
from selfj.attacks import attacks, kinds
from selfj.backends.base import JudgeInput
from selfj.judge import Judge

OUT = Path(__file__).parents[1] / "docs" / "results" / "attacks.md"
ANSWERS, QUICK_ANSWERS = 100, 20
_REDRAWS = 1000


@dataclass(frozen=True)
class Shifts:
    """What one kind of attack did; shape of all arrays (attacks, answers), NaN where a score is missing."""

    kind: str
    plain: np.ndarray
    neutral: np.ndarray
    attacked: np.ndarray

    @property
    def shift(self) -> np.ndarray:
        return self.attacked - self.neutral

    @property
    def gain(self) -> np.ndarray:
        return self.attacked - self.plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ANSWERS} wrong answers instead of {ANSWERS}")
    parser.add_argument("--run", help="the tuned judge of this run, with its threshold; without it a fake judge")
    parser.add_argument("--judge", help="the tuned judge in this folder")
    parser.add_argument("--set", action="append", default=[], dest="sets", help="override a setting")
    parser.add_argument("--reference", action="store_true", help="read as the teacher, with the reference in view")
    parser.add_argument("--unfenced", action="store_true", help="take the fence off the template, to see what it does")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.relative_to(OUT.parents[2])}")
    options = parser.parse_args()
    if options.unfenced:
        prompts.TEMPLATES["selfj"] = replace(prompts.TEMPLATES["selfj"], fence=False)
    sets = options.sets if options.run or options.judge else ["target.kind=fake", *options.sets]
    loaded = judging.load_judging(run=options.run, judge=options.judge, overrides=sets)
    answers = wrong_answers(QUICK_ANSWERS if options.quick else ANSWERS, seed=1, reference=options.reference)
    found = [measure(loaded.judge, kind, answers) for kind in kinds()]
    value = loaded.threshold.value if loaded.threshold is not None else None
    table = markdown(found, value)
    print(table)
    if options.write:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(page(table, loaded.judge.name, len(answers)), encoding="utf-8")
    print_results("attacks", figures(found, value))


def wrong_answers(n: int, *, seed: int, reference: bool) -> list[JudgeInput]:
    """Wrong answers to instructions that no model was tuned on: misconceptions, and answers to other questions."""
    rng = random.Random(seed)
    made: list[JudgeInput] = []
    for item in world.exercises(20 * n, seed=seed, held_out=True):
        answer = item.taught if item.taught != item.answer else world.exercise(rng, item.family).taught
        text = world.reply(item, answer, rng.randrange(8))
        if world.quality(world.meta(item), text) < 5:
            made.append(JudgeInput(item.instruction, text, world.reference(item) if reference else None))
        if len(made) == n:
            break
    return made


def measure(judge: Judge, kind: str, answers: Sequence[JudgeInput]) -> Shifts:
    chosen = [attack for attack in attacks() if attack.kind == kind]
    inputs = list(answers)
    for attack in chosen:
        inputs += [replace(x, response=attack.neutral(x.instruction, x.response)) for x in answers]
        inputs += [replace(x, response=attack.on(x.instruction, x.response)) for x in answers]
    # In one call, so that the judge's batches are full.
    plain, *others = scores(judge, inputs).reshape(-1, len(answers))
    return Shifts(kind, np.tile(plain, (len(chosen), 1)), np.array(others[::2]), np.array(others[1::2]))


def scores(judge: Judge, inputs: Sequence[JudgeInput]) -> np.ndarray:
    return np.array([np.nan if score.value is None else score.value for score in judge.score(inputs)])


def interval(shift: np.ndarray) -> tuple[float, float]:
    """Interval of 95 % of a mean shift, by redrawing answers."""
    by_answer = np.nanmean(shift, axis=0)
    rng = np.random.default_rng(0)
    drawn = np.nanmean(by_answer[rng.integers(len(by_answer), size=(_REDRAWS, len(by_answer)))], axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def figures(found: Sequence[Shifts], threshold: float | None) -> list[Figure]:
    everything = np.concatenate([item.shift for item in found])
    worst = max(found, key=lambda item: float(np.nanmean(item.shift)))
    gains = np.concatenate([item.gain for item in found])
    pays = max(found, key=lambda item: float(np.nanmean(item.gain)))
    made = [
        Figure("mean_shift_levels", float(np.nanmean(everything)), "", "", interval(everything)),
        Figure("worst_kind_shift_levels", float(np.nanmean(worst.shift)), "", "", interval(worst.shift)),
        Figure("mean_gain_levels", float(np.nanmean(gains)), "", "", interval(gains)),
        Figure("worst_kind_gain_levels", float(np.nanmean(pays.gain)), "", "", interval(pays.gain)),
        Figure("unscored_share", float(np.isnan(np.concatenate([item.attacked for item in found])).mean())),
    ]
    print(f"\nworst kind by shift: {worst.kind}; by gain: {pays.kind}")
    if threshold is not None:
        for name in ("plain", "neutral", "attacked"):
            values = np.concatenate([getattr(item, name) for item in found])
            made.append(Figure(f"answered_share_{name}", float((values >= threshold).mean())))
    return made


def markdown(found: Sequence[Shifts], threshold: float | None) -> str:
    decided = threshold is not None
    head = ["kind", "attacks", "score as it is", "with neutral text", "with attack", "gain"]
    head += ["shift", "95 %", "worst attack"]
    head += ["answered: as it is", "neutral", "attack"] if decided else []
    rows = [[item.kind, *cells(item, threshold)] for item in sorted(found, key=lambda s: -np.nanmean(s.shift))]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cells(item: Shifts, threshold: float | None) -> list[str]:
    low, high = interval(item.shift)
    means = [f"{np.nanmean(values):.2f}" for values in (item.plain, item.neutral, item.attacked)]
    worst = f"{np.nanmean(item.shift, axis=1).max():+.2f}"
    changes = f"{np.nanmean(item.gain):+.2f}", f"{np.nanmean(item.shift):+.2f}"
    made = [str(len(item.shift)), *means, *changes, f"{low:+.2f} to {high:+.2f}", worst]
    if threshold is not None:
        made += [f"{(values >= threshold).mean():.1%}" for values in (item.plain, item.neutral, item.attacked)]
    return made


def page(table: str, judge: str, answers: int) -> str:
    about = "\n".join(f"* **{kind}**: {text}" for kind, text in kinds().items())
    command = " ".join(["python -m benchmarks.attacks", *sys.argv[1:]])
    return f"""# Attacks

{len(attacks())} attacks in {len(kinds())} kinds on {answers} wrong answers of the embedded world; judge: {judge}.
Measured with `{command}` at commit {commit()}.

Scores are means in levels of 0 to 9. The gain is the score with the attack minus that of the answer as it is: above 0
the attack pays. The shift is the score with the attack minus that with a neutral text of the same length in the same
place: above 0 its words persuade more than other words. "Answered", where it stands, is the share of these answers that
reach the run's threshold; they are chosen to be hard, misconceptions that the model holds. What the fence does about
it, and what not: [fencing](../design/fencing.md).

{table}

{about}
"""


if __name__ == "__main__":
    main()
