"""Which after image each pair is given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geochg.errors import InputError
from geochg.evaluation.exchange import exchange_partners

SIZE, OTHER = (64, 64), (64, 32)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([SIZE, OTHER]), st.integers(0, 5)), min_size=2, max_size=40),
    st.integers(0, 9),
)
def test_no_pair_gets_an_image_of_its_size_group_or_a_second_time(pairs, seed):
    sizes, groups = [size for size, _ in pairs], [f"g{number}" for _, number in pairs]
    try:
        partners = exchange_partners(sizes, groups, seed)
    except InputError:
        # Only where each size has one group, or a single pair.
        assert all(
            len({g for s, g in zip(sizes, groups, strict=True) if s == size}) < 2
            for size in set(sizes)
        )
        return
    assert len(set(partners.values())) == len(partners)
    for number, partner in partners.items():
        assert sizes[number] == sizes[partner]
        assert groups[number] != groups[partner]
    assert exchange_partners(sizes, groups, seed) == partners


def test_all_pairs_take_part_where_each_is_alone():
    names = [f"p{number}" for number in range(7)]
    partners = exchange_partners([SIZE] * 7, names, 3)
    assert list(partners) == list(range(7))
    assert len({tuple(exchange_partners([SIZE] * 7, names, s).values()) for s in range(6)}) > 2


def test_of_a_large_group_as_many_take_part_as_can():
    partners = exchange_partners([SIZE] * 6, ["a", "a", "a", "a", "b", "c"])
    assert len(partners) == 4
    assert {4, 5} <= partners.keys()


@pytest.mark.parametrize(
    ("sizes", "groups", "names"),
    [
        ([SIZE], ["a"], "there is one pair only"),
        ([SIZE, OTHER], ["a", "b"], "no two of 2 pairs have images of one size"),
        ([SIZE, SIZE, OTHER], ["a", "a", "b"], "all pairs of one size share images"),
    ],
)
def test_nothing_to_exchange(sizes, groups, names):
    with pytest.raises(InputError, match=names):
        exchange_partners(sizes, groups)
