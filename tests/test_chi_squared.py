import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import chdtrc, gammaincinv

from geochg.chi_squared import exceeding_probability, quantile


@pytest.mark.parametrize("dof", range(1, 14))
def test_the_probability_of_more_is_that_of_scipy(dof):
    values = np.concatenate(([0.0], np.geomspace(1e-6, 400, 60))).reshape(-1, 1)
    np.testing.assert_allclose(
        exceeding_probability(dof, values), chdtrc(dof, values), rtol=1e-12, atol=1e-300
    )


@pytest.mark.parametrize("dof", range(1, 14))
def test_nothing_is_above_infinity(dof):
    values = np.array([np.finfo(np.float64).max, np.inf, 0.0])
    assert exceeding_probability(dof, values).tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("dof", [0.7, 1, 2.5, 3, 12, 40.3])
@pytest.mark.parametrize("probability", [1e-4, 0.3, 0.5, 0.95, 0.9999])
def test_quantiles_are_those_of_scipy(dof, probability):
    wanted = 2 * gammaincinv(dof / 2, probability)
    assert quantile(dof, probability) == pytest.approx(wanted, rel=1e-9)


@given(st.integers(1, 400), st.lists(st.floats(0, 1400), max_size=9))
def test_any_probability_of_more_is_that_of_scipy(dof, values):
    values = np.array(values, np.float64)
    np.testing.assert_allclose(
        exceeding_probability(dof, values), chdtrc(dof, values), rtol=1e-11, atol=1e-290
    )


@given(st.floats(0.1, 1e5), st.floats(1e-6, 1 - 1e-6))
def test_any_quantile_is_that_of_scipy(dof, probability):
    wanted = 2 * gammaincinv(dof / 2, probability)
    assert quantile(dof, probability) == pytest.approx(wanted, rel=1e-9)
