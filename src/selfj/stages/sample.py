"""The sample stage: the target model answers the instructions."""

from collections.abc import Sequence
from dataclasses import dataclass

from selfj import backends
from selfj.backends.base import Generation, Sampling
from selfj.progress import Progress, Quiet
from selfj.records import INSTRUCTIONS, RESPONSES, Instruction, Response, content_id
from selfj.settings import Config
from selfj.stages import GIVEN
from selfj.store import Artefact, Build, open_artefact


@dataclass(frozen=True, slots=True)
class _Draw:
    instruction: Instruction
    index: int
    role: str

    def seed(self, base: int) -> int:
        return int(content_id("sample", base, self.instruction.id, self.index)[:15], 16)


def sample(
    config: Config, *, force: bool = False, retry_failed: bool = False, progress: Progress | None = None
) -> Artefact:
    """Sample the target model on every good instruction, and more often on test instructions.

    Responses that came with the input file are left as they are.
    """
    progress = progress or Quiet()
    instructions = open_artefact(config.path, INSTRUCTIONS)
    if (given := _given(config, instructions)) is not None:
        progress.note(f"responses: {given.manifest.rows:,} came with the input, nothing to sample")
        return given
    rows = [row for row in instructions.records() if not row.error]
    generator = None

    def make(chunk: Sequence[Instruction]) -> list[Response]:
        nonlocal generator
        generator = generator or backends.generator(config.target)
        draws = [draw for instruction in chunk for draw in _draws(config, instruction)]
        sampling = Sampling(config.sample.temperature, config.sample.top_p, config.sample.max_tokens)
        made = generator.generate(
            [draw.instruction.messages() for draw in draws], [draw.seed(config.seed) for draw in draws], sampling
        )
        return [_response(draw, item, generator.name) for draw, item in zip(draws, made, strict=True)]

    build = Build(
        run=config.path,
        kind=RESPONSES,
        make=make,
        row_id=lambda row: row.id,
        source_id=lambda response: response.instruction_id,
        settings={"sample": config.sample.model_dump(), "target": backends.identity(config.target)},
        inputs={"instructions": instructions.digest, "target": backends.digest(config.target)},
        seed=config.seed,
        part_size=config.part_size,
        max_failed=config.max_failed,
        progress=progress,
    )
    return build(rows, len(rows), force=force, retry_failed=retry_failed)


def _given(config: Config, instructions: Artefact) -> Artefact | None:
    if not (config.path / RESPONSES.name / "manifest.json").is_file():
        return None
    responses = open_artefact(config.path, RESPONSES)
    same = responses.manifest.inputs.get("instructions") == instructions.digest
    return responses if same and responses.manifest.settings == GIVEN else None


def _draws(config: Config, instruction: Instruction) -> list[_Draw]:
    n = config.sample.responses
    extra = config.sample.variations if instruction.split == "test" else 0
    answers = [_Draw(instruction, index, "answer") for index in range(n)]
    return [*answers, *(_Draw(instruction, n + index, "variation") for index in range(extra))]


def _response(draw: _Draw, made: Generation, model: str) -> Response:
    return Response(
        id=content_id("response", draw.instruction.id, draw.index, made.text),
        instruction_id=draw.instruction.id,
        index=draw.index,
        role=draw.role,
        text=made.text,
        model=model,
        tokens=made.tokens,
        logprob=None if made.logprob is None else round(made.logprob, 6),
        finish=made.finish,
        error=made.error,
    )
