"""The parts of one row: its texts, checked, or the reason why the row cannot be used."""

import json
import math
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from selfj.collect.columns import Conversation, Mapping, RowError, is_messages, take_apart
from selfj.collect.files import is_utf8
from selfj.records import Turn


class Parts(NamedTuple):
    """What a row says; `response` means nothing where the file has no responses."""

    text: str
    system: str | None
    turns: tuple[Turn, ...]
    reference: str | None
    references: dict[str, object]
    """The reference column as it is, where it holds several."""
    category: str | None
    group: str | None
    response: str
    response_error: str | None
    model: str
    other: dict[str, object]


def read_parts(fields: dict[str, object], mapping: Mapping, max_chars: int) -> Parts:
    """Read a row's parts.

    Raises:
        RowError: The instruction cannot be used; a fault of the response is in `response_error`.
    """

    def value(column: str | None) -> object:
        return None if column is None else fields.get(column)

    talk = _conversation(value(mapping.messages), mapping, max_chars)
    text = talk.instruction if mapping.instruction is None else _text(value(mapping.instruction), max_chars)
    extra = _text(value(mapping.input), max_chars)
    if text and text.strip() and extra and extra.strip():
        text = _text(f"{text}\n\n{extra}", max_chars)
    if text is None or not text.strip():
        raise RowError("empty_instruction")
    reference, references = _reference(value(mapping.reference), max_chars)
    if mapping.response is not None and mapping.reference is None:
        reference = _text(talk.answer, max_chars) or None
    answer = value(mapping.response) if mapping.response is not None else talk.answer
    response, response_error = _answer(answer, max_chars)
    used = {getattr(mapping, word) for word in ("instruction", "input", "response", "messages", "system")}
    used.add(mapping.reference)
    labels = {word: _label(value(getattr(mapping, word)), max_chars) for word in ("category", "group", "model")}
    used |= {getattr(mapping, word) for word, label in labels.items() if label is not None}
    if not mapping.has_responses:
        used -= {mapping.model}
    return Parts(
        text=text,
        system=talk.system or _text(value(mapping.system), max_chars) or None,
        turns=talk.turns,
        reference=reference,
        references={str(mapping.reference): references} if references else {},
        category=labels["category"],
        group=labels["group"],
        response=response,
        response_error=response_error,
        model=labels["model"] or "",
        other={column: cell for column, cell in fields.items() if column not in used},
    )


def _conversation(value: object, mapping: Mapping, max_chars: int) -> Conversation:
    if mapping.messages is None or (value is None and mapping.instruction is not None):
        return Conversation(None, (), None, None)
    if value is None:
        raise RowError("empty_instruction")
    talk = take_apart(value, all_turns=mapping.instruction is not None)
    for text in (
        talk.system,
        talk.instruction,
        *(part for turn in talk.turns for part in (turn.role, turn.content)),
    ):
        _text(text, max_chars)
    return talk


def _answer(value: object, max_chars: int) -> tuple[str, str | None]:
    try:
        if is_messages(value):
            turns = take_apart(value, all_turns=True).turns
            value = turns[-1].content if turns else None
        text = _scalar(value, max_chars)
    except RowError as fault:
        return "", fault.reason
    return ("", "no_response") if text is None else (text, None)


def _reference(value: object, max_chars: int) -> tuple[str | None, list[object]]:
    """The first reference, and all of them where the column holds a list."""
    if isinstance(value, dict):
        # SQuAD keeps its answers under `text`, TriviaQA under `value`.
        value = value.get("text", value.get("value", value))
    if isinstance(value, list):
        texts = [_scalar(item, max_chars) for item in value]
        return next((text for text in texts if text and text.strip()), None), value
    text = _scalar(value, max_chars)
    return (text if text and text.strip() else None), []


def _label(value: object, max_chars: int) -> str | None:
    """A category, group or model; one that is no scalar stays among the other columns."""
    return None if isinstance(value, list | dict | bytes) else _scalar(value, max_chars) or None


def _scalar(value: object, max_chars: int) -> str | None:
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        value = json.dumps(value)
    elif isinstance(value, Decimal | date):
        value = str(value)
    return _text(value, max_chars)


def _text(value: object, max_chars: int) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, str):
        raise RowError("wrong_type")
    if len(value) > max_chars:
        raise RowError("too_long")
    if not is_utf8(value):
        raise RowError("bad_utf8")
    return value
