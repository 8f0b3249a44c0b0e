import numpy as np
import pytest

torch = pytest.importorskip("torch")

from selfj.progress import Quiet  # noqa: E402
from selfj.settings import LoraTuning  # noqa: E402
from selfj.tune.loop import Schedule, train, weights_digest  # noqa: E402
from selfj.tune.loss import Loss, distillation_loss, level_targets  # noqa: E402


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


SCHEDULE = Schedule(
    rows=50,
    epochs=3,
    batch_size=16,
    micro_batch_size=5,
    learning_rate=1e-2,
    warmup_steps=2,
    checkpoint_steps=2,
    seed=3,
)


def toy():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 10))
    teacher, student = torch.randn(50, 6), torch.randn(50, 6)
    shares = level_targets((torch.rand(50) * 9).tolist(), "hard")

    def forward(rows) -> Loss:
        index = torch.from_numpy(rows)
        return distillation_loss(model(teacher[index]), model(student[index]), shares[index], LoraTuning())

    return list(model.named_parameters()), forward


class StopsAt(Quiet):
    def __init__(self, step):
        self.left = step

    def advance(self, n):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stop", [1, 2, 3, 7, 11])
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path, stop):
    parameters, forward = toy()
    whole = train(SCHEDULE, parameters, forward, tmp_path / "a", "key", Quiet())
    expected = weights_digest(parameters)
    parameters, forward = toy()
    with pytest.raises(KeyboardInterrupt):
        train(SCHEDULE, parameters, forward, tmp_path / "b", "key", StopsAt(stop))
    parameters, forward = toy()
    resumed = train(SCHEDULE, parameters, forward, tmp_path / "b", "key", Quiet())
    assert weights_digest(parameters) == expected
    assert resumed == whole
    assert len(whole) == SCHEDULE.steps == 12


def test_a_checkpoint_of_other_work_is_not_used(tmp_path):
    parameters, forward = toy()
    with pytest.raises(KeyboardInterrupt):
        train(SCHEDULE, parameters, forward, tmp_path, "other", StopsAt(5))
    parameters, forward = toy()
    found = train(SCHEDULE, parameters, forward, tmp_path, "key", Quiet())
    parameters, forward = toy()
    assert found == train(SCHEDULE, parameters, forward, tmp_path / "fresh", "key", Quiet())


def test_an_epoch_sees_every_row_once():
    for epoch in range(3):
        steps = range(epoch * SCHEDULE.steps_per_epoch, (epoch + 1) * SCHEDULE.steps_per_epoch)
        assert sorted(np.concatenate([SCHEDULE.batch(step) for step in steps])) == list(range(50))


def test_the_rate_warms_up_and_falls_to_zero():
    factors = [SCHEDULE.factor(step) for step in range(SCHEDULE.steps)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors == [*factors[:2], *sorted(factors[2:], reverse=True)]
    assert 0 < factors[-1] <= 0.1
