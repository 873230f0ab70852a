import numpy as np
import pytest

from runtime.classify import classify
from runtime.errors import BundleError
from runtime.evaluation.answers import AnswerFile, Answers, top_classes

LINES = [
    {"image": 0, "answers": {"fp32": ([2, 1, 0], [0.7, 0.2, 0.1])}},
    {"image": 1, "error": "b.png: broken"},
    {"image": 2, "answers": {"fp32": ([0, 1, 2], [0.5, 0.4, 0.1])}},
]


def none_yet():
    return Answers.of(4, ["fp32"], 3)


def write(path, key="k", lines=LINES):
    with AnswerFile(path, key) as file:
        answers = none_yet()
        file.take_up(answers)
        file.append(answers, lines)


def take_up(path, key="k"):
    answers = none_yet()
    with AnswerFile(path, key) as file:
        return file.take_up(answers), answers


def test_answers_of_a_run_that_was_killed_are_taken_up(tmp_path):
    write(tmp_path / "a")
    taken, answers = take_up(tmp_path / "a")
    assert taken == 3
    assert answers.seen.tolist() == [True, True, True, False]
    assert answers.classes["fp32"].tolist() == [[2, 1, 0], [-1] * 3, [0, 1, 2], [-1] * 3]
    assert answers.probabilities["fp32"][0] == pytest.approx([0.7, 0.2, 0.1])
    assert answers.errors == {1: "b.png: broken"}


def test_wherever_it_was_killed_whole_lines_count_and_the_rest_is_written_anew(tmp_path):
    write(tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    for size in range(len(data)):
        path = tmp_path / "cut"
        path.write_bytes(data[:size])
        taken, answers = take_up(path)
        assert taken == max(0, data[:size].count(b"\n") - 1)
        assert answers.seen.sum() == taken
        write(path, lines=LINES[taken:])
        assert path.read_bytes() == data


def test_answers_of_other_models_or_images_are_not_taken_up(tmp_path):
    write(tmp_path / "a", key="others")
    assert take_up(tmp_path / "a")[0] == 0
    (tmp_path / "b").write_bytes(b"\x00" * 100)
    assert take_up(tmp_path / "b")[0] == 0


def test_line_of_an_image_that_is_not_there_ends_what_is_taken_up(tmp_path):
    write(tmp_path / "a", lines=[LINES[0]])
    with (tmp_path / "a").open("ab") as file:
        file.write(b'{"image": 9, "error": ""}\n')
    taken, answers = take_up(tmp_path / "a")
    assert (taken, answers.errors) == (1, {})


def test_two_evaluations_do_not_write_the_same_file(tmp_path):
    with (
        AnswerFile(tmp_path / "a", "k"),
        pytest.raises(BundleError, match="another evaluation"),
        AnswerFile(tmp_path / "a", "k"),
    ):
        pass


def test_answers_are_those_of_classify():
    logits = np.random.default_rng(0).normal(0, 3, (40, 7)).astype(np.float32)
    logits[3, 2] = logits[3, 5]  # a draw goes to the lower index
    for (classes, shares), ranked in zip(top_classes(logits), classify(logits), strict=True):
        assert classes == [each.index for each in ranked]
        assert shares == pytest.approx([each.probability for each in ranked], abs=1e-6)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_row_that_is_not_finite_has_no_answer_and_harms_no_other(broken):
    logits = np.array([[1, 2], [broken, 0], [1000, -1000]], np.float32)
    assert top_classes(logits) == [
        ([1, 0], pytest.approx([0.731059, 0.268941])),
        ([-1, -1], [0, 0]),
        ([0, 1], [1, 0]),
    ]
