import os
import signal
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from selfj.backends.base import JudgeInput  # noqa: E402
from selfj.errors import MissingDependency, StaleArtefact, Stopped  # noqa: E402
from selfj.progress import Quiet  # noqa: E402
from selfj.settings import LoraTuning  # noqa: E402
from selfj.tune import Example, held_back  # noqa: E402
from selfj.tune.loop import Pupil, train, weights_digest  # noqa: E402
from selfj.tune.loss import distillation_loss, level_targets  # noqa: E402
from selfj.tune.schedule import Schedule  # noqa: E402


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def logits(*shape):
    return np.random.default_rng(0).normal(size=shape)


def test_the_loss_is_the_papers():
    teacher, student = logits(2, 5, 10)
    qualities = [1.0, 9.0, 0.2, 4.4, 3.6]
    p, q = softmax(teacher), softmax(student)
    rows, target = np.arange(5), np.array([1, 9, 0, 4, 4])
    expected_teacher = -np.log(p[rows, target]).mean()
    expected_student = -np.log(q[rows, target]).mean()
    divergence = (p * np.log(p / q)).sum(axis=1).mean()
    found = distillation_loss(
        torch.tensor(teacher), torch.tensor(student), level_targets(qualities, "hard"), LoraTuning()
    )
    assert float(found.total) == pytest.approx(expected_teacher + 0.3 * expected_student + 2 * divergence)
    assert float(found.distillation) == pytest.approx(divergence)


def test_levels_are_looked_up_among_all_classes():
    teacher, student = torch.tensor(logits(2, 5, 40))
    levels = torch.tensor([7, 3, 30, 31, 12, 0, 39, 5, 6, 8])
    shares = level_targets([0.0, 9.0, 4.5, 3.0, 7.7], "soft")
    found = distillation_loss(teacher, student, shares, LoraTuning(), levels)
    expected = -(shares * torch.log_softmax(teacher, 1)[:, levels]).sum(1).mean()
    assert float(found.teacher) == pytest.approx(float(expected))


def test_soft_targets_are_two_neighbours_that_meet_the_label():
    qualities = [0.0, 0.25, 4.5, 8.0, 8.999, 9.0]
    shares = level_targets(qualities, "soft")
    assert (shares @ torch.arange(10.0)).tolist() == pytest.approx(qualities, abs=1e-5)
    assert (shares >= 0).all()
    assert shares.sum(1).tolist() == pytest.approx([1.0] * 6)
    assert all(len(places := row.nonzero()[:, 0]) == 1 or places[1] - places[0] == 1 for row in shares)


@pytest.mark.parametrize("way", ["forward", "reverse", "symmetric"])
def test_directions_and_temperature_of_the_divergence(way):
    teacher, student = logits(2, 6, 10)
    method = LoraTuning(distillation=way, temperature=2.0)
    found = distillation_loss(torch.tensor(teacher), torch.tensor(student), level_targets([3.0] * 6, "hard"), method)
    p, q = softmax(teacher / 2), softmax(student / 2)
    forward, reverse = ((x * np.log(x / y)).sum(axis=1).mean() for x, y in ((p, q), (q, p)))
    expected = {"forward": forward, "reverse": reverse, "symmetric": (forward + reverse) / 2}[way]
    assert float(found.distillation) == pytest.approx(4 * expected)


@pytest.mark.parametrize("way", ["forward", "reverse", "symmetric"])
def test_the_divergence_never_pulls_the_teacher(way):
    teacher = torch.randn(3, 10, requires_grad=True)
    student = torch.randn(3, 10, requires_grad=True)
    method = LoraTuning(distillation=way)
    distillation_loss(teacher, student, level_targets([0.0, 1.0, 2.0], "hard"), method).distillation.backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


ROWS, HELD = 62, 12
SCHEDULE = Schedule(
    rows=np.arange(HELD, ROWS),
    sizes=[3 + number % 5 for number in range(ROWS)],
    epochs=3,
    batch_size=16,
    micro_tokens=22,
    learning_rate=1e-2,
    warmup_steps=2,
    seed=3,
)
LEARNING = LoraTuning(checkpoint_steps=2, validation_steps=3)


def toy():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 10))
    teacher, student = torch.randn(ROWS, 6), torch.randn(ROWS, 6)
    qualities = (torch.rand(ROWS) * 9).tolist()
    return Pupil(
        model=model,
        read=lambda model, rows: (model(teacher[torch.from_numpy(rows)]), model(student[torch.from_numpy(rows)])),
        shares=level_targets(qualities, "hard"),
        qualities=qualities,
        validation=np.arange(HELD),
    )


def learn(folder, key="key", progress=None, **changes):
    pupil = toy()
    learning = LEARNING.model_copy(update=changes)
    done, model = train(pupil, learning, SCHEDULE, folder, key, progress or Quiet())
    return done, weights_digest(model.named_parameters())


class At(Quiet):
    """Does something after so many steps."""

    def __init__(self, step, act):
        self.left, self.act = step, act

    def advance(self, n):
        self.left -= 1
        if self.left == 0:
            self.act()


def interrupt():
    raise KeyboardInterrupt


def measured(done):
    return done.losses, done.validation


@pytest.mark.parametrize("stop", [1, 2, 3, 7, 11])
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path, stop):
    whole, expected = learn(tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "b", progress=At(stop, interrupt))
    resumed, found = learn(tmp_path / "b")
    assert found == expected
    assert measured(resumed) == measured(whole)
    assert len(whole.losses) == SCHEDULE.steps == 12
    assert [tried["step"] for tried in whole.validation] == [3, 6, 9, 12]
    assert all(-1 <= tried["student_pearson"] <= 1 for tried in whole.validation)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_and_keeps_a_checkpoint(tmp_path, number):
    whole, expected = learn(tmp_path / "a", checkpoint_steps=100)
    before = signal.getsignal(number)
    steps = []
    progress = At(5, lambda: os.kill(os.getpid(), number))
    progress.tell = lambda values: steps.append(values)
    with pytest.raises(Stopped if number == signal.SIGTERM else KeyboardInterrupt):
        learn(tmp_path / "b", progress=progress, checkpoint_steps=100)
    assert len(steps) == 5
    assert signal.getsignal(number) is before
    progress = At(100, interrupt)
    progress.tell = lambda values: steps.append(values)
    resumed, found = learn(tmp_path / "b", progress=progress, checkpoint_steps=100)
    assert len(steps) == 12
    assert found == expected
    assert measured(resumed) == measured(whole)


def test_a_checkpoint_of_other_work_is_not_used(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, "other", At(5, interrupt))
    found, _ = learn(tmp_path)
    assert measured(found) == measured(learn(tmp_path / "fresh")[0])


def test_a_checkpoint_of_several_processes_is_not_taken_up_by_one(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, progress=At(5, interrupt))
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save({**state, "world": 4}, tmp_path / "checkpoint.pt")
    with pytest.raises(StaleArtefact, match="by 4 processes, and 1 are"):
        learn(tmp_path)


def test_what_is_held_back_is_never_learned_from(tmp_path):
    seen = []
    pupil = toy()

    def read(model, rows):
        if model.training:
            seen.extend(rows.tolist())
        return pupil.read(model, rows)

    train(replace(pupil, read=read), LEARNING, SCHEDULE, tmp_path, "key", Quiet())
    assert sorted(seen) == sorted(list(range(HELD, ROWS)) * 3)


def test_passes_hold_every_row_once_and_as_many_for_each_process():
    rows = SCHEDULE.batch(4)
    for processes in (1, 2, 3):
        passes = SCHEDULE.passes(rows, processes)
        assert np.concatenate(passes).tolist() == rows.tolist()
        assert len(passes) % processes == 0
        assert all(sum(SCHEDULE.sizes[row] for row in part) <= SCHEDULE.micro_tokens for part in passes)
    alone = replace(SCHEDULE, micro_tokens=2).passes(rows)
    assert [len(part) for part in alone] == [1] * 16


def test_how_exchanges_are_divided_changes_rounding_alone(tmp_path):
    pupil = toy()
    pupil.model[1].p = 0.0
    train(pupil, LEARNING, SCHEDULE, tmp_path / "a", "key", Quiet())
    other = toy()
    other.model[1].p = 0.0
    train(other, LEARNING, replace(SCHEDULE, micro_tokens=1000), tmp_path / "b", "key", Quiet())
    for one, two in zip(pupil.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-3)


def test_an_epoch_sees_every_row_once():
    for epoch in range(3):
        steps = range(epoch * SCHEDULE.steps_per_epoch, (epoch + 1) * SCHEDULE.steps_per_epoch)
        seen = np.concatenate([SCHEDULE.batch(step) for step in steps])
        assert sorted(seen) == list(range(HELD, ROWS))


def test_the_rate_warms_up_and_falls_to_zero():
    factors = [SCHEDULE.factor(step) for step in range(SCHEDULE.steps)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors == [*factors[:2], *sorted(factors[2:], reverse=True)]
    assert 0 < factors[-1] <= 0.1


def example(number, instruction):
    student = JudgeInput(instruction, "a")
    return Example(str(number), JudgeInput(instruction, "a", "r"), student, float(number % 10))


def test_instructions_are_held_back_with_all_their_answers():
    examples = [example(number, f"question {number // 4}") for number in range(400)]
    held = held_back(examples, 0.1)
    assert len(held) == 40
    shared = {number // 4 for number in held} & {number // 4 for number in set(range(400)) - set(held.tolist())}
    assert len(shared) <= 1
    assert len(held_back(examples, 0.02)) == 0
    assert len(held_back(examples * 20, 0.4)) == 256


def test_tensorboard_gets_the_curves(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    learn(tmp_path / "run" / ".judge.partial", trackers=("tensorboard",))
    events = event_accumulator.EventAccumulator(str(tmp_path / "run" / "tracking" / "judge"))
    events.Reload()
    assert len(events.Scalars("total")) == 12
    assert [event.step for event in events.Scalars("student_pearson")] == [3, 6, 9, 12]


def test_a_tracker_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(MissingDependency, match="pip install trackio"):
        learn(tmp_path, trackers=("trackio",))
