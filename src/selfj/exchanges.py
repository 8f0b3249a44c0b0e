"""Exchanges of a run: its instructions joined with the responses to them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfj.backends.base import JudgeInput
from selfj.records import INSTRUCTIONS, RESPONSES, Instruction, Response
from selfj.store import open_artefact


@dataclass(frozen=True, slots=True)
class Exchange:
    """An instruction with one response of the target model."""

    instruction: Instruction
    response: Response

    @property
    def id(self) -> str:
        """Identifier of the exchange: that of its response."""
        return self.response.id

    def judge_input(self, *, with_reference: bool) -> JudgeInput:
        """What a judge reads of it, as the teacher or as the student."""
        reference = self.instruction.reference if with_reference else None
        return JudgeInput(self.instruction.question(), self.response.text, reference)


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The good exchanges of a run, in the order of its artefacts."""

    answers: list[Exchange]
    """Those that are judged."""
    variations: dict[str, list[str]]
    """Further samples by instruction."""
    inputs: dict[str, str]
    """Digests of instructions and responses."""

    def of(self, *splits: str) -> list[Exchange]:
        """Those of some splits."""
        return [exchange for exchange in self.answers if exchange.instruction.split in splits]

    def variations_of(self, exchanges: Sequence[Exchange]) -> list[list[str]]:
        """Further samples for each exchange."""
        return [self.variations.get(exchange.instruction.id, []) for exchange in exchanges]


def load_exchanges(run: Path, *, force: bool = False) -> Exchanges:
    """Join the instructions and responses of a run; rows with an error are left out.

    Raises:
        ArtefactError: One of them is absent or damaged.
        StaleArtefact: The responses answer other instructions, and `force` is not set.
    """
    instructions, responses = open_artefact(run, INSTRUCTIONS), open_artefact(run, RESPONSES)
    responses.check_input("instructions", instructions.digest, force=force)
    known: dict[str, Instruction] = {row.id: row for row in instructions.records() if not row.error}
    answers: list[Exchange] = []
    variations: dict[str, list[str]] = defaultdict(list)
    for response in responses.records():
        instruction = known.get(response.instruction_id)
        if instruction is None or response.error:
            continue
        if response.role == "answer":
            answers.append(Exchange(instruction, response))
        else:
            variations[instruction.id].append(response.text)
    inputs = {"instructions": instructions.digest, "responses": responses.digest}
    return Exchanges(answers, dict(variations), inputs)
