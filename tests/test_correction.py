"""Corrections for hubs: their formulas by hand, by brute force, and the identities they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from histopair.files import tables
from histopair.retrieval import correction


def in_blocks(similarity, size=7):
    """A function of blocks, as `correction` takes them: a few rows at a time."""
    return lambda: (similarity[start : start + size] for start in range(0, len(similarity), size))


def cosines(seed, n=40, m=11, d=6):
    random = np.random.default_rng(seed)
    images, reports = (tables.unit(random.normal(size=(size, d)) + 0.5) for size in (n, m))
    return (images @ reports.T).astype(np.float32)


def test_csls_by_hand():
    similarity = np.array([[0.9, 0.8], [0.7, 0.1], [0.5, 0.2]], np.float32)
    bias, about = correction.csls(in_blocks(similarity, 1), neighbours=2)
    np.testing.assert_allclose(bias, [-(0.9 + 0.7) / 4, -(0.8 + 0.2) / 4], atol=1e-7)
    assert about == {"neighbours": 2}
    # CSLS of image 0: report 0 is 2 * .9 - r - .8, report 1 is 2 * .8 - r - .5, so it wins
    assert (similarity + bias)[0].argmax() == 1 and similarity[0].argmax() == 0


@given(seed=st.integers(0, 10**6), neighbours=st.integers(1, 60), size=st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_csls_ranks_as_the_published_formula(seed, neighbours, size):
    s = cosines(seed)
    of_report = np.sort(s, axis=0)[::-1][:neighbours].mean(axis=0)
    of_image = np.sort(s, axis=1)[:, ::-1][:, :neighbours].mean(axis=1)
    published = 2 * s - of_image[:, None] - of_report
    bias, about = correction.csls(in_blocks(s, size), neighbours)
    ours = 2 * (s + bias) - of_image[:, None]
    np.testing.assert_allclose(ours, published, atol=1e-5)
    assert about["neighbours"] == min(neighbours, len(s))


@given(
    seed=st.integers(0, 10**6),
    temperature=st.sampled_from([0.005, 0.05, 1.0]),
    size=st.integers(1, 50),
)
@settings(max_examples=25, deadline=None)
def test_inverted_softmax_is_a_softmax_over_images(seed, temperature, size):
    s = cosines(seed)
    logits = s.astype(float) / temperature
    published = np.exp(logits - logsumexp(logits, axis=0))
    bias, _ = correction.inverted_softmax(in_blocks(s, size), temperature)
    np.testing.assert_allclose(np.exp((s + bias) / temperature), published, rtol=1e-3, atol=1e-7)


def test_inverted_softmax_sums_to_one_over_the_reference():
    s = cosines(5)
    bias, _ = correction.inverted_softmax(in_blocks(s), 0.1)
    np.testing.assert_allclose(np.exp((s + bias) / 0.1).sum(axis=0), 1, rtol=1e-4)


def by_logarithms(s, temperature, passes=500):
    """Sinkhorn of the whole matrix in float64 (Peyre & Cuturi 2019, Section 4.4)."""
    kernel = s.astype(float) / temperature
    f, g = np.zeros(s.shape[0]), np.zeros(s.shape[1])
    for _ in range(passes):
        f = -logsumexp(kernel + g, axis=1) - np.log(s.shape[0])
        g = -logsumexp(kernel + f[:, None], axis=0) - np.log(s.shape[1])
    return np.exp(kernel + f[:, None] + g), temperature * (g - g.max())


@pytest.mark.parametrize("shape", [(40, 11), (9, 20)])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_sinkhorn_is_that_of_brute_force(shape, temperature):
    s = cosines(3, *shape)
    plan, bias = by_logarithms(s, temperature)
    g, about = correction.sinkhorn(in_blocks(s), temperature, iterations=2000, tolerance=1e-5)
    np.testing.assert_allclose(g - g.max(), bias, atol=2e-4)
    ours = correction.plan(s, g, temperature) / len(s)
    np.testing.assert_allclose(ours, plan, atol=1e-5)
    assert about["marginal_error"] <= 1e-5


@given(seed=st.integers(0, 10**6), size=st.integers(1, 50))
@settings(max_examples=10, deadline=None)
def test_sinkhorn_gives_both_sides_equal_weights(seed, size):
    s = cosines(seed)
    g, about = correction.sinkhorn(in_blocks(s, size), 0.1, iterations=1000, tolerance=1e-4)
    plan = correction.plan(s, g, 0.1) / len(s)
    np.testing.assert_allclose(plan.sum(axis=1), 1 / s.shape[0], rtol=1e-5)
    assert np.abs(plan.sum(axis=0) - 1 / s.shape[1]).sum() <= 1.01e-4 >= about["marginal_error"]


def test_sinkhorn_tells_that_it_did_not_get_there():
    _, about = correction.sinkhorn(in_blocks(cosines(1)), 0.01, iterations=2, tolerance=1e-9)
    assert about["passes"] == 2 and about["marginal_error"] > 1e-9


def test_a_report_that_no_image_is_near_survives_a_low_temperature():
    s = np.full((50, 3), 0.9, np.float32)
    s[:, 2] = -0.9
    g, about = correction.sinkhorn(in_blocks(s), 0.01, iterations=50)
    assert np.isfinite(g).all() and about["marginal_error"] <= 0.01
    np.testing.assert_allclose(correction.plan(s, g, 0.01).mean(axis=0), 1 / 3, atol=0.01)


@pytest.mark.parametrize("kind", correction.BIASES)
def test_equal_reports_are_corrected_equally(kind):
    s = cosines(2)
    bias, _ = correction.biases(kind, in_blocks(s[:, [0, 1, 0, 2, 0]]), {})
    assert bias[0] == bias[2] == bias[4]


@pytest.mark.parametrize("kind", correction.BIASES)
def test_a_hub_loses_images(kind):
    """Report 0 is nearest to all images by a little; each image has a report of its own."""
    s = np.full((60, 13), 0.1, np.float32)
    s[np.arange(60), np.arange(60) % 12 + 1] = 0.5
    s[:, 0] = 0.52
    bias, _ = correction.biases(kind, in_blocks(s), {})
    assert (s.argmax(axis=1) == 0).all()
    assert ((s + bias).argmax(axis=1) == np.arange(60) % 12 + 1).all()
