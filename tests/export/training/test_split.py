from collections import Counter

import pytest

from export.training.split import Shares, split
from runtime.errors import OptionError

GROUPS = ["a"] * 100 + ["b"] * 20
KEYS = [f"image {number}".encode() for number in range(120)]


def test_every_group_is_split_in_the_same_shares():
    parts = split(GROUPS, KEYS, Shares(val=0.1, test=0.2))
    assert Counter(zip(GROUPS, parts, strict=True)) == {
        ("a", "train"): 70,
        ("a", "val"): 10,
        ("a", "test"): 20,
        ("b", "train"): 14,
        ("b", "val"): 2,
        ("b", "test"): 4,
    }


def test_the_order_of_the_list_does_not_matter():
    parts = dict(zip(KEYS, split(GROUPS, KEYS, Shares()), strict=True))
    backwards = split(GROUPS[::-1], KEYS[::-1], Shares())
    assert dict(zip(KEYS[::-1], backwards, strict=True)) == parts


def test_one_more_image_moves_at_most_one_other_across_each_border():
    shares = Shares(val=0.1, test=0.1)
    before = split(GROUPS, KEYS, shares)
    for extra in range(20):
        after = split([*GROUPS, "a"], [*KEYS, f"extra {extra}".encode()], shares)
        assert sum(x != y for x, y in zip(before, after, strict=False)) <= 2


def test_other_keys_give_another_split():
    assert split(GROUPS, KEYS, Shares()) != split(GROUPS, [b"1" + key for key in KEYS], Shares())


def test_a_share_of_a_small_group_is_one_image_at_least():
    assert sorted(split(["a"] * 3, KEYS[:3], Shares())) == ["test", "train", "val"]


def test_without_a_share_of_test_nothing_is_kept_for_it():
    assert set(split(GROUPS, KEYS, Shares(val=0.2, test=0.0))) == {"train", "val"}


def test_a_group_that_cannot_be_split_is_named():
    with pytest.raises(OptionError, match=r"'a' has 2 images, too few.* at least 3"):
        split(["a", "a"], KEYS[:2], Shares())


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.1), (0.5, 0.5), (-0.1, 0.1), (float("nan"), 0)])
def test_shares_that_leave_a_part_empty_are_refused(val, test):
    with pytest.raises(OptionError, match="leave some for train"):
        Shares(val=val, test=test)
