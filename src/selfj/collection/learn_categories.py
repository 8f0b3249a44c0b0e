"""Learn the classifier of categories: `python -m selfj.collection.learn_categories FOLDER`.

The folder holds `instruction_pool.parquet`. Learnt from are rows whose source implies the category and whose licence
lets what is learnt be given away, one of ten held out by hash, and made-up instructions over the terms of
`terms.toml`. Sources weigh by the root of their size, and categories alike.
"""

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.optimize
import scipy.sparse

from selfj.collection.categories import BUCKETS, CATEGORIES, WEIGHTS, featurise
from selfj.collection.terms import made_up
from selfj.errors import ConfigError
from selfj.files import writing
from selfj.general.pool import licence_allows
from selfj.records import content_id

IMPLIED = {"dolly": "common"}
"""Sources that state no category and are nearly all of one."""
MADE_UP = 12000
"""Made-up instructions of each category; together they weigh as much as the real ones."""
_PENALTY = 3e-6
_STEPS = 100

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Known:
    """An instruction whose category its source implies."""

    text: str
    category: str
    source: str
    free: bool
    """Whether its licence allows what is learnt from it to be given away."""
    held_out: bool


def read_known(folder: Path) -> list[Known]:
    """Rows of the pool with a category, without repeats and without what an evaluation set also asks.

    Raises:
        ConfigError: There is no pool in the folder.
    """
    path = folder / "instruction_pool.parquet"
    if not path.is_file():
        raise ConfigError(f"Expected the pool of instructions {path}; name the folder that holds it.")
    found: dict[str, Known] = {}
    for row in pq.read_table(path, columns=["source", "category", "instruction", "licence", "in_eval"]).to_pylist():
        category = row["category"] or IMPLIED.get(row["source"])
        if category is None or row["in_eval"]:
            continue
        text = row["instruction"]
        held = int(content_id("category held out", text)[:8], 16) % 10 == 0
        key = " ".join(re.findall(r"\w+", text.lower()))
        found.setdefault(key, Known(text, category, row["source"], licence_allows(row["licence"]), held))
    return list(found.values())


def learn(rows: list[Known]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weights, shape (BUCKETS, 3), as whole numbers in [-127, 127]; their scale by column; bias, shape (3,)."""
    invented = made_up(MADE_UP)
    texts = [row.text for row in rows] + [text for text, _ in invented]
    named = [row.category for row in rows] + [category for _, category in invented]
    labels = np.array([CATEGORIES.index(name) for name in named])
    weights = np.concatenate([_weights(rows), np.full(len(invented), 1 / len(invented))])
    features = matrix(texts)
    used = np.unique(features.indices)
    solution = _fit(features[:, used], labels, weights / weights.sum())
    table = np.zeros((BUCKETS, len(CATEGORIES)))
    table[used] = solution[: -len(CATEGORIES)].reshape(-1, len(CATEGORIES))
    scale = np.abs(table).max(axis=0) / 127
    return np.round(table / scale).astype(np.int8), scale.astype(np.float32), solution[-3:].astype(np.float32)


def matrix(texts: list[str]) -> scipy.sparse.csr_matrix:
    """Features of texts, shape (n, BUCKETS), each over the root of the text's number of features."""
    features = featurise(pa.array(texts, type=pa.string()))
    sizes = np.diff(features.starts)
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
    places = features.places.astype(np.int64)
    return scipy.sparse.csr_matrix((values, places, features.starts), shape=(len(texts), BUCKETS))


def _weights(rows: list[Known]) -> Floats:
    sizes = Counter(row.source for row in rows)
    weights = np.array([sizes[row.source] ** -0.5 for row in rows])
    labels = np.array([row.category for row in rows])
    for category in CATEGORIES:
        weights[labels == category] /= weights[labels == category].sum()
    return weights / len(CATEGORIES)


def _fit(features: scipy.sparse.csr_matrix, labels: npt.NDArray[np.int64], weights: Floats) -> Floats:
    wanted = np.eye(len(CATEGORIES))[labels]
    turned = features.T.tocsr()

    def loss(values: Floats) -> tuple[float, Floats]:
        table, bias = values[: -len(CATEGORIES)].reshape(-1, len(CATEGORIES)), values[-len(CATEGORIES) :]
        logits = features @ table + bias
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        off = (np.exp(logs) - wanted) * weights[:, None]
        penalty = 0.5 * _PENALTY * float((table**2).sum())
        gradient = np.concatenate([(turned @ off + _PENALTY * table).ravel(), off.sum(axis=0)])
        return penalty - float((logs * wanted).sum(axis=1) @ weights), gradient

    start = np.zeros((features.shape[1] + 1) * len(CATEGORIES))
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    return np.asarray(found.x)


def main(folder: Path, out: Path = WEIGHTS) -> None:
    """Learn, and write the weights."""
    rows = [row for row in read_known(folder) if row.free and not row.held_out]
    weights, scale, bias = learn(rows)
    with writing(out) as file:
        np.savez_compressed(file, weights=weights, scale=scale, bias=bias)
    print(f"{len(rows)} instructions of {len({row.source for row in rows})} sources: {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
