import pytest

from runtime.table import Layout, text_table


def test_columns_stand_below_their_names_and_numbers_to_the_right():
    table = text_table(("name", "size"), [("a", "1"), ("long name", "1,000"), ("b", "-")])
    assert table == (
        "name        size\n---------  -----\na              1\nlong name  1,000\nb              -"
    )


@pytest.mark.parametrize(
    "cell",
    ["1", "-1.5", "1,234,567", "98.12%", "3.1e-06", "1.3x", "nan", "inf", "+2", "0.5 %", ".5"],
)
def test_number_is(cell):
    assert text_table(("a long name",), [(cell,)]).splitlines()[2] == cell.rjust(11)


@pytest.mark.parametrize("cell", ["7 cats", "1x3x224x224", "resnet18", "1-2", "v1.0", "1.2.3"])
def test_number_is_not(cell):
    assert text_table(("a very long name",), [(cell,)]).splitlines()[2] == cell


def test_table_is_never_wider_than_80_columns():
    rows = [("x" * 200, "y" * 50, "1.0"), ("猫" * 100, "é" * 100, "2.0")]
    for line in text_table(("first", "second", "third"), rows).splitlines():
        assert sum(2 if c == "猫" else 1 for c in line) <= 80


def test_cell_too_wide_loses_its_middle():
    (line,) = text_table(("path",), [("a" * 100 + "/photo.jpg",)]).splitlines()[2:]
    assert len(line) == 80
    assert line.startswith("aaa")
    assert "…" in line
    assert line.endswith("/photo.jpg")


def test_wide_letters_take_two_columns():
    lines = text_table(("class", "n"), [("猫", "1"), ("ab", "2")]).splitlines()
    assert lines[2] == "猫     1"
    assert lines[3] == "ab     2"


def test_accent_of_its_own_takes_no_column():
    lines = text_table(("class", "n"), [("e\u0301", "1")]).splitlines()
    assert lines[2] == "e\u0301      1"


def test_control_codes_are_shown_not_sent():
    assert "\x1b" not in text_table(("a",), [("\x1b[31m\nb",)])


def test_rows_written_one_by_one_stand_as_in_the_whole_table():
    rows = [("a", "1"), ("bb", "22")]
    layout = Layout.of(("name", "n"), rows)
    assert "\n".join([layout.head(), *map(layout.line, rows)]) == text_table(("name", "n"), rows)
