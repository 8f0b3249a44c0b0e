"""The loss of Self-J: the teacher learns the label, the student learns the label and the teacher."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812

from selfj.label import TOP, to_level
from selfj.tune_settings import Learning


@dataclass(frozen=True, slots=True)
class Loss:
    """The total and its parts, each a mean over the exchanges of a batch."""

    total: torch.Tensor
    teacher: torch.Tensor
    student: torch.Tensor
    distillation: torch.Tensor


def level_targets(qualities: Sequence[float], targets: str) -> torch.Tensor:
    """Shares of the ten levels that labels stand for, shape (n, 10), rows of sum 1.

    Args:
        qualities: Labels in [0, 9].
        targets: `hard` gives all to the nearest level, as the paper does; `soft` divides it between the two
            neighbouring levels, so that their mean is the label.
    """
    shares = torch.zeros(len(qualities), int(TOP) + 1)
    for row, quality in enumerate(qualities):
        if targets == "hard":
            shares[row, to_level(quality)] = 1.0
            continue
        lower = min(int(quality), int(TOP) - 1)
        shares[row, lower + 1] = quality - lower
        shares[row, lower] = 1.0 - (quality - lower)
    return shares


def distillation_loss(
    teacher_logits: torch.Tensor,
    student_logits: torch.Tensor,
    shares: torch.Tensor,
    learning: Learning,
    levels: torch.Tensor | None = None,
) -> Loss:
    """Weighted CE(teacher) + CE(student) + divergence of teacher and student; 1, 0.3 and 2 are the paper's weights.

    The teacher's distribution is detached inside the divergence, so it is never pulled towards the student
    (Ye and Ng 2024).

    Args:
        teacher_logits: Logits at the label position with the reference in view, shape (n, classes).
        student_logits: The same without the reference.
        shares: What the labels stand for, shape (n, 10); see `level_targets`.
        learning: Weights, direction and temperature.
        levels: The ten levels' places among the classes; None where the classes are the levels.
    """
    teacher = _cross_entropy(teacher_logits, shares, levels)
    student = _cross_entropy(student_logits, shares, levels)
    divergence = _divergence(teacher_logits.detach(), student_logits, learning)
    total = learning.teacher_weight * teacher + learning.student_weight * student
    total = total + learning.distillation_weight * divergence
    return Loss(total, teacher, student, divergence)


def _cross_entropy(logits: torch.Tensor, shares: torch.Tensor, levels: torch.Tensor | None) -> torch.Tensor:
    logprobs = F.log_softmax(logits, dim=-1)
    if levels is not None:
        logprobs = logprobs[:, levels]
    return -(shares.to(logprobs) * logprobs).sum(dim=-1).mean()


def _divergence(teacher_logits: torch.Tensor, student_logits: torch.Tensor, learning: Learning) -> torch.Tensor:
    softness = learning.temperature
    teacher = F.log_softmax(teacher_logits / softness, dim=-1)
    student = F.log_softmax(student_logits / softness, dim=-1)
    forward = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    if learning.distillation == "forward":
        return forward * softness**2
    reverse = F.kl_div(teacher, student, reduction="batchmean", log_target=True)
    if learning.distillation == "reverse":
        return reverse * softness**2
    return (forward + reverse) * (softness**2 / 2)
