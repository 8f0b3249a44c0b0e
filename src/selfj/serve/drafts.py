"""What a policy's models say to the calibration instructions: asked as the gateway asks, and kept for the next time."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfj.errors import BackendUnavailable, ConfigError
from selfj.files import explained
from selfj.progress import Progress
from selfj.records import Instruction, content_id
from selfj.serve.errors import ApiError, dump_json
from selfj.serve.replies import read_answer
from selfj.serve.requests import CHAT
from selfj.serve.settings import ServeSettings
from selfj.serve.upstream import Body, Upstream
from selfj.settings import Sample

KEPT = "policy.drafts.jsonl"
"""Where they are kept, in the folder of the run."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of a model."""

    text: str
    unjudgeable: str | None = None
    """Why a judge cannot read it, as one word."""
    label: float | None = None
    """Its quality in [0, 9], where that came with it."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is said to one instruction."""

    instruction: Instruction
    drafts: tuple[Said, ...]
    """Of the first model, in the order drawn."""
    other: Said | None
    """Of the model that is asked last."""


class Asking:
    """Asks the upstreams of a gateway."""

    def __init__(self, settings: ServeSettings, sample: Sample, model: str, seed: int, kept: Path):
        """Prepare it.

        Args:
            settings: Of the gateway.
            sample: How a first answer is drawn.
            model: The first model, as requests name it.
            seed: Of the draws.
            kept: File of what was said before; it grows with every instruction.

        Raises:
            ConfigError: An upstream's key is not in the environment.
        """
        self._settings = settings
        self._sample = sample
        self._model = model
        self._seed = seed
        self._kept = kept
        self._upstream = Upstream(settings.upstream)
        self._other = Upstream(settings.escalate.upstream) if settings.escalate else None

    def all(self, instructions: Sequence[Instruction], progress: Progress) -> list[Drawn]:
        """Ask for what is not kept yet.

        Raises:
            BackendUnavailable: Some got no answer; what came is kept.
        """
        known = self._read()
        todo = [item for item in instructions if self._key(item) not in known]
        progress.start("ask for drafts", len(instructions), len(instructions) - len(todo))
        if todo:
            faults = asyncio.run(self._ask(todo, progress))
            known = self._read()
            if faults:
                raise BackendUnavailable(
                    f"{len(faults):,} of {len(instructions):,} calibration instructions got no answer, the first "
                    f"because: {faults[0].message} What came is kept: run the same command to go on."
                )
        progress.finish(f"{len(instructions):,} instructions have their drafts")
        escalates = self._other is not None
        return [_drawn(item, known[self._key(item)], escalates=escalates) for item in instructions]

    async def _ask(self, todo: Sequence[Instruction], progress: Progress) -> list[ApiError]:
        faults: list[ApiError] = []
        free = asyncio.Semaphore(_AT_ONCE)
        upstreams = [upstream for upstream in (self._upstream, self._other) if upstream is not None]
        for upstream in upstreams:
            await upstream.start()
        with explained(self._kept), self._kept.open("ab") as out:

            async def one(instruction: Instruction) -> None:
                async with free:
                    try:
                        line = await self._said(instruction)
                    except ApiError as fault:
                        faults.append(fault)
                        return
                out.write(dump_json(line) + b"\n")
                out.flush()
                progress.advance(1)

            try:
                await asyncio.gather(*(one(item) for item in todo))
            finally:
                for upstream in upstreams:
                    await upstream.close()
        return faults

    async def _said(self, instruction: Instruction) -> Body:
        resample, escalate = self._settings.resample, self._settings.escalate
        first = self._body(instruction)
        bodies = [first]
        for place in range(1, resample.n if resample else 1):
            # As `Policy` draws further answers.
            more = first | {"seed": first["seed"] + place}
            if resample is not None and resample.temperature is not None:
                more["temperature"] = resample.temperature
            bodies.append(more)
        asked = [_post(self._upstream, body) for body in bodies]
        if escalate is not None and self._other is not None:
            asked.append(_post(self._other, first | {"model": escalate.model}))
        said = await asyncio.gather(*asked)
        return {"key": self._key(instruction), "said": said}

    def _body(self, instruction: Instruction) -> Body:
        sample = self._sample
        return {
            "model": self._model,
            "messages": instruction.messages(),
            "temperature": sample.temperature,
            "top_p": sample.top_p,
            "max_tokens": sample.max_tokens,
            "seed": int(content_id("policy", self._seed, instruction.id)[:7], 16),
        }

    def _key(self, instruction: Instruction) -> str:
        resample, escalate = self._settings.resample, self._settings.escalate
        further = (resample.n, resample.temperature) if resample else None
        return content_id("drafts", self._body(instruction), further, escalate.model if escalate else None)

    def _read(self) -> dict[str, list[list[str | None]]]:
        if not self._kept.exists():
            return {}
        with explained(self._kept, "read"):
            data = self._kept.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                # A kill in the middle of a line.
                with self._kept.open("r+b") as file:
                    file.truncate(len(whole))
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
            return {str(line["key"]): list(line["said"]) for line in lines}
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._kept} is damaged: {error}. Remove it; the drafts are then asked for again."
            ) from error


async def _post(upstream: Upstream, body: Body) -> list[str | None]:
    _, answer = await upstream.post(CHAT, dump_json(body), "calibrate", lambda reply: read_answer(CHAT, reply))
    return [answer.text, answer.unjudgeable]


def _drawn(instruction: Instruction, said: list[Any], *, escalates: bool) -> Drawn:
    answers = tuple(Said(text, reason) for text, reason in said)
    return Drawn(instruction, answers[:-1], answers[-1]) if escalates else Drawn(instruction, answers, None)
