"""Orders of classes: the usual ones, and one learned without flattering itself."""

import numpy as np

from export.accuracy.label_orders import apply_order, learned_order, usual_orders


def test_orders_that_are_none_or_equal_are_left_out():
    names = [name for name, _ in usual_orders(("a", "b"), 2)]
    assert names == ["labels shifted by one"]  # of two classes it is also the reverse


def test_folders_sorted_as_strings_put_10_before_2():
    orders = dict(usual_orders((), 12))
    assert orders["labels sorted as strings"][:5].tolist() == [0, 1, 10, 11, 2]
    back = orders["labels sorted as numbers"]
    assert apply_order(back, orders["labels sorted as strings"]).tolist() == list(range(12))


def test_sorted_by_name_says_which_class_each_answer_means():
    orders = dict(usual_orders(("c", "b", "a", "d"), 4))
    assert orders["labels sorted by name"].tolist() == [2, 1, 0, 3]


def test_an_order_is_learned_from_noisy_answers():
    rng = np.random.default_rng(0)
    truths = rng.integers(0, 10, 400).astype(np.int32)
    order = rng.permutation(10).astype(np.int32)
    answers = np.argsort(order).astype(np.int32)[truths]
    answers[::5] = rng.integers(0, 10, 80)
    answers[0] = -1  # NaN
    learned, ordered = learned_order(answers, truths, 10)
    assert learned.tolist() == order.tolist()
    assert (ordered == truths).mean() > 0.8
    assert ordered[0] == -1


def test_an_order_learned_from_chance_is_no_better_than_chance():
    rng = np.random.default_rng(1)
    truths, answers = rng.integers(0, 20, (2, 400)).astype(np.int32)
    _, ordered = learned_order(answers, truths, 20)
    assert (ordered == truths).mean() < 0.12


def test_too_few_images_teach_no_order():
    assert learned_order(np.zeros(10, np.int32), np.zeros(10, np.int32), 10) is None
