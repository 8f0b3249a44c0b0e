"""Text on which a quantised encoder is calibrated: the world's own sentences, alone and in passages.

Written once, into the file that `selfj.backends.quantised` reads:

    python -m selfj.world.calibration
"""

import json
import random
from pathlib import Path

from selfj.files import write_text
from selfj.world.draw import exercises, reference, reply

FILE = Path(__file__).parents[1] / "backends" / "calibration.jsonl"
TEXTS = 200


def calibration_texts(n: int = TEXTS, seed: int = 20) -> list[str]:
    """Draw n texts: half of them sentences, as most answers are, then passages of up to 256 tokens and more.

    One text in ten is a sentence repeated, since a model that rambles goes beyond the ranges of other text.
    """
    rng = random.Random(seed)
    drawn = exercises(10 * n, seed=seed, held_out=None)
    sentences = []
    for exercise in drawn:
        answer = reference(exercise) if rng.random() < 0.5 else reply(exercise, exercise.taught, rng.randrange(8))
        sentences += [exercise.instruction, answer]
    texts, place = [], 0
    for number in range(n):
        size = 1 if number % 2 else rng.randint(2, 32)
        repeated = number % 10 == 4
        texts.append(" ".join([sentences[place]] * size if repeated else sentences[place : place + size]))
        place += size
    return texts


def main() -> None:
    """Write the file."""
    write_text(FILE, "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in calibration_texts()))


if __name__ == "__main__":
    main()
