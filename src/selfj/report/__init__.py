"""The shape of a report: plain JSON data that the evaluation writes and the page, figures and tables read.

`None` stands for a value that is undefined or was not measured; it is shown as an en dash, never as 0.
Shares and rates are in [0, 1], qualities and scores in [0, 9] with higher being better.
"""

from typing import Literal, NotRequired, TypedDict

__all__ = [
    "Calibration",
    "CalibrationBin",
    "Counts",
    "Curve",
    "Difference",
    "Example",
    "Examples",
    "Following",
    "Gold",
    "Group",
    "Histogram",
    "Interval",
    "Method",
    "MethodGroup",
    "Reach",
    "Report",
    "Selective",
    "ThresholdPoint",
    "Timing",
    "Training",
    "ValidationPoint",
]

MethodGroup = Literal["without reference", "with reference", "bounds"]


class Interval(TypedDict):
    """A value with its bootstrap interval."""

    value: float | None
    low: float | None
    high: float | None


class Gold(TypedDict):
    """What the methods are compared with."""

    name: str
    """`z`, a column, or `package.module:function`."""
    description: str
    """A few words that complete "quality according to …"; may be empty."""


class Counts(TypedDict):
    """How many rows each part of the run had."""

    instructions: int
    responses: int
    train: int
    calibration: int
    test: int
    failed: dict[str, int]
    """Failed rows by reason, over all stages."""


class Method(TypedDict):
    """How well one method's scores tell good responses from failures, on the test split."""

    title: str
    group: MethodGroup
    pearson: Interval
    spearman: Interval
    kendall: Interval
    auroc: Interval
    aurc: Interval
    """Area under the risk–coverage curve; lower is better."""
    prr: Interval
    ece: Interval | None
    """Expected calibration error, lower is better; None for a method whose scores are not qualities."""
    n: int
    missing: int
    """Test exchanges without a score from this method."""


class Difference(TypedDict):
    """Metric of method `a` minus that of method `b`, on the same resamples."""

    a: str
    b: str
    metric: str
    value: float | None
    low: float | None
    high: float | None


class Selective(TypedDict):
    """What the threshold did on the test split; `answered + declined + unscored == n`."""

    threshold: float | None
    max_risk: float
    confidence: float
    label: str
    """The label of the run's own calibration, by which `risk` is counted."""
    chosen_on: NotRequired[str]
    """The label that the promise is about: `label`, or the gateway's feedback after `selfj recalibrate --apply`.
    An older report lacks it."""
    coverage: Interval
    risk: Interval
    """Failure rate among answered exchanges, by the label calibrated on."""
    risk_all: float | None
    """Failure rate if everything were answered, by the label calibrated on."""
    risk_gold: Interval | None
    """Failure rate among answered exchanges, by gold; None where gold is the label calibrated on."""
    risk_all_gold: float | None
    """Failure rate if everything were answered, by gold; None as above."""
    answered: int
    declined: int
    """Exchanges whose score is below the threshold."""
    unscored: int
    """Exchanges declined because the judge gave no usable score."""
    n: int
    infeasible: str | None
    """Why no threshold meets the promise, in one sentence; None when there is a threshold."""


class Curve(TypedDict):
    """Risk by gold at rising coverage; at most 200 points."""

    coverage: list[float]
    risk: list[float]


class ThresholdPoint(TypedDict):
    """Where the threshold lies on the judge's curve."""

    coverage: float
    risk: float


class CalibrationBin(TypedDict):
    """Mean score and mean gold of the exchanges in one bin, both divided by 9."""

    predicted: float | None
    observed: float | None
    n: int


class Calibration(TypedDict):
    """Scores against gold."""

    bins: list[CalibrationBin]


class Histogram(TypedDict):
    """Number of good responses and failures (by gold) in each bin of the score; one more edge than bins."""

    edges: list[float]
    good: list[int]
    bad: list[int]


class Group(TypedDict):
    """One group of test instructions, such as a family of the embedded world."""

    group: str
    category: str | None
    n: int
    accuracy: float | None
    """Share of responses that are good by gold."""
    coverage: float | None
    risk: float | None
    """Failure rate by gold among answered exchanges; None when none was answered."""
    pearson: float | None


class Reach(TypedDict):
    """The most that can be answered within a risk, with the threshold chosen on the same rows; no promise."""

    max_risk: float
    threshold: float | None
    """None where nothing is answered, or even what has no score is."""
    coverage: float | None
    risk: float | None
    """Failure rate by gold among answers; None when none is given."""
    over_decline: float | None
    """Share of good responses that are declined; None when there is none."""


class Following(TypedDict):
    """How well one method's scores choose what to answer, by gold."""

    method: str
    category: str | None
    """None for all test exchanges."""
    n: int
    failures: int
    reach: list[Reach]
    """For each risk that is asked about."""
    aurc: float | None
    prr: float | None


class Example(TypedDict):
    """One exchange to show."""

    instruction: str
    response: str
    reference: str | None
    score: float | None
    gold: float | None
    z: float | None
    category: str | None
    mistake: bool
    """A failure that was answered, or a good response that was declined."""


class Examples(TypedDict):
    """Exchanges to show, by what the assistant did."""

    answered: list[Example]
    declined: list[Example]


class Timing(TypedDict):
    """Wall time of a stage."""

    stage: str
    seconds: float | None
    rows: int | None


class ValidationPoint(TypedDict):
    """How the judge did on exchanges held back, while it learned."""

    step: int
    student_pearson: float | None
    """Correlation of the scores with the labels, without the reference."""
    teacher_pearson: float | None
    """The same with the reference."""
    loss: float | None


class Training(TypedDict):
    """How the judge learned."""

    steps: list[float]
    """Step of each value of `losses`; at most 400, each then the middle of the steps that it stands for."""
    total_steps: int
    losses: dict[str, list[float | None]]
    """Parts of the loss, by name."""
    validation: list[ValidationPoint]
    rate: float | None
    """Exchanges per second."""


class Report(TypedDict):
    """Everything that a report shows."""

    schema: Literal["report/1"]
    name: str
    created_with: dict[str, str]
    """Versions of selfj and of the packages that matter."""
    seed: int
    gold: Gold
    label: str
    target_model: str
    judge: str
    min_quality: float
    """A response whose quality is below this is a failure."""
    counts: Counts
    methods: dict[str, Method]
    differences: list[Difference]
    selective: Selective
    curves: dict[str, Curve]
    """By key of `methods`."""
    threshold_point: ThresholdPoint | None
    calibration: Calibration
    histogram: Histogram
    groups: list[Group]
    examples: Examples
    timings: list[Timing]
    training: NotRequired[Training | None]
    """None where the judge's manifest has no curves."""
    selective_following: NotRequired[list[Following]]
    """Methods without reference, over all test exchanges and by category."""
    interval_confidence: NotRequired[float]
    """Confidence of the bootstrap intervals."""
    command: NotRequired[str]
    """Command line that repeats the run."""
    settings: NotRequired[str]
    """The resolved config, as TOML."""
