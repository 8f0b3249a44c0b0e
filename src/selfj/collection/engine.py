"""Who does the tasks of a collection: a Daft plan on this machine's cores or on a Ray cluster.

A plan has one row for each task. A task is done by a function that reads files and writes files; it gives the same
bytes whoever does it, so a task may be done twice, and runner, order and number of workers change nothing.
"""

import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from selfj.errors import ArtefactError, ConfigError, MissingDependency, SelfjError

# Daft tells its makers when it is imported and when it runs, and Ray how it is used, unless these are set before.
os.environ["DAFT_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["SCARF_NO_ANALYTICS"] = "true"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")

try:
    import daft
    from daft import DataType
except ImportError as fault:
    raise MissingDependency("Collections need the package daft: pip install 'selfj[collect]'.") from fault

Task = TypeVar("Task")
_TRIES = 3
"""Times a plan is begun anew for the tasks that are left, after a worker was lost."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Where a plan runs."""

    kind: Literal["native", "ray"] = "native"
    address: str | None = None
    """Of the Ray cluster."""
    workers: int = 0
    """Tasks at the same time on this machine; 0 means one for each core. A Ray cluster uses all its cores."""


def start(runner: Runner) -> Runner:
    """Make Daft ready, and give the runner with its number of workers.

    Raises:
        ConfigError: Daft already runs elsewhere in this process.
        MissingDependency: Ray is asked for and not installed.
        ArtefactError: The cluster cannot be reached.
    """
    if runner.kind == "native":
        return Runner("native", None, runner.workers or _cores())
    try:
        import ray
    except ImportError as error:
        raise MissingDependency("The runner ray needs the package ray: pip install 'selfj[ray]'.") from error
    try:
        if not ray.is_initialized():
            ray.init(address=runner.address, log_to_driver=False, configure_logging=False, include_dashboard=False)
        cores = int(ray.cluster_resources().get("CPU", 1))
    except (ConnectionError, ValueError, RuntimeError) as error:
        found = runner.address or "of this machine"
        raise ArtefactError(f"The Ray cluster {found} cannot be reached: {error}. Check ray_address.") from error
    try:
        daft.set_runner_ray(noop_if_initialized=True)
    except RuntimeError as error:
        raise ConfigError(f"Daft cannot change to Ray in this process: {error}. Start a new one.") from error
    return Runner("ray", runner.address, runner.workers or max(1, cores))


def run(
    work: Callable[[Task], Any], tasks: Sequence[Task], runner: Runner, *, apart: bool
) -> Iterator[tuple[int, Any]]:
    """Do tasks, and yield the number of each with what it gave, as they are done.

    Args:
        work: A function of a module, which other processes can import.
        tasks: What it is called with, each by itself; they are pickled.
        runner: From `start`.
        apart: Whether each worker is a process of its own, or a thread of the machine's first. Processes take
            seconds to start, threads wait for each other where the work is not done by Arrow and numpy.

    Raises:
        SelfjError: That a task raised.
        ArtefactError: Workers were lost again and again.
    """
    left = dict(enumerate(tasks))
    if runner.kind == "native" and (runner.workers == 1 or len(left) == 1):
        yield from ((number, work(task)) for number, task in left.items())
        return
    for attempt in range(_TRIES):
        try:
            for number, result in _plan(work, left, runner, apart):
                del left[number]
                if isinstance(result, SelfjError):
                    raise result
                yield number, result
        except SelfjError:
            raise
        except Exception as error:
            # Daft and Ray have no common error for a worker that was lost.
            if attempt + 1 == _TRIES:
                said = " ".join(str(error).split()).rstrip(".")
                text = f"{len(left)} of {len(tasks)} tasks failed {_TRIES} times, the last time with: {said}."
                raise ArtefactError(f"{text} Run the same command again; finished parts are kept.") from error
        if not left:
            return


def _plan(work: Callable[[Any], Any], tasks: dict[int, Any], runner: Runner, apart: bool) -> Iterator[tuple[int, Any]]:
    rows = [pickle.dumps((number, task)) for number, task in tasks.items()]
    frame = daft.from_pydict({"task": rows})
    if runner.kind == "ray":
        frame = frame.into_partitions(len(rows))
    if runner.kind == "ray" or not apart:
        do = daft.func.batch(return_dtype=DataType.binary(), use_process=apart, batch_size=1)(_Do(work))
        frame = frame.select(do(frame["task"]).alias("result"))
    else:
        # Daft leaves the pipes of its workers to the garbage collector.
        warnings.filterwarnings("ignore", "unclosed file", ResourceWarning)
        workers = min(runner.workers, len(rows))
        do = daft.cls(_Worker, use_process=True, max_concurrency=workers)(work)
        frame = frame.select(do.do(frame["task"]).alias("result"))
    for row in frame.iter_rows(results_buffer_size=None if runner.kind == "ray" else 1):
        yield pickle.loads(row["result"])


class _Worker:
    """Does tasks in a process of its own."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work

    @daft.method.batch(  # type: ignore[untyped-decorator]
        return_dtype=DataType.binary(), batch_size=1
    )
    def do(self, tasks: daft.Series) -> list[bytes]:
        """Do a batch of tasks."""
        return _do(self.work, tasks)


class _Do:
    """The same as a function, for threads and for Ray's workers."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work
        self.__name__ = getattr(work, "__name__", "work")
        self.__module__ = __name__

    def __call__(self, tasks: daft.Series) -> list[bytes]:
        """Do a batch of tasks."""
        return _do(self.work, tasks)


def _do(work: Callable[[Any], Any], tasks: daft.Series) -> list[bytes]:
    results = []
    for number, task in map(pickle.loads, tasks.to_pylist()):
        try:
            result = work(task)
        except SelfjError as error:
            result = error
        results.append(pickle.dumps((number, result)))
    return results


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
