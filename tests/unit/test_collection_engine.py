"""Tasks done by threads and processes: order, errors, lost workers, and nothing told to anybody."""

import os
import subprocess
import sys

import pytest

from selfj.collection import engine
from selfj.errors import InputError

TASKS = """
import os, signal
from pathlib import Path
from selfj.errors import InputError

def square(n):
    return n * n, os.getpid()

def refuse(n):
    raise InputError(f"task {n} is wrong")

def fail(n):
    raise ZeroDivisionError("a fault nobody foresaw")

def die_once(task):
    n, marker = task
    path = Path(marker) / str(n)
    if n % 2 and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return n

def die(n):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    (tmp_path / "some_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    import some_tasks

    yield some_tasks
    del sys.modules["some_tasks"]


TWO = engine.Runner(workers=2)


@pytest.mark.parametrize(("workers", "apart"), [(1, True), (2, False), (2, True)])
def test_every_task_is_done_once(tasks, workers, apart):
    found = dict(engine.run(tasks.square, range(12), engine.Runner(workers=workers), apart=apart))
    assert {number: result[0] for number, result in found.items()} == {n: n * n for n in range(12)}
    processes = {result[1] for result in found.values()}
    assert (processes == {os.getpid()}) == (workers == 1 or not apart)


@pytest.mark.parametrize("apart", [False, True])
def test_a_foreseen_error_is_raised_as_it_is(tasks, apart):
    with pytest.raises(InputError, match=r"task \d is wrong"):
        list(engine.run(tasks.refuse, range(3), TWO, apart=apart))


def alone(code: str, folder, **environment: str) -> str:
    """Run code in a process of its own, whose workers may die."""
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); import some_tasks; from selfj.collection import engine\n"
    values = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", start + code], env=values, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


RUN = "print(sorted(engine.run(some_tasks.{work}, {tasks!r}, engine.Runner(workers=2), apart=True)))"


def test_an_unforeseen_fault_is_told_in_one_error(tasks, tmp_path):
    told = alone(RUN.format(work="fail", tasks=[0, 1, 2]), tmp_path)
    assert "ArtefactError: 3 of 3 tasks failed 3 times, the last time with: " in told
    assert "nobody foresaw" in told.splitlines()[-1]


def test_tasks_of_lost_workers_are_done_again(tasks, tmp_path):
    marker = tmp_path / "died"
    marker.mkdir()
    work = [(n, str(marker)) for n in (0, 1, 2, 4)]
    assert alone(RUN.format(work="die_once", tasks=work), tmp_path).startswith("[(0, 0), (1, 1), (2, 2), (3, 4)]\n")
    assert (marker / "1").exists()
    assert "2 of 2 tasks failed 3 times" in alone(RUN.format(work="die", tasks=[0, 1]), tmp_path)


def test_nothing_is_told_to_makers_of_packages(tasks, tmp_path):
    """Whatever the environment says, and in the processes that do the tasks."""
    code = (
        "import os; from daft import scarf_telemetry as t\n"
        "print(t.opted_out(), t._track_on_scarf('daft-import'), os.environ['RAY_USAGE_STATS_ENABLED'])"
    )
    told = {"DAFT_ANALYTICS_ENABLED": "true", "DO_NOT_TRACK": "0", "SCARF_NO_ANALYTICS": "0"}
    wanted = "True (None, {'response_status': None, 'extra_value': None}) 0\n"
    assert alone(code, tmp_path, RAY_USAGE_STATS_ENABLED="1", **told) == wanted


def test_without_daft_one_is_told_what_to_install():
    code = "import sys; sys.modules['daft'] = None; import selfj.collection.engine"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingDependency: Collections need the package daft: pip install 'selfj[collect]'" in done.stderr


def test_workers_are_counted():
    assert engine.start(engine.Runner()).workers == len(os.sched_getaffinity(0))
    assert engine.start(engine.Runner(workers=3)).workers == 3
