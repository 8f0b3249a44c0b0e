"""The methods of the paper's tables, one row each, and how what was run finds its row.

A row has a key, which `--score KEY=COLUMN` and `--judge KEY=SCORER` take. Further judges of a run (`judges` in its
config) find their row by the name of their model, whatever its case and punctuation:

| row | kind of judge | its model's name holds | reference |
|---|---|---|---|
| `gpt35` | generative | gpt-3.5-turbo or gpt-35-turbo | no |
| `gpt35_reference` | generative | the same | yes |
| `auto_j` | generative | autoj or auto-j | no |
| `ultrarm` | reward | ultrarm | no |

A judge whose backend names no model (`plugin`, `fake`) is found by its own `name`, which must be the row's key. The
first one takes the row; every other stands below, among the further methods.
"""

import re
from dataclasses import dataclass

from selfj.settings import Config, GenerativePeer, Peer


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One method of the paper's tables."""

    key: str
    title: str
    reference: bool
    """Whether it stands in the block with reference."""
    needs: str
    """What a run needs for it, in a few words."""
    pattern: str = ""
    """Where a further judge of a run fills it: part of the name of its model, in letters and digits alone."""
    kind: str = ""
    """Kind of that judge."""


_JUDGE = "needs a judge in `judges`"
_GPT = "needs an API key and `judges`"
_GPT_PATTERN = "gpt35turbo"

ROSTER = (
    PaperRow("cosine", "Cosine", True, "needs label.cosine"),
    PaperRow("self_eval_reference", "Self-eval", True, "needs label.self_eval and a target model"),
    PaperRow("z", "Self-eval + Cosine", True, "needs label.self_eval and label.cosine"),
    PaperRow("gpt35_reference", "GPT-3.5-turbo", True, f"{_GPT} (reference = true)", _GPT_PATTERN, "generative"),
    PaperRow("gpt35_cosine", "GPT-3.5-turbo + Cosine", True, "needs GPT-3.5-turbo with reference, and Cosine"),
    PaperRow("self_j_teacher", "Self-J", True, "needs references"),
    PaperRow("ppl", "PPL", False, "needs log probabilities or a target model"),
    PaperRow("vro", "VRO", False, "needs a target model and sample.variations"),
    PaperRow("self_eval", "Self-eval", False, "needs a target model"),
    PaperRow("gpt35", "GPT-3.5-turbo", False, _GPT, _GPT_PATTERN, "generative"),
    PaperRow("auto_j", "Auto-J-13b", False, _JUDGE, "autoj", "generative"),
    PaperRow("ultrarm", "UltraRM-13b", False, _JUDGE, "ultrarm", "reward"),
    PaperRow("judge_cosine", "Judge (Cosine)", False, 'needs "cosine" in tune.ablations'),
    PaperRow("judge_self_eval", "Judge (Self-eval)", False, 'needs "self_eval" in tune.ablations'),
    PaperRow("self_j", "Self-J", False, "needs a tuned judge"),
)
"""In the order of the paper's tables."""
KEYS = tuple(row.key for row in ROSTER)
LAST = {"length": "Length", "random": "Random"}
"""The floor of every table: what any judge must beat."""


def needed_by_file(row: PaperRow) -> str:
    """What a file of exchanges needs for a row, in a few words."""
    if row.key == "cosine":
        return "needs --judge cosine+reference"
    if row.key == "self_j":
        return "needs --score self_j or --judge self_j"
    return f"needs --score {row.key}"


def row_of(peer: Peer) -> PaperRow | None:
    """The row that a further judge of a run fills; see the table of this module."""
    reference = isinstance(peer, GenerativePeer) and peer.reference
    model = getattr(peer.backend, "model", None)
    for row in ROSTER:
        if not row.pattern or row.kind != peer.kind or row.reference != reference:
            continue
        if peer.name == row.key if model is None else row.pattern in _plain(model):
            return row
    return None


def filled_by(config: Config) -> dict[str, Peer]:
    """For each row that a further judge of a run fills, that judge."""
    found: dict[str, Peer] = {}
    for peer in config.judges:
        row = row_of(peer)
        if row is not None:
            found.setdefault(row.key, peer)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
