from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics.cost_model import fit_cost

pytestmark = pytest.mark.backend_free

SIZES = np.array([64, 256, 1024, 4096, 16_384, 65_536], float)
terms = st.floats(0.01, 100)


@given(fixed=terms, crossover=st.floats(64, 65_536))
def test_terms_of_a_curve_without_noise_are_found(fixed, crossover):
    slope = fixed / crossover
    model = fit_cost(SIZES, fixed + slope * SIZES)
    assert model.fixed.value == pytest.approx(fixed, rel=1e-6)
    assert model.slope.value == pytest.approx(slope, rel=1e-6)
    assert model.crossover == pytest.approx(crossover, rel=1e-5)
    assert model.fits
    assert model.at(1000) == pytest.approx(fixed + 1000 * slope, rel=1e-6)


@pytest.mark.parametrize(("fixed", "slope"), [(0.8, 0.001), (5.0, 0.02), (0.3, 0.0005)])
def test_intervals_hold_the_terms_of_noisy_curves_as_often_as_they_say(fixed, slope):
    random = np.random.default_rng(3)
    true = fixed + slope * SIZES
    models = [fit_cost(SIZES, true * np.exp(random.normal(0, 0.05, len(SIZES)))) for _ in range(300)]
    held = [
        (model.fixed.ci95[0] <= fixed <= model.fixed.ci95[1], model.slope.ci95[0] <= slope <= model.slope.ci95[1])
        for model in models
    ]
    assert (np.mean(held, axis=0) > 0.91).all()  # 95 % of 300 lie below that once in a thousand
    assert np.mean([model.typical_error for model in models]) == pytest.approx(0.05, rel=0.1)
    assert all(model.fits for model in models)


@given(st.lists(st.floats(0.01, 1e4), min_size=6, max_size=6))
def test_no_term_is_negative_and_each_lies_in_its_interval(times):
    model = fit_cost(SIZES, times)
    for term in (model.fixed, model.slope):
        assert 0 <= term.ci95[0] <= term.value <= term.ci95[1]
    assert model.typical_error >= 0


def test_a_curve_that_does_not_grow_has_no_slope():
    model = fit_cost(SIZES, 3.0 - SIZES / 1e6)
    assert model.slope.value == 0
    assert model.crossover is None


def test_another_law_is_told_not_to_fit():
    model = fit_cost(SIZES, 0.01 * SIZES**1.6)
    assert not model.fits
    assert model.typical_error > 0.3


def test_two_points_make_no_model():
    assert fit_cost([1, 2], [1, 2]) is None
    assert fit_cost([1, 2, 2], [1, 2, 2.1]) is None


@pytest.mark.parametrize("times", [[1, 2, 0], [1, 2, float("nan")], [1, 2]])
def test_times_that_are_none_are_refused(times):
    with pytest.raises(ValueError, match="positive, finite"):
        fit_cost([1, 2, 3], times)
