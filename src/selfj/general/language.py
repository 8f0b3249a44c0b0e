"""`SELFJ_DATA=FOLDER python -m selfj.general.language`: count the words that `selfj.backends.language` ships.

They are counted in half of the pool's entries; the other half trains the general judge, so that its complete answers
are no better known to the counts than those of anybody else.
"""

import argparse
import itertools
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from selfj.backends import language
from selfj.backends.language import LETTERS, PAIR_BUCKETS, START, WORD_BUCKETS, Counts, bucket, end_of, tokens
from selfj.general.pool import Entry, held_out, read_pool
from selfj.records import hash_fraction

_LEAST_WORD, _LEAST_PAIR = 2, 3


def counted(entry: Entry) -> bool:
    """Whether an entry's words are counted, rather than trained on or kept for measuring."""
    return not held_out(entry) and hash_fraction("language", entry.instruction) < 0.5


def count(entries: Iterable[Entry]) -> Counts:
    """Count the words of instructions and references; only a reference counts for how texts begin and end."""
    words: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        asked, said = tokens(entry.instruction), tokens(entry.reference)
        words.update(asked + said)
        pairs.update(itertools.pairwise(asked))
        if said:
            whole = [START, *said, end_of(len(said))]
            pairs.update(itertools.pairwise(whole))
    letters: npt.NDArray[np.int64] = np.zeros((LETTERS,) * 3, dtype=np.int64)
    for word, n in words.items():
        if word.isascii() and word.isalpha():
            codes = [0, *(ord(c) - 96 for c in word), 0]
            for a, b, c in zip(codes, codes[1:], codes[2:], strict=False):
                letters[a, b, c] += n
    kept_words = {word: n for word, n in words.items() if n >= _LEAST_WORD}
    kept_pairs = {f"{one} {other}": n for (one, other), n in pairs.items() if n >= _LEAST_PAIR}
    return Counts(
        _table(kept_words, WORD_BUCKETS),
        _table(kept_pairs, PAIR_BUCKETS),
        _eighths(letters),
        float(np.log2(max(1, words.total()))),
    )


def _table(counts: dict[str, int], buckets: int) -> npt.NDArray[np.uint8]:
    found = np.zeros(buckets, dtype=np.int64)
    for text, n in counts.items():
        place = bucket(text, buckets)
        found[place] = max(found[place], n)
    return _eighths(found)


def _eighths(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    found: npt.NDArray[np.uint8] = np.minimum(255, np.rint(8 * np.log2(1 + counts))).astype(np.uint8)
    return found


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=language.COUNTS)
    out: Path = parser.parse_args().out
    found = count(entry for entry in read_pool(Path(os.environ["SELFJ_DATA"])) if counted(entry))
    np.savez_compressed(out, words=found.words, pairs=found.pairs, letters=found.letters, total=found.total)


if __name__ == "__main__":
    main()
