"""The records that pass between stages, their identifiers, and the Arrow schemas that they are stored in.

Every record has `error`: None for a good row, else the reason why it takes no further part. A row with an error
is kept and counted, and never scored.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, TypeAlias

import pyarrow as pa

SPLITS = ("train", "calibration", "test")


def content_id(*parts: object) -> str:
    """Hash parts of a record to 32 hexadecimal digits; equal content gives equal identifiers."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def hash_fraction(*parts: object) -> float:
    """Map content to a fixed number in [0, 1), uniform over different content."""
    return int(content_id(*parts)[:13], 16) / 16**13


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Instruction:
    """What the user asked, with the reference answer where there is one."""

    id: str
    text: str
    system: str | None = None
    turns: tuple[Turn, ...] = ()
    reference: str | None = None
    category: str | None = None
    group: str | None = None
    """Finer than category, for tables: a family, a subset, a topic."""
    source: str = ""
    split: str = "train"
    meta: str = "{}"
    """Further columns of the input, as a JSON object."""
    error: str | None = None

    def messages(self) -> list[dict[str, str]]:
        """The conversation as chat messages, the instruction last."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        turns = [{"role": turn.role, "content": turn.content} for turn in self.turns]
        return [*system, *turns, {"role": "user", "content": self.text}]

    def question(self) -> str:
        """The text that a judge reads as the question: the whole conversation where there is more than one turn."""
        if not self.turns and not self.system:
            return self.text
        return "\n\n".join(f"{message['role']}: {message['content']}" for message in self.messages())

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Rebuild a record from a row of its table."""
        turns = tuple(Turn(**turn) for turn in row.get("turns") or ())
        return cls(**{**row, "turns": turns})


@dataclass(frozen=True, slots=True)
class Response:
    """One answer of the target model to one instruction."""

    id: str
    instruction_id: str
    index: int
    role: str = "answer"
    """`answer` is judged; `variation` only serves to measure how much the model's answers vary."""
    text: str = ""
    model: str = ""
    tokens: int | None = None
    logprob: float | None = None
    """Mean natural log probability of a response token under the target model, at most 0."""
    finish: str | None = None
    meta: str = "{}"
    error: str | None = None

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Rebuild a record from a row of its table."""
        return cls(**row)


@dataclass(frozen=True, slots=True)
class Label:
    """Quality of one response, made without people; every quality is in [0, 9], higher is better."""

    id: str
    """Identifier of the response."""
    instruction_id: str
    self_eval: float | None = None
    self_eval_mass: float | None = None
    """Probability that the ten level tokens had before they were renormalised."""
    levels: tuple[float, ...] | None = None
    cosine: float | None = None
    """Semantic similarity of response and reference in [-1, 1]."""
    z: float | None = None
    error: str | None = None

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Rebuild a record from a row of its table."""
        levels = row.get("levels")
        return cls(**{**row, "levels": None if levels is None else tuple(levels)})


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """What one method says of one response, higher is better; judges score in [0, 9]."""

    id: str
    """Identifier of the response."""
    instruction_id: str
    method: str
    score: float | None = None
    levels: tuple[float, ...] | None = None
    label_mass: float | None = None
    truncated: bool | None = None
    """Whether a text was cut to fit the judge; None where the method reads no text."""
    reader: str | None = None
    error: str | None = None

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Rebuild a record from a row of its table."""
        levels = row.get("levels")
        return cls(**{**row, "levels": None if levels is None else tuple(levels)})


Record: TypeAlias = Instruction | Response | Label | ScoreRow

_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
_TYPES = {
    "turns": pa.list_(_TURN),
    "levels": pa.list_(pa.float64()),
    "truncated": pa.bool_(),
    "index": pa.int64(),
    "tokens": pa.int64(),
    **dict.fromkeys(("logprob", "self_eval", "self_eval_mass", "cosine", "z", "score", "label_mass"), pa.float64()),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of artefact: its folder, the version of its schema, and the record that it holds."""

    name: str
    version: int
    record: type[Instruction] | type[Response] | type[Label] | type[ScoreRow]

    @property
    def tag(self) -> str:
        """Name and version, as written into files."""
        return f"{self.name}/{self.version}"

    def schema(self) -> pa.Schema:
        """Arrow schema: one column per field of the record."""
        return pa.schema([(f.name, _TYPES.get(f.name, pa.string())) for f in fields(self.record)])

    def table(self, records: Iterable[Record]) -> pa.Table:
        """Turn records into a table with this kind's schema."""
        return pa.Table.from_pylist([asdict(record) for record in records], schema=self.schema())


INSTRUCTIONS = Kind("instructions", 1, Instruction)
RESPONSES = Kind("responses", 1, Response)
LABELS = Kind("labels", 1, Label)
SCORES = Kind("scores", 2, ScoreRow)
