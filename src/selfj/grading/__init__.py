"""Gold for exchanges: grades by a strong model behind a server, or by people from a file.

`plan` says what a grading will take, `perform` does it, `price` keeps it below a cap, `people` joins human scores, and
`agreement` says how far graders agree. `docs/design/grading.md` has the reasons.

Example:
    >>> from selfj import grading
    >>> made = grading.grade(                                                              # doctest: +SKIP
    ...     "exchanges.jsonl", "graded.jsonl", model="gpt-4.1", base_url="https://api.openai.com/v1",
    ...     api_key_env="OPENAI_API_KEY", max_cost=5.0)
    >>> made.summary.graded, made.rows[0]["grade"]                                         # doctest: +SKIP
    (1000, 8)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from selfj.grading.agreement import Agreement, agreement, interval_alpha
from selfj.grading.people import Joined, grade_by_people, parse_scale
from selfj.grading.perform import Graded, Summary, perform
from selfj.grading.plan import Grader, Job, Plan, prepare
from selfj.grading.price import Price, price_of
from selfj.progress import Progress

__all__ = [
    "Agreement",
    "Graded",
    "Grader",
    "Job",
    "Joined",
    "Plan",
    "Price",
    "Summary",
    "agreement",
    "grade",
    "grade_by_people",
    "how_to_evaluate",
    "interval_alpha",
    "parse_scale",
    "perform",
    "prepare",
    "price_of",
]


def grade(
    source: str | Path,
    out: str | Path,
    *,
    model: str,
    base_url: str,
    api_key_env: str | None = None,
    overrides: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    use_reference: bool = True,
    repeats: int = 1,
    limit: int | None = None,
    max_cost: float | None = None,
    price_in: float | None = None,
    price_out: float | None = None,
    progress: Progress | None = None,
) -> Graded:
    """Let a model behind a server grade exchanges, and write them with their grades.

    Good replies are kept by content in the folder `NAME.replies` beside the output, so that the same call goes on where
    an earlier one ended, and asks again only for what failed. The record's `check` raises where too much failed.

    Args:
        source: A file of exchanges, or a run's folder, of which the test exchanges are graded.
        out: JSONL: the same rows in order, with `grade`, `grade_reason`, `grade_text` and `grader`.
        model: Name under which the server knows the grader.
        base_url: Address of an OpenAI-compatible interface, mostly ending in `/v1`.
        api_key_env: Name of the environment variable that holds the key.
        overrides: Settings of the grader, such as `preset=levels`, `max_tokens=512` or `backend.concurrency=4`.
        columns: From a word such as `response` to a column, before what is recognised.
        use_reference: Show the reference where a row has one.
        repeats: Ask so many times; the grade is the mean, and `grade_sd` the standard deviation (n - 1).
        limit: Only the first so many rows.
        max_cost: Most US dollars that this call may spend.
        price_in: US dollars per million tokens of prompts.
        price_out: US dollars per million tokens of replies.
        progress: Told how far the work is.

    Raises:
        ConfigError: A setting or argument is wrong, the key is absent, or there is a cap and no price.
        OverBudget: The estimate passes the cap.
        InputError: The file cannot be read.
        ArtefactError: The run has no test exchanges, or a file cannot be written.
        BackendError: A failure was not one row's but everybody's.
    """
    job = prepare(
        source,
        out,
        model=model,
        base_url=base_url,
        api_key_env=api_key_env,
        overrides=overrides,
        columns=columns,
        use_reference=use_reference,
        repeats=repeats,
        limit=limit,
        max_cost=max_cost,
        price_in=price_in,
        price_out=price_out,
    )
    return perform(job, progress)


def how_to_evaluate(source: str | Path, out: Path, scale: tuple[float, float]) -> list[str]:
    """Say with which command methods are compared against these grades."""
    span = f"evaluate.gold_range=[{scale[0]:g},{scale[1]:g}]"
    if Path(source).is_dir():
        return [f"Compare with it: selfj evaluate {source} --set evaluate.gold={out} --set '{span}'"]
    return [
        f'Compare with it, in a run over this file: selfj run CONFIG --set target.kind=none --set "collect.source='
        f"{{kind='file', path='{out}'}}\" --set evaluate.gold=grade --set '{span}'"
    ]
