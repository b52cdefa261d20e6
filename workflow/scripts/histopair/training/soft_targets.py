"""Distillation of another model's predictions (Hinton 2015)."""

from torch import Tensor
from torch.nn import functional as F


def loss(logits: Tensor, teacher: Tensor, temperature: float, exclusive: bool) -> Tensor:
    """T^2 KL(teacher || student) of logits (n, C), both divided by T (Hinton 2015, Section 2.1).

    Exclusive classes share a softmax: the mean over samples. Others have a sigmoid each: the mean
    over n and C. T^2 keeps the gradient's size whatever the temperature. It is 0 where both agree;
    Hinton's cross-entropy is larger by the teacher's entropy, and has the same gradient.
    """
    student, teacher = logits.float() / temperature, teacher.float() / temperature
    if exclusive:
        apart = F.kl_div(
            student.log_softmax(1), teacher.log_softmax(1), reduction="batchmean", log_target=True
        )
    else:
        soft = teacher.sigmoid()
        apart = F.binary_cross_entropy_with_logits(student, soft)
        apart = apart - F.binary_cross_entropy_with_logits(teacher, soft)
    return temperature**2 * apart
