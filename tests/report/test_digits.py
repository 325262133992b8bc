"""Many numbers are rounded at once to what each would be by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dd_ray.report.digits import rounded, with_digits

ANY = arrays(np.float64, st.integers(0, 20), elements=st.floats(allow_nan=True, allow_infinity=True))
NEAR_TIES = st.builds(lambda whole, power: (whole + 0.5) * 10.0**power, st.integers(0, 10**6), st.integers(-12, 3))


@pytest.mark.parametrize("digits", [4, 5, 6])
@given(st.one_of(ANY, arrays(np.float64, 20, elements=NEAR_TIES)))
def test_each_is_rounded_as_by_itself(digits, values):
    assert rounded(values, digits) == [with_digits(value, digits) for value in values.tolist()]


@pytest.mark.parametrize("digits", [4, 6])
def test_usual_numbers_and_powers_of_ten_are_rounded_as_by_themselves(digits):
    drawn = np.random.default_rng(0)
    values = np.concatenate([drawn.normal(size=2000), 10.0 ** drawn.uniform(-30, 30, 2000), 10.0 ** np.arange(-25, 25)])
    values = np.concatenate([values, -values, values * (1 - 1e-9), [0.0, -0.0, np.nan, np.inf]])
    one_by_one = [with_digits(value, digits) for value in values.tolist()]
    assert list(map(str, rounded(values, digits))) == list(map(str, one_by_one))
