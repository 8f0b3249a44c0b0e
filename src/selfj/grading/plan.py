"""What a grading will do: which exchanges, with which prompts, and about what it will take; nothing is sent here."""

import math
from collections import Counter
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from selfj import backends
from selfj import config as configs
from selfj.backends.base import MeteredGenerator, Sampling
from selfj.errors import ConfigError, OverBudget
from selfj.grading.price import REPLY_S, REPLY_TOKENS, Price, estimated_tokens, price_of
from selfj.grading.rows import Row, check_out, read_exchanges
from selfj.peers import check_prompt, prompt_of
from selfj.records import content_id
from selfj.settings import GenerativePeer, HttpBackend
from selfj.verdicts import PRESETS


class Grader(GenerativePeer):
    """A judge that writes, over a server: what `--set` of `selfj grade` sets."""

    name: str = "grader"
    backend: HttpBackend
    reference: bool = True
    """Show it the reference where an exchange has one."""
    max_failed: float = Field(0.01, ge=0, le=1)
    """Greatest share of exchanges without a grade that is no error."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One reply that is wanted."""

    prompt: str
    draw: int
    """Which repeat it is, from 0."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What grading will take; tokens, cost and time are estimates."""

    rows: int
    graded: int
    """Rows all of whose replies are kept from before."""
    unfit: Counter[str]
    """Rows that cannot be graded, by reason."""
    with_reference: int
    requests: int
    """Replies to ask for."""
    tokens_in: int
    tokens_out: int
    price: Price | None
    cost: float | None
    """In US dollars; None where the price is unknown."""
    seconds: float
    concurrency: int

    def lines(self) -> list[str]:
        """The plan in a few sentences."""
        unfit = "".join(f", {n:,} cannot be graded: {reason}" for reason, n in self.unfit.most_common())
        cost = "unknown; give --price-in and --price-out" if self.requests else "nothing is to be asked"
        if self.requests and self.price is not None and self.cost is not None:
            prices = f"{self.price.tokens_in:g} in, {self.price.tokens_out:g} out per million tokens"
            cost = f"about {self.cost:.4f} USD ({prices}, {self.price.source})"
        return [
            f"{self.rows:,} rows, {self.graded:,} graded already, {self.with_reference:,} with a reference in view"
            f"{unfit}",
            f"{self.requests:,} requests, about {self.tokens_in:,} tokens in and {self.tokens_out:,} out",
            f"cost: {cost}",
            f"time: about {self.seconds:,.0f} s, with {self.concurrency:,} requests at once of {REPLY_S:g} s each",
        ]


@dataclass(frozen=True, slots=True)
class Job:
    """A grading that is ready to begin."""

    source: str
    out: Path
    grader: Grader
    generator: MeteredGenerator
    rows: list[Row]
    asks: list[list[Ask]]
    """For each row its repeats; none where it cannot be graded."""
    cut: list[bool]
    """Whether a text of the row was cut for its prompt."""
    kept: dict[Ask, bool]
    """Every distinct reply that is wanted, and whether it is there."""
    plan: Plan
    repeats: int
    max_cost: float | None
    key: str
    """Identifies model, prompt and sampling."""

    def check_cap(self) -> None:
        """Refuse to begin what will probably not end below the cap.

        Raises:
            OverBudget: The estimate passes the cap.
        """
        if self.max_cost is not None and self.plan.cost is not None and self.plan.cost > self.max_cost:
            raise OverBudget(
                f"Grading would cost about {self.plan.cost:.4f} USD, and --max-cost allows {self.max_cost:g}. Nothing "
                "was sent. Raise the cap, or grade fewer rows with --limit."
            )

    @property
    def sampling(self) -> Sampling:
        """How replies are drawn."""
        return Sampling(self.grader.temperature, 1.0, self.grader.max_tokens)

    @property
    def scale(self) -> tuple[int, int]:
        """Lowest and highest grade."""
        preset = PRESETS[self.grader.preset]
        return preset.low, preset.high


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    model: str,
    base_url: str,
    api_key_env: str | None = None,
    overrides: Sequence[str] = (),
    columns: AnyMapping[str, str] | None = None,
    use_reference: bool = True,
    repeats: int = 1,
    limit: int | None = None,
    max_cost: float | None = None,
    price_in: float | None = None,
    price_out: float | None = None,
    dry_run: bool = False,
) -> Job:
    """Find out what a grading will do and take; see `selfj.grading.grade` for the arguments.

    With `dry_run` it is only for the plan: no key is needed, and no folder is made.

    Raises:
        ConfigError: A setting or argument is wrong, the key is absent, or there is a cap and no price.
        InputError: The file cannot be read.
        ArtefactError: The run has no test exchanges, or the cache cannot be used.
    """
    if repeats < 1:
        raise ConfigError(f"--repeats must be 1 or more, found {repeats}.")
    target = Path(out)
    check_out(target, source)
    grader = _grader(target, model, base_url, api_key_env, overrides, use_reference)
    price = price_of(grader.backend.model, grader.backend.url, price_in, price_out)
    _check_cap(max_cost, price, grader.backend.model)
    rows = read_exchanges(source, columns=columns, use_reference=grader.reference, limit=limit)
    generator = _generator(grader, dry_run=dry_run)
    prompts = [None if row.item is None else prompt_of(row.item, grader) for row in rows]
    asks = [[] if made is None else [Ask(made[0], draw) for draw in range(repeats)] for made in prompts]
    wanted = list(dict.fromkeys(ask for some in asks for ask in some))
    sampling = Sampling(grader.temperature, 1.0, grader.max_tokens)
    known = generator.kept([ask.prompt for ask in wanted], [ask.draw for ask in wanted], sampling)
    kept = dict(zip(wanted, known, strict=True))
    plan = _plan(rows, asks, kept, grader, price)
    cut = [made is not None and made[1] for made in prompts]
    key = content_id("grade/1", backends.digest(grader.backend), *_decisive(grader))[:16]
    return Job(str(source), target, grader, generator, rows, asks, cut, kept, plan, repeats, max_cost, key)


def _check_cap(max_cost: float | None, price: Price | None, model: str) -> None:
    if max_cost is None:
        return
    if not 0 < max_cost < math.inf:
        raise ConfigError(f"--max-cost must be more than 0 US dollars, found {max_cost:g}.")
    if price is None:
        raise ConfigError(
            f"--max-cost cannot be kept, as the price of {model} there is unknown. Give --price-in and --price-out, in "
            "US dollars per million tokens."
        )


def _grader(
    out: Path, model: str, url: str, api_key_env: str | None, overrides: Sequence[str], use_reference: bool
) -> Grader:
    backend: dict[str, Any] = {
        "kind": "http",
        "url": url,
        "model": model,
        "api_key_env": api_key_env,
        "cache": str(out.with_name(f"{out.stem}.replies")),
        "logprobs": False,
    }
    grader = configs.build(Grader, {"backend": backend, "reference": use_reference}, overrides)
    if grader.samples != 1:
        raise ConfigError(f"samples = {grader.samples} is for peers of a run; a grading has --repeats.")
    if grader.backend.cache is None:
        raise ConfigError("backend.cache must be a folder: replies that were paid for are kept there.")
    check_prompt(grader)
    return grader


def _generator(grader: Grader, *, dry_run: bool) -> MeteredGenerator:
    settings = grader.backend
    if dry_run:
        there = settings.cache is not None and Path(settings.cache).is_dir()
        settings = settings.model_copy(update={"api_key_env": None, "cache": settings.cache if there else None})
    made = backends.generator(settings)
    if not isinstance(made, MeteredGenerator):
        raise ConfigError(f"The model {made.name} cannot grade: it does not say what its replies take.")
    return made


def _decisive(grader: Grader) -> tuple[object, ...]:
    shown = (grader.preset, grader.prompt, grader.rubric, grader.reference, grader.max_chars)
    return (*shown, grader.temperature, grader.max_tokens)


def _plan(
    rows: Sequence[Row], asks: Sequence[Sequence[Ask]], kept: AnyMapping[Ask, bool], grader: Grader, price: Price | None
) -> Plan:
    ahead = [ask for ask, there in kept.items() if not there]
    tokens_in = sum(estimated_tokens(ask.prompt) for ask in ahead)
    tokens_out = len(ahead) * min(REPLY_TOKENS, grader.max_tokens)
    at_once = grader.backend.concurrency
    return Plan(
        rows=len(rows),
        graded=sum(bool(some) and all(kept[ask] for ask in some) for some in asks),
        unfit=Counter(row.reason for row in rows if row.reason is not None),
        with_reference=sum(row.item is not None and row.item.reference is not None for row in rows),
        requests=len(ahead),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        price=price,
        cost=None if price is None else price.of(tokens_in, tokens_out),
        seconds=math.ceil(len(ahead) / at_once) * REPLY_S,
        concurrency=at_once,
    )
