"""The loss of Self-J: the teacher learns the label, the student learns the label and the teacher."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812


@dataclass(frozen=True, slots=True)
class Loss:
    """The total and its parts, each a mean over the exchanges of a batch."""

    total: torch.Tensor
    teacher: torch.Tensor
    student: torch.Tensor
    distillation: torch.Tensor


def distillation_loss(
    teacher_logits: torch.Tensor,
    student_logits: torch.Tensor,
    target: torch.Tensor,
    *,
    student_weight: float,
    distillation_weight: float,
) -> Loss:
    """CE(teacher) + student_weight * CE(student) + distillation_weight * KL(teacher || student).

    The teacher's distribution is detached inside the KL term, so it is never pulled towards the student
    (Ye and Ng 2024).

    Args:
        teacher_logits: Logits at the label position with the reference in view, shape (batch, classes).
        student_logits: The same without the reference.
        target: Index of the label among the classes, shape (batch,).
        student_weight: 0.3 in the paper.
        distillation_weight: 2 in the paper.
    """
    teacher = F.cross_entropy(teacher_logits, target)
    student = F.cross_entropy(student_logits, target)
    divergence = F.kl_div(
        F.log_softmax(student_logits, dim=-1),
        F.log_softmax(teacher_logits.detach(), dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    total = teacher + student_weight * student + distillation_weight * divergence
    return Loss(total, teacher, student, divergence)
