"""Fair parts of a cluster."""

import pytest

from dd_ray.tune.sharing import fair_share


@pytest.mark.parametrize(
    ("mine", "others", "share"),
    [
        (1.0, [], 1.0),
        (0.3, [], 0.3),
        (1.0, [1.0], 0.5),
        (1.0, [0.2], 0.8),
        (0.2, [1.0], 0.2),
        (1.0, [1.0, 0.1], 0.45),
        (1.0, [1.0, 1.0, 1.0], 0.25),
        (0.4, [0.4, 0.1], 0.4),
        (1.0, [0.0], 1.0),
    ],
)
def test_who_wants_less_leaves_the_rest_to_the_others(mine, others, share):
    assert fair_share(mine, others) == pytest.approx(share)


def test_shares_fill_the_whole_and_no_one_with_less_than_it_wants_has_less_than_another():
    wants = [0.05, 0.9, 0.3, 0.7, 0.3]
    shares = [fair_share(want, wants[:i] + wants[i + 1 :]) for i, want in enumerate(wants)]
    assert sum(shares) == pytest.approx(1)
    unsatisfied = [share for share, want in zip(shares, wants, strict=True) if share < want]
    assert min(unsatisfied) == pytest.approx(max(shares))
