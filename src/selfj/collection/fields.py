r"""How an entry names columns: paths, templates and choices.

| form | example | meaning |
|---|---|---|
| path | `question`, `answers.text[0]`, `turns[-1].content` | a column, a field of it, an element of a list |
| template | `"{title}\n\n{body}"` | paths in braces between fixed text; `{{` and `}}` stand for braces |
| text | `{text = "utterances[1]", remove = "^doctor: "}` | with parts removed, and values that mean nothing |
| choices | `{choices = ["sol1", "sol2"], answer = "label"}` | the text of the choice that another column names |

A name with a dot or a bracket is quoted: `"a.b"[0]`. A field of a list of records is the list of that field, so
`answers[0].text` and `answers.text[0]` mean the same. Text that is absent leaves its place in a template empty; space
around the whole is removed, and where every path is absent, so is the text.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from selfj.model_settings import Settings

_STEP = re.compile(r'\.?(?:"([^"]+)"|([^.\[\]{}"]+))|\[(-?\d+)\]')


@dataclass(frozen=True, slots=True)
class ColumnPath:
    """A column, and the steps from it to a value: names of fields and places in lists."""

    column: str
    steps: tuple[str | int, ...] = ()


@lru_cache(maxsize=1024)
def parse_path(text: str) -> ColumnPath:
    """Parse a path such as `answers.text[0]`.

    Raises:
        ValueError: It is none.
    """
    steps: list[str | int] = []
    place = 0
    while place < len(text):
        found = _STEP.match(text, place)
        if not found or (text[place] == ".") != bool(steps and found[3] is None):
            break
        steps.append(int(found[3]) if found[3] is not None else found[1] or found[2])
        place = found.end()
    if place < len(text) or not steps or not isinstance(steps[0], str):
        raise ValueError(f"{text!r} is no path of a column, such as question or answers.text[0]")
    return ColumnPath(steps[0], tuple(steps[1:]))


@lru_cache(maxsize=1024)
def parse_template(text: str) -> tuple[str | ColumnPath, ...]:
    """Parse a template into fixed text and paths; text without braces is one path.

    Raises:
        ValueError: A brace is never closed, or what it holds is no path.

    Example:
        >>> parse_template("{title}: {body.text}")
        (ColumnPath(column='title', steps=()), ': ', ColumnPath(column='body', steps=('text',)))
    """
    if "{" not in text and "}" not in text:
        return (parse_path(text),)
    parts: list[str | ColumnPath] = []
    fixed = ""
    for piece in re.findall(r"\{\{|\}\}|\{[^{}]*\}|[^{}]+|[{}]", text):
        if piece in ("{", "}"):
            raise ValueError(f"the template {text!r} has a lone brace; write {{{{ or }}}} for one")
        if piece[0] == "{" and piece != "{{":
            parts += [fixed, parse_path(piece[1:-1].strip())]
            fixed = ""
        else:
            fixed += {"{{": "{", "}}": "}"}.get(piece, piece)
    parts.append(fixed)
    if not any(isinstance(part, ColumnPath) for part in parts):
        raise ValueError(f"the template {text!r} names no column")
    return tuple(part for part in parts if part != "")


class Text(Settings):
    """A path or template with what is taken out of it."""

    text: str
    remove: str | None = None
    """Regular expression (RE2); every match is removed, then space around the rest."""
    none: list[str] = Field(default_factory=list)
    """Texts that mean that there is none, such as `No Answer Present.`."""

    @field_validator("text")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse_template(value)
        return value

    @field_validator("remove")
    @classmethod
    def _expression(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                pc.replace_substring_regex(pa.array([""]), value, "")
            except pa.ArrowException as error:
                raise ValueError(f"{value!r} is no regular expression of RE2: {error}") from error
        return value


class Choices(Settings):
    """The text of the choice that is the answer."""

    choices: str | list[str]
    """Path of a list of texts, or the paths of the choices in their order."""
    answer: str
    """Path of the answer: a place among the choices, or a label."""
    labels: str | list[str] | None = None
    """Path of the list of labels, or the labels themselves (`["A", "B"]`); None takes the answer as a place."""
    first: int = 0
    """Place of the first choice."""

    @field_validator("choices", "labels", "answer")
    @classmethod
    def _readable(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, str):
            parse_path(value)
        return value

    @field_validator("choices")
    @classmethod
    def _paths(cls, value: str | list[str]) -> str | list[str]:
        for path in value if isinstance(value, list) else []:
            parse_path(path)
        return value


def paths_of(spec: str | Text | Choices | None) -> list[ColumnPath]:
    """Every path that a spec reads."""
    if spec is None:
        return []
    if isinstance(spec, Choices):
        named = [spec.choices] if isinstance(spec.choices, str) else spec.choices
        named = [*named, spec.answer, *([spec.labels] if isinstance(spec.labels, str) else [])]
        return [parse_path(path) for path in named]
    text = spec if isinstance(spec, str) else spec.text
    return [part for part in parse_template(text) if isinstance(part, ColumnPath)]
