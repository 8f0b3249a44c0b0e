"""Instructions with references, from a folder outside the project, whose licence allows training on them."""

import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from selfj.errors import ConfigError
from selfj.records import content_id

SOURCES = {
    "asqa_qa_feedback": "Apache-2.0",
    "bbh": "MIT",
    "bioasq": "CC BY 2.5",
    "codenn_stackoverflow": "MIT; text CC BY-SA",
    "conala": "CC BY-SA 4.0",
    "covid_qa_deepset": "Apache-2.0",
    "dolly": "CC BY-SA 3.0",
    "gpteacher_roleplay": "MIT",
    "gsm8k": "MIT",
    "math": "MIT",
    "mbpp": "CC BY 4.0",
    "medmcqa": "MIT",
    "medqa_usmle": "MIT",
    "medquad": "CC BY 4.0",
    "mmlu_medical": "MIT",
    "nl2bash": "MIT",
    "nq_open": "CC BY-SA 3.0",
    "pubmed_qa": "MIT",
    "qasc": "CC BY 4.0",
    "self_instruct_seed": "Apache-2.0",
    "strategyqa": "MIT",
    "svamp": "MIT",
    "sysadmin_questions": "MIT",
    "tldr": "CC BY 4.0",
    "webquestions": "CC BY 4.0",
}
"""Sources trained on, and the licence that the pool states; any other source is left out."""
MOST_PER_SOURCE = 2500
_ALLOWED = ("Apache-2.0", "BSD", "CC BY 2.5", "CC BY 4.0", "CC BY-SA", "MIT")
_REFUSED = ("none stated", "NC", "GPL", "academic use", "site")
_SHORT_KINDS = ("short answer", "human (span)", "mcq option", "yes/no + facts")
_LONGEST = 2500


@dataclass(frozen=True, slots=True)
class Entry:
    """One instruction with its reference."""

    id: str
    source: str
    instruction: str
    reference: str
    short: bool
    """Whether the reference is a short answer: some words that are right or wrong."""
    code: bool


def read_pool(folder: Path, sources: frozenset[str] = frozenset(SOURCES)) -> list[Entry]:
    """Read the entries of some sources, without repeats, without what an evaluation set also asks, in a fixed order.

    Args:
        folder: Holds `instruction_pool.parquet`.
        sources: Names of sources; of those in `SOURCES`, only rows whose stated licence allows training are read.

    Raises:
        ConfigError: There is no pool in the folder.
    """
    path = folder / "instruction_pool.parquet"
    if not path.is_file():
        raise ConfigError(f"Expected the pool of instructions {path}; set SELFJ_DATA to the folder that holds it.")
    columns = ["source", "instruction", "reference", "ref_kind", "category", "licence", "in_eval"]
    found: dict[str, Entry] = {}
    for row in pq.read_table(path, columns=columns).to_pylist():
        if row["source"] not in sources or row["in_eval"]:
            continue
        if row["source"] in SOURCES and not licence_allows(row["licence"]):
            continue
        entry = _entry(row)
        if entry is not None:
            found.setdefault(entry.id, entry)
    return [found[key] for key in sorted(found)]


def licence_allows(licence: str) -> bool:
    """Whether a stated licence lets a trained judge be given away: free to share and adapt, also for money.

    Example:
        >>> licence_allows("CC BY-SA 3.0"), licence_allows("CC BY-NC 4.0"), licence_allows("none stated")
        (True, False, False)
    """
    return licence.startswith(_ALLOWED) and not any(word in licence for word in _REFUSED)


def held_out(entry: Entry) -> bool:
    """Whether an entry is kept for measuring: one of ten, by hash of its instruction."""
    return int(content_id("general held out", entry.instruction)[:8], 16) % 10 == 0


def _entry(row: dict[str, str]) -> Entry | None:
    instruction, reference = row["instruction"].strip(), cleaned(row["source"], row["reference"])
    if not instruction or not reference or max(len(instruction), len(reference)) > _LONGEST:
        return None
    short = row["ref_kind"].startswith(_SHORT_KINDS) and len(reference.split()) <= 12
    key = content_id("general", row["source"], instruction)
    return Entry(key, row["source"], instruction, reference, short, row["ref_kind"] == "code")


def cleaned(source: str, reference: str) -> str:
    """A reference without the marks of its source.

    Example:
        >>> cleaned("gsm8k", "She has 2*3=<<2*3=6>>6 cats. #### 6")
        'She has 2*3=6 cats. The answer is 6.'
        >>> cleaned("svamp", "308  [( 10.0 + 18.0 )]")
        '308'
    """
    text = reference.strip()
    if source == "gsm8k":
        text = re.sub(r"<<[^>]*>>", "", text)
        return re.sub(r"#### *(.+)", r"The answer is \1.", text)
    if source in ("svamp", "asdiv"):
        return re.sub(r"\s*\[.*\]$", "", text)
    return text
