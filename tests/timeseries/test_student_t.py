"""Quantiles of Student's t, against scipy."""

import numpy as np
import pytest
from scipy import stats

from geochg.timeseries.student_t import two_sided_quantile


@pytest.mark.parametrize("probability", [0.5, 0.95, 0.99, 0.9999])
def test_quantiles_are_those_of_scipy(probability):
    dof = np.array([1, 2, 3, 4, 5.5, 8, 20, 60.5, 200, 1e4])
    expected = stats.t.ppf((1 + probability) / 2, dof)
    assert np.allclose(two_sided_quantile(dof, probability), expected, rtol=1e-4)
    assert two_sided_quantile(np.array(0.2), 0.9) == pytest.approx(stats.t.ppf(0.95, 1))
