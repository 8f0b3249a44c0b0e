"""The judge itself, behind the two decision protocols: a score question of ten levels, and yes/no where it is set."""

import math
import time
from typing import Any

from selfj.backends.base import JudgeInput
from selfj.judge import Score
from selfj.serve.errors import ApiError, invalid
from selfj.serve.exchange_text import read_exchange
from selfj.serve.hangup import HungUp
from selfj.serve.http import Reply, Request, hung_up, json_reply
from selfj.serve.judging import JudgeFault, JudgeQueue
from selfj.serve.replies import header_value

LEVELS = 10
_MEDIA = ("images", "audio", "videos")
_CANNOT = "This judge rates the quality of an exchange on ten levels and cannot"


class Decisions:
    """Both routes over one judge."""

    def __init__(self, judge: JudgeQueue, *, most: int, yes_no: bool, min_quality: float):
        """Put the parts together.

        Args:
            judge: Scores.
            most: Questions in one request.
            yes_no: Whether yes/no questions are answered, with the probability of a level from `min_quality`.
            min_quality: Lowest level that is no failure.
        """
        self._judge = judge
        self._most = most
        self._yes_no = yes_no
        self._passing = math.ceil(min_quality)

    async def systemone(self, request: Request) -> Reply:
        """`POST /v1/systemone`.

        Raises:
            ApiError: The request is malformed (400), the judge cannot (501), or gave no reading (503).
        """
        body = _object(await request.json(), "The body")
        # Further fields are let be, as vLLM does; but what the judge cannot see must not be thought judged.
        for name in _MEDIA:
            if body.get(name):
                raise invalid(f"This judge takes no {name}.", param=name)
        model = self._judge.judge.name if body.get("model") is None else _model(body)
        questions = body.get("questions")
        if not isinstance(questions, dict) or not 1 <= len(questions) <= self._most:
            raise invalid(f"questions must be an object of 1 to {self._most} questions.", param="questions")
        exchange = read_exchange(body.get("state"), "state")
        kinds = {name: _systemone_kind(name, question) for name, question in questions.items()}
        for name, (kind, labels) in kinds.items():
            self._check(kind, len(labels), f"questions.{name}")
        score = await self._score(request, exchange)
        levels = _levels(score)
        mass = 1.0 if score.label_mass is None else score.label_mass
        answers = {name: self._answer(kind, labels, levels, mass) for name, (kind, labels) in kinds.items()}
        told: dict[str, Any] = {
            "id": f"decision-{request.id}",
            "object": "structured_decision",
            "created": int(time.time()),
            "model": model,
            "answers": answers,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        if score.label_mass is not None:
            # Known for certain only where no other token can have more than the likeliest level.
            surely = max(levels) * score.label_mass >= 1 - score.label_mass
            entry = {"label_mass": score.label_mass, "argmax_is_label": surely}
            told["diagnostics"] = dict.fromkeys(questions, entry)
        return json_reply(told, headers=self._headers())

    async def decisions(self, request: Request) -> Reply:
        """`POST /v1/decisions`.

        Raises:
            ApiError: As with `systemone`.
        """
        body = _object(await request.json(), "The body")
        model = _model(body)
        questions = body.get("questions")
        if not isinstance(questions, list) or not 1 <= len(questions) <= self._most:
            raise invalid(f"questions must be a list of 1 to {self._most} questions.", param="questions")
        exchange = read_exchange(body.get("input"), "input")
        kinds = [_decision_kind(place, question) for place, question in enumerate(questions)]
        for place, (kind, labels) in enumerate(kinds):
            self._check(kind, len(labels), f"questions[{place}]")
        score = await self._score(request, exchange)
        answers = []
        for question, (kind, labels) in zip(questions, kinds, strict=True):
            name = {"name": question.get("name")}
            # Too little label mass is what the protocol calls a refusal: it has no word for it in a score.
            answers.append(
                name | ({"type": "refusal"} if score.value is None else _decision(kind, labels, score, self))
            )
        details = {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
        details |= {"output_tokens_details": {"reasoning_tokens": 0}}
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0} | details
        return json_reply({"model": model, "answers": answers, "usage": usage}, headers=self._headers())

    def yes(self, levels: tuple[float, ...]) -> float:
        """Probability that the exchange is no failure."""
        return min(1.0, math.fsum(levels[self._passing :]))

    def _check(self, kind: str, count: int, param: str) -> None:
        if kind == "score" and count == LEVELS:
            return
        if kind == "yes_no" and self._yes_no:
            return
        told = {
            "score": f"{_CANNOT} rate on {count}.",
            "yes_no": f"{_CANNOT} answer yes or no; the operator may set yes_no.",
            "choice": f"{_CANNOT} choose.",
        }
        raise ApiError(501, "not_supported", told[kind], param=param)

    async def _score(self, request: Request, exchange: JudgeInput) -> Score:
        try:
            async with request.caller:
                score = await self._judge.score(exchange)
        except HungUp:
            raise hung_up() from None
        except JudgeFault as fault:
            raise ApiError(503, str(fault), "The judge gave no reading.", retry_after="1") from None
        if score.levels is None:
            raise ApiError(503, "unscored", f"The judge gave no reading: {score.reason or 'no levels'}.")
        return score

    def _answer(self, kind: str, labels: list[str], levels: tuple[float, ...], mass: float) -> dict[str, Any]:
        if kind == "yes_no":
            yes = self.yes(levels)
            return {
                "type": "noul",
                "noul": yes,
                "probabilities": {"yes": yes, "no": 1 - yes},
                "confidence": max(yes, 1 - yes) * mass,
            }
        return {
            "type": "score",
            "score": _mean(levels),
            "legend": {str(place): label for place, label in enumerate(labels)},
            "probabilities": {str(place): value for place, value in enumerate(levels)},
            # As vLLM has it: over all that could have been said, not over the levels alone.
            "confidence": max(levels) * mass,
        }

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"x-selfj-judge", header_value(self._judge.judge.name))]


def _decision(kind: str, labels: list[str], score: Score, owner: Decisions) -> dict[str, Any]:
    levels = _levels(score)
    if kind == "yes_no":
        return {"type": "predicate", "probability": owner.yes(levels)}
    rows = [{"value": place, "label": label, "probability": levels[place]} for place, label in enumerate(labels)]
    return {"type": "score", "score": _mean(levels), "confidence": max(levels), "probabilities": rows}


def _levels(score: Score) -> tuple[float, ...]:
    if score.levels is None:
        raise ApiError(503, "unscored", "The judge gave no reading.")
    return score.levels


def _mean(levels: tuple[float, ...]) -> float:
    return min(float(LEVELS - 1), math.fsum(place * value for place, value in enumerate(levels)))


def _systemone_kind(name: str, question: Any) -> tuple[str, list[str]]:
    where = f"questions.{name[:100]}"
    value = _object(question, where)
    if odd := sorted(set(value) - {"type", "instructions", "criteria"}):
        raise invalid(f"{where} has the unknown field {odd[0][:100]!r}.", param=where)
    if not name:
        raise invalid("The name of a question must not be empty.", param="questions")
    kind, criteria = value.get("type"), value.get("criteria")
    if kind == "noul":
        if criteria is not None and not (isinstance(criteria, dict) and set(criteria) <= {"true", "false"}):
            raise invalid(f"{where}.criteria must be an object with true and false.", param=where)
        return "yes_no", []
    if kind == "choice":
        if not isinstance(criteria, dict) or not criteria:
            raise invalid(f"{where}.criteria must be an object from name to description.", param=where)
        return "choice", list(criteria)
    if kind == "score":
        names = [str(level) for level in criteria] if isinstance(criteria, list) else criteria
        labels = _names(names, f"{where}.criteria", LEVELS)
        if len(set(labels)) < len(labels):
            raise invalid(f"{where}.criteria must be levels of different names.", param=where)
        return "score", labels
    raise invalid(f"{where}.type must be noul, choice or score.", param=where)


def _decision_kind(place: int, question: Any) -> tuple[str, list[str]]:
    where = f"questions[{place}]"
    value = _object(question, where)
    if not (value.get("name") is None or isinstance(value["name"], str)):
        raise invalid(f"{where}.name must be text.", param=where)
    if not isinstance(value.get("instructions"), str | list):
        raise invalid(f"{where}.instructions must be text or parts.", param=where)
    kind = value.get("type")
    if kind == "predicate":
        return "yes_no", []
    if kind == "choice":
        choices = value.get("choices")
        if not isinstance(choices, list) or len(choices) < 2:
            raise invalid(f"{where}.choices must be a list of at least 2.", param=where)
        return "choice", []
    if kind == "score":
        return "score", _names(_labels(value.get("levels")), f"{where}.levels", 255)
    raise invalid(f"{where}.type must be predicate, choice or score.", param=where)


def _labels(levels: Any) -> list[Any] | None:
    if not isinstance(levels, list):
        return None
    return [level.get("label") if isinstance(level, dict) else None for level in levels]


def _names(value: Any, where: str, most: int) -> list[str]:
    if not isinstance(value, list) or not 2 <= len(value) <= most or not all(isinstance(name, str) for name in value):
        raise invalid(f"{where} must be 2 to {most} levels with names.", param=where)
    return value


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"{what} must be a JSON object.")
    return value


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("model must be the name of a model.", param="model")
    return model
