"""The score stage: what the judge and every baseline say of the calibration and test exchanges."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from selfj import backends
from selfj.backends.base import Likelihood
from selfj.baselines import consistency, length, log_likelihood
from selfj.exchanges import Exchange, Exchanges, load_exchanges
from selfj.judge import Judge, Score, Scorer, load_judge, read_judge
from selfj.peers import load_peer, method_of
from selfj.progress import Progress, Quiet
from selfj.records import SCORES, ScoreRow
from selfj.settings import Config, GenerativePeer, Peer
from selfj.store import Artefact, Build

JUDGES = {"judge": "self_j", "judge_cosine": "judge_cosine", "judge_self_eval": "judge_self_eval"}
"""From a judge's folder to the name of its method."""
TEACHER = "self_j_teacher"
"""The judge with the reference in view."""


def score(
    config: Config, *, force: bool = False, retry_failed: bool = False, progress: Progress | None = None
) -> Artefact:
    """Score calibration exchanges with the judge, and test exchanges with every method."""
    progress = progress or Quiet()
    exchanges = load_exchanges(config.path, force=force)
    rows = exchanges.of("calibration", "test")
    folders = _folders(config)
    digests = {folder: str(read_judge(config.path / folder)["digest"]) for folder in folders}
    methods = _Methods(config, exchanges, folders)
    build = Build(
        run=config.path,
        kind=SCORES,
        make=methods.score,
        row_id=lambda exchange: exchange.id,
        source_id=lambda row: row.id,
        settings={
            "score": config.score.model_dump(),
            "target": backends.identity(config.target),
            "embedder": config.embedder.model_dump(),
            **({"judges": [peer.model_dump() for peer in config.judges]} if config.judges else {}),
        },
        inputs={
            **exchanges.inputs,
            **digests,
            "target": backends.digest(config.target),
            **{method_of(peer): backends.digest(peer.backend) for peer in config.judges},
        },
        seed=config.seed,
        part_size=config.part_size,
        max_failed=config.max_failed,
        progress=progress,
    )
    return build(rows, len(rows), force=force, retry_failed=retry_failed)


def _folders(config: Config) -> list[str]:
    wanted = ["judge", *(f"judge_{quality}" for quality in config.tune.ablations)]
    return [folder for folder in JUDGES if folder in wanted]


@dataclass
class _Methods:
    """Every method of a config; a model is loaded when it is first needed."""

    config: Config
    exchanges: Exchanges
    folders: Sequence[str]
    judges: dict[str, Judge] = field(default_factory=dict)
    peers: dict[str, Scorer] = field(default_factory=dict)

    def score(self, chunk: Sequence[Exchange]) -> list[ScoreRow]:
        """Rows of a chunk, exchange by exchange."""
        test = [exchange for exchange in chunk if exchange.instruction.split == "test"]
        made: list[ScoreRow] = []
        for folder in self.folders:
            if folder == "judge":
                made += self._both(self._judge(folder), chunk)
            else:
                made += self._judged(JUDGES[folder], self._judge(folder), test)
        for method in self.config.score.methods:
            made += self._baseline(method, test)
        for peer in self.config.judges:
            made += self._compared(peer, test)
        place = {exchange.id: number for number, exchange in enumerate(chunk)}
        return sorted(made, key=lambda row: (place[row.id], row.method))

    def _judge(self, folder: str) -> Judge:
        if folder not in self.judges:
            self.judges[folder] = load_judge(self.config.path / folder, self.config)
        return self.judges[folder]

    def _compared(self, peer: Peer, chunk: Sequence[Exchange]) -> list[ScoreRow]:
        with_reference = isinstance(peer, GenerativePeer) and peer.reference
        subjects = [exchange for exchange in chunk if exchange.instruction.reference or not with_reference]
        if not subjects:
            return []
        if peer.name not in self.peers:
            self.peers[peer.name] = load_peer(peer, seed=self.config.seed)
        return self._judged(method_of(peer), self.peers[peer.name], subjects, with_reference=with_reference)

    def _both(self, judge: Judge, chunk: Sequence[Exchange]) -> list[ScoreRow]:
        """The judge's rows for all exchanges, and the teacher's for those of the test that have a reference."""
        pairs = [x for x in chunk if x.instruction.split == "test" and x.instruction.reference]
        taken = {exchange.id for exchange in pairs}
        made = self._judged(JUDGES["judge"], judge, [exchange for exchange in chunk if exchange.id not in taken])
        scores = judge.score_both([exchange.judge_input(with_reference=True) for exchange in pairs])
        for method, found in zip((JUDGES["judge"], TEACHER), scores, strict=True):
            made += [_row(exchange, method, score) for exchange, score in zip(pairs, found, strict=True)]
        return made

    def _judged(
        self, method: str, judge: Scorer, chunk: Sequence[Exchange], *, with_reference: bool = False
    ) -> list[ScoreRow]:
        scores = judge.score([exchange.judge_input(with_reference=with_reference) for exchange in chunk])
        return [_row(exchange, method, made) for exchange, made in zip(chunk, scores, strict=True)]

    def _baseline(self, method: str, chunk: Sequence[Exchange]) -> list[ScoreRow]:
        if not chunk or not self._can(method):
            return []
        if method == "self_eval":
            return self._judged(method, self._self(), chunk)
        values = self._values(method)(chunk)
        return [
            ScoreRow(exchange.id, exchange.instruction.id, method, value, error=_reason(method, value))
            for exchange, value in zip(chunk, values, strict=True)
        ]

    def _can(self, method: str) -> bool:
        """Whether a method can run at all on this run; one that cannot leaves no rows."""
        if method == "vro":
            return bool(self.exchanges.variations)
        if method == "ppl":
            known = any(exchange.response.logprob is not None for exchange in self.exchanges.answers)
            return known or self._likelihood is not None
        return method != "self_eval" or self.config.target.kind != "none"

    def _self(self) -> Judge:
        if "self" not in self.judges:
            label = self.config.label
            reader = backends.level_reader(self.config.target, template=label.template)
            self.judges["self"] = Judge(reader, min_label_mass=label.min_label_mass)
        return self.judges["self"]

    def _values(self, method: str) -> Callable[[Sequence[Exchange]], list[float | None]]:
        if method == "ppl":
            return lambda chunk: log_likelihood(chunk, self._likelihood)
        if method == "vro":
            embedder = backends.embedder(self.config.embedder)
            return lambda chunk: consistency(chunk, self.exchanges.variations_of(chunk), embedder)
        return length

    @cached_property
    def _likelihood(self) -> Likelihood | None:
        if all(exchange.response.logprob is not None for exchange in self.exchanges.answers):
            return None
        return backends.likelihood(self.config.target)


def _row(exchange: Exchange, method: str, made: Score) -> ScoreRow:
    # A reward is no level; but as one method among others it is compared as it is, like a log probability.
    score = made.raw if made.value is None else made.value
    return ScoreRow(
        id=exchange.id,
        instruction_id=exchange.instruction.id,
        method=method,
        score=score,
        levels=made.levels,
        label_mass=made.label_mass,
        truncated=made.truncated,
        reader=made.reader,
        error=None if score is not None else made.reason,
    )


def _reason(method: str, value: float | None) -> str | None:
    if value is not None:
        return None
    return {"ppl": "no_likelihood", "vro": "no_variations"}[method]
