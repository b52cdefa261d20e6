"""Losses against values computed by hand and against torch's own."""

import math

import pytest
import torch
from torch.nn import functional as F

from histopair import losses


def test_single_label_loss_is_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)]])
    assert losses.task_loss(logits, torch.tensor([1]), "single").item() == pytest.approx(
        -math.log(0.75)
    )


def test_multi_label_loss_is_mean_binary_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)]])
    by_hand = (-math.log(0.5) - math.log(0.25)) / 2
    assert losses.task_loss(logits, torch.tensor([[1, 0]]), "multi").item() == pytest.approx(
        by_hand
    )


def test_probabilities_sum_to_one_only_for_single_labels():
    logits = torch.tensor([[2.0, 2.0, 2.0]])
    assert losses.probabilities(logits, "single").sum().item() == pytest.approx(1)
    assert losses.probabilities(logits, "multi").sum().item() == pytest.approx(
        3 / (1 + math.exp(-2))
    )


def test_distillation_by_hand():
    text = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    predicted = torch.tensor([[5.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    assert losses.distillation(text, predicted).item() == pytest.approx((0 + 1 + 2) / 3)


def test_distillation_never_teaches_the_teacher():
    text = torch.randn(4, 3, requires_grad=True)
    predicted = torch.randn(4, 3, requires_grad=True)
    losses.distillation(text, predicted).backward()
    assert text.grad is None and predicted.grad is not None


def test_contrastive_with_pairs_alone_is_clip_loss():
    image, text = F.normalize(torch.randn(6, 4), dim=1), F.normalize(torch.randn(6, 4), dim=1)
    logits = 10 * image @ text.T
    numbers = torch.arange(6)
    clip = (F.cross_entropy(logits, numbers) + F.cross_entropy(logits.T, numbers)) / 2
    ours = losses.contrastive(image, text, torch.eye(6, dtype=torch.bool), torch.tensor(10.0))
    assert ours.item() == pytest.approx(clip.item(), rel=1e-5)


def test_contrastive_ignores_which_of_its_positives_a_row_prefers():
    image = text = F.normalize(torch.ones(2, 4), dim=1)
    same = torch.ones(2, 2, dtype=torch.bool)
    value = losses.contrastive(image, text, same, torch.tensor(5.0))
    assert value.item() == pytest.approx(math.log(2))


def test_a_text_of_no_image_is_a_negative_of_every_image_and_has_no_term_of_its_own():
    image, text = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    same = torch.tensor([[True, False]])
    value = losses.contrastive(image, text, same, torch.tensor(2.0))
    by_hand = (-math.log(math.exp(2) / (math.exp(2) + 1)) + 0) / 2
    assert value.item() == pytest.approx(by_hand)
