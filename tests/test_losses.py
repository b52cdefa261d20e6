"""Losses against values computed by hand and against torch's own."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from histopair.errors import InputError
from histopair.methods.clip_it import students
from histopair.training import contrastive_loss, heads
from histopair.training.tasks import multi, single


def test_single_label_loss_is_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)]])
    assert single.loss(logits, torch.tensor([1])).item() == pytest.approx(-math.log(0.75))


def test_multi_label_loss_is_mean_binary_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)]])
    by_hand = (-math.log(0.5) - math.log(0.25)) / 2
    assert multi.loss(logits, torch.tensor([[1, 0]])).item() == pytest.approx(by_hand)


def test_probabilities_sum_to_one_only_for_single_labels():
    logits = torch.tensor([[2.0, 2.0, 2.0]])
    assert single.scores(logits).sum().item() == pytest.approx(1)
    assert multi.scores(logits).sum().item() == pytest.approx(3 / (1 + math.exp(-2)))


def test_sure_labels_of_one_sample_do_not_tie():
    assert multi.scores(torch.tensor([[20.0, 25.0, 30.0]])).diff().min() > 0


def test_distillation_by_hand():
    text = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    predicted = torch.tensor([[5.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    assert students.distillation(text, predicted).item() == pytest.approx((0 + 1 + 2) / 3)


def test_contrastive_distillation_by_hand():
    """Cosines of 1 and 0 at a scale of 1 / .07; each row and column has one positive."""
    text = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    found = students.distillation(text, text, kind="contrastive").item()
    assert found == pytest.approx(np.log(1 + np.exp(-1 / 0.07)), abs=1e-6)
    crossed = students.distillation(text, text.flip(0), kind="contrastive").item()
    assert crossed == pytest.approx(np.log(1 + np.exp(1 / 0.07)), rel=1e-4)


def test_samples_with_one_text_are_positives_of_each_other():
    text = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = students.distillation(text, text, kind="contrastive").item()
    assert found == pytest.approx((2 * np.log(2) + 0) / 3, abs=1e-4)  # two of three share theirs


def test_soft_labels_by_hand():
    """At T = 2 the teacher says 3/4 and 1/4, the student 1/2 each; T² is 4."""
    teacher, ours = torch.tensor([[2 * math.log(3.0), 0.0]]), torch.zeros(1, 2, requires_grad=True)
    loss = students.soft_labels(teacher, ours, 2.0)
    expected = 4 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    assert loss.item() == pytest.approx(expected)
    loss.backward()  # T² (p - q) / T, of Hinton's Eq. 2
    torch.testing.assert_close(ours.grad, torch.tensor([[2 * (0.5 - 0.75), 2 * (0.5 - 0.25)]]))


def test_soft_labels_of_an_equal_teacher_cost_nothing_and_a_batch_is_a_mean():
    logits = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, 1.0]])
    assert students.soft_labels(logits + 7, logits, 3.0).item() == pytest.approx(0, abs=1e-6)
    rows = [students.soft_labels(logits[i : i + 1], -logits[i : i + 1], 3.0) for i in (0, 1)]
    torch.testing.assert_close(students.soft_labels(logits, -logits, 3.0), sum(rows) / 2)


def test_relational_distillation_by_hand():
    """Distances 3, 4, 5 of mean 4 against 1, 1, sqrt 2; below 1 the loss is half a square."""
    text = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    predicted = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    ours, theirs = np.array([1, 1, 2**0.5]), np.array([3, 4, 5]) / 4
    expected = (0.5 * (ours / ours.mean() - theirs) ** 2).mean()
    found = students.distillation(text, predicted, kind="relational").item()
    assert found == pytest.approx(expected, rel=1e-5)
    moved = 7 * text + 3  # the same relations elsewhere and larger
    assert students.relational(text, moved).item() == pytest.approx(0, abs=1e-9)


def test_distillation_never_teaches_the_teacher():
    text = torch.randn(4, 3, requires_grad=True)
    predicted = torch.randn(4, 3, requires_grad=True)
    students.distillation(text, predicted).backward()
    assert text.grad is None and predicted.grad is not None


def test_contrastive_with_pairs_alone_is_clip_loss():
    image, text = F.normalize(torch.randn(6, 4), dim=1), F.normalize(torch.randn(6, 4), dim=1)
    logits = 10 * image @ text.T
    numbers = torch.arange(6)
    clip = (F.cross_entropy(logits, numbers) + F.cross_entropy(logits.T, numbers)) / 2
    ours = contrastive_loss.loss(image, text, torch.eye(6, dtype=torch.bool), torch.tensor(10.0))
    assert ours.item() == pytest.approx(clip.item(), rel=1e-5)


def test_contrastive_ignores_which_of_its_positives_a_row_prefers():
    image = text = F.normalize(torch.ones(2, 4), dim=1)
    same = torch.ones(2, 2, dtype=torch.bool)
    value = contrastive_loss.loss(image, text, same, torch.tensor(5.0))
    assert value.item() == pytest.approx(math.log(2))


def test_contrastive_logits_are_float32_under_an_autocast():
    """The true value is that of float64; products in bfloat16 are wrong by up to a quarter."""
    generator = torch.Generator().manual_seed(0)
    image, text = (
        nn.functional.normalize(torch.randn(32, 64, generator=generator), dim=1) for _ in range(2)
    )
    text = nn.functional.normalize(image + 0.02 * text, dim=1)  # logits up to 100
    same, scale = torch.eye(32, dtype=torch.bool), torch.tensor(100.0)
    logits = 100 * image.double() @ text.double().T
    true = -(logits.log_softmax(1).diagonal().mean() + logits.log_softmax(0).diagonal().mean()) / 2
    with torch.autocast("cpu", torch.bfloat16):
        found = contrastive_loss.similarities(image, text, scale)
        value = contrastive_loss.loss(image, text, same, scale)
    assert found.dtype == value.dtype == torch.float32
    torch.testing.assert_close(found.double(), logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(value.double(), true, atol=1e-6, rtol=1e-4)
    rounded = 100 * (image.bfloat16() @ text.bfloat16().T)
    assert (rounded.double() - logits).abs().max() > 0.1  # what an autocast alone gives


def test_sure_classes_do_not_tie_in_a_half_precision_training():
    """Logits of 50 and 50.1; bfloat16 has 50 and 50.25. Without an autocast it is a plain layer."""
    layer = heads.Last(2, 2, bias=False)
    features = torch.tensor([[1.0, 0.5]])
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[50.0, 0.0], [50.0, 0.2]]))
        plain = nn.functional.linear(features, layer.weight)
        with torch.autocast("cpu", torch.bfloat16):
            assert nn.functional.linear(features, layer.weight).diff().item() == 0
            for given in (features, features.bfloat16()):
                assert torch.equal(layer(given), plain)
        assert torch.equal(layer(features), plain) and plain.diff().item() > 0.09


def test_a_text_of_no_image_is_a_negative_of_every_image_and_has_no_term_of_its_own():
    image, text = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    same = torch.tensor([[True, False]])
    value = contrastive_loss.loss(image, text, same, torch.tensor(2.0))
    by_hand = (-math.log(math.exp(2) / (math.exp(2) + 1)) + 0) / 2
    assert value.item() == pytest.approx(by_hand)


LOGITS = torch.tensor([[1.0, -2.0], [0.5, 0.0], [-1.0, 3.0]])
TARGETS = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
SHARES = torch.tensor([0.2, 0.5])


def test_rare_positives_weigh_what_their_share_says():
    ours = multi.loss(LOGITS, TARGETS, "positive-weight", SHARES)
    cost = torch.nn.functional.softplus
    by_hand = (4 * cost(-LOGITS[0, 0]) + cost(LOGITS[0, 1])) + cost(LOGITS[1]).sum()
    by_hand = by_hand + cost(LOGITS[2, 0]) + cost(-LOGITS[2, 1])
    torch.testing.assert_close(ours, by_hand / 6)
    rarest = multi.loss(LOGITS, TARGETS, "positive-weight", torch.tensor([0.0, 0.5]))
    assert torch.isfinite(rarest)


def test_logit_adjustment_adds_the_prior_and_fits_it_with_zero_logits():
    """A model that says 0 for every sample has learnt all there is when only the prior is known."""
    shares = torch.tensor([0.25, 0.75])
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    logits = torch.zeros(4, 2, requires_grad=True)
    multi.loss(logits, targets, "logit-adjustment", shares).backward()
    torch.testing.assert_close(logits.grad.sum(0), torch.zeros(2))
    logits = torch.zeros(4, 2, requires_grad=True)
    single.loss(logits, torch.tensor([0, 1, 1, 1]), "logit-adjustment", shares).backward()
    torch.testing.assert_close(logits.grad.sum(0), torch.zeros(2))


def test_the_asymmetric_loss_by_hand():
    ours = multi.asymmetric(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    by_hand = (-math.log(0.5) - 0.45**4 * math.log(0.55)) / 2
    assert ours.item() == pytest.approx(by_hand)


def test_easy_negatives_cost_nothing_in_the_asymmetric_loss():
    easy = torch.logit(torch.tensor([[0.04, 0.01]])).requires_grad_()
    value = multi.asymmetric(easy, torch.zeros(1, 2))
    value.backward()
    assert value.item() == 0 and not easy.grad.any()


def test_class_weights_of_a_single_label_task_have_mean_one():
    numbers = torch.tensor([0, 1, 1, 1])
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    ours = single.loss(logits, numbers, "positive-weight", torch.tensor([0.25, 0.75]))
    cost = torch.nn.functional.cross_entropy(logits, numbers, reduction="none")
    weight = torch.tensor([1.5, 0.5, 0.5, 0.5])
    torch.testing.assert_close(ours, (weight * cost).mean())


def test_a_loss_that_a_task_does_not_have_is_one_clear_line():
    with pytest.raises(InputError, match="asymmetric"):
        single.loss(LOGITS, torch.tensor([0, 1, 0]), "asymmetric", SHARES)
