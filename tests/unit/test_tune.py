import numpy as np
import pytest

torch = pytest.importorskip("torch")

from selfj.progress import Quiet  # noqa: E402
from selfj.tune.loop import Schedule, train, weights_digest  # noqa: E402
from selfj.tune.loss import Loss, distillation_loss  # noqa: E402


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_the_loss_is_the_papers():
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(5, 10)), rng.normal(size=(5, 10))
    target = np.array([1, 9, 0, 4, 4])
    p, q = softmax(teacher), softmax(student)
    rows = np.arange(5)
    expected_teacher = -np.log(p[rows, target]).mean()
    expected_student = -np.log(q[rows, target]).mean()
    divergence = (p * np.log(p / q)).sum(axis=1).mean()
    found = distillation_loss(
        torch.tensor(teacher), torch.tensor(student), torch.tensor(target), student_weight=0.3, distillation_weight=2
    )
    assert float(found.total) == pytest.approx(expected_teacher + 0.3 * expected_student + 2 * divergence)
    assert float(found.distillation) == pytest.approx(divergence)


def test_the_divergence_never_pulls_the_teacher():
    teacher = torch.randn(3, 10, requires_grad=True)
    student = torch.randn(3, 10, requires_grad=True)
    distillation_loss(
        teacher, student, torch.tensor([0, 1, 2]), student_weight=0.3, distillation_weight=2
    ).distillation.backward()
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
    levels = torch.randint(0, 10, (50,))

    def forward(rows) -> Loss:
        index = torch.from_numpy(rows)
        return distillation_loss(
            model(teacher[index]),
            model(student[index]),
            levels[index],
            student_weight=0.3,
            distillation_weight=2.0,
        )

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
