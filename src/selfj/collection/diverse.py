"""Choosing rows that lie far apart: embeddings that are kept on disk, and k-centre by the greedy rule."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from selfj.backends.base import Embedder
from selfj.errors import ArtefactError
from selfj.files import explained, writing
from selfj.progress import Progress

CHUNK = 1_024
"""Texts that are embedded together, and what a kill can cost."""
_BLOCK = 4_096

Vectors = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Places = npt.NDArray[np.int64]


def embed(texts: Sequence[str], embedder: Embedder, kept: Path, progress: Progress) -> Halves:
    """Embed texts, a chunk at a time; a chunk that was embedded before is read from disk.

    Args:
        texts: n texts.
        embedder: The encoder.
        kept: Folder for the chunks, made if absent.
        progress: Told of texts.

    Returns:
        Shape (n, d), rows of Euclidean norm 1 before they are rounded to half precision.

    Raises:
        ArtefactError: A chunk cannot be written.
    """
    made = []
    progress.start("embed", len(texts))
    with explained(kept):
        kept.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(texts), CHUNK):
        part = list(texts[start : start + CHUNK])
        words = json.dumps([embedder.name, part], ensure_ascii=False).encode("utf-8", "surrogatepass")
        path = kept / f"{hashlib.blake2b(words, digest_size=16).hexdigest()}.npy"
        found = _read(path, len(part))
        if found is None:
            found = embedder.embed(part).astype(np.float16)
            with writing(path) as handle:
                np.save(handle, found, allow_pickle=False)
        made.append(found)
        progress.advance(len(part))
    progress.finish(f"{len(texts):,} texts")
    if not made:
        return np.zeros((0, 1), np.float16)
    return np.concatenate(made)


def _read(path: Path, rows: int) -> Halves | None:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None
    good = found.ndim == 2 and len(found) == rows and found.dtype == np.float16
    return found if good else None


def k_centre(vectors: Vectors, k: int, *, chosen: Vectors | None = None, progress: Progress | None = None) -> Places:
    """Choose k rows, each the farthest from those chosen before it.

    The largest Euclidean distance of a row to a chosen one is at most twice what the best choice of k rows has.

    Args:
        vectors: Shape (n, d), rows of norm 1.
        k: At most n.
        chosen: Rows that are chosen already, shape (m, d); without them the first row is taken first.
        progress: Told of rows as they are chosen.

    Returns:
        Places in the order of choice, shape (k,), all different; of rows equally far the first.
    """
    n = len(vectors)
    if k > n:
        raise ArtefactError(f"{k:,} of {n:,} rows cannot be chosen.")
    places = np.zeros(k, np.int64)
    # The largest cosine with a chosen row; -2 is below any.
    nearest = np.full(n, -2.0, np.float32) if chosen is None or not len(chosen) else closest(vectors, chosen)
    for number in range(k):
        place = int(np.argmin(nearest))
        places[number] = place
        np.maximum(nearest, vectors @ vectors[place], out=nearest)
        nearest[place] = np.inf
        if progress is not None:
            progress.advance(1)
    return places


def closest(vectors: Vectors, chosen: Vectors) -> Vectors:
    """Of each row the largest cosine with a chosen one, shape (n,); memory does not grow with n times m."""
    made = np.full(len(vectors), -2.0, np.float32)
    for start in range(0, len(vectors), _BLOCK):
        rows = vectors[start : start + _BLOCK]
        for other in range(0, len(chosen), _BLOCK):
            found = (rows @ chosen[other : other + _BLOCK].T).max(axis=1)
            np.maximum(made[start : start + _BLOCK], found, out=made[start : start + _BLOCK])
    return made


def radius(vectors: Vectors, places: Places) -> float:
    """How far the farthest row lies from the chosen ones: 1 less its cosine with the nearest, in [0, 2]."""
    return float(1 - closest(vectors, vectors[places]).min()) if len(vectors) and len(places) else 2.0
