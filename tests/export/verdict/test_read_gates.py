"""gates.toml: what it changes, and what is refused."""

import pytest

from export.verdict.gates import ACCURACY_GATES
from export.verdict.read_gates import Gates, read_gates
from runtime.errors import OptionError


def test_without_a_file_the_gates_are_the_usual_ones():
    gates = read_gates(None)
    assert gates == Gates()
    assert gates.int8 == ACCURACY_GATES["int8"]


def test_a_file_changes_what_it_names_and_leaves_the_rest(tmp_path):
    file = tmp_path / "gates.toml"
    file.write_text(
        'not_shown = "fail"\n[int8]\nfail_points = 2\n[accuracy]\nleast_top1 = 0.75\n'
        "[speed]\nlargest_p90_ms = 20\n"
    )
    gates = read_gates(file)
    assert gates.not_shown == "fail"
    assert (gates.int8.usual_points, gates.int8.fail_points) == (0.3, 2.0)
    assert gates.float16 == ACCURACY_GATES["float16"]
    assert gates.accuracy.least_top1 == 0.75
    assert gates.speed.largest_p90_ms == 20.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[int8]\ndrop = 1", "unknown key 'int8.drop'; expected one of int8.usual_points"),
        ("[int4]\nfail_points = 1", "unknown key 'int4'"),
        ("[int8]\nfail_points = 0.1", "expected 0 <= usual <= warn <= fail"),
        ("[int8]\nfail_points = 'much'", "expected float"),
        ("int8 = 3", "expected an object"),
        ("[int8]\nfail_points = nan", "expected a finite number"),
        ("not_shown = 'maybe'", "expected 'warn' or 'fail'"),
        ("[accuracy]\nleast_top1 = 75", "expected a share from 0 to 1"),
        ("[speed]\nlargest_p90_ms = -1", "expected numbers from 0 up"),
        ("[int8", "is no TOML file"),
        ("[int8]\n[int8]", "is no TOML file"),
    ],
)
def test_nonsense_is_one_line_that_names_the_file_and_the_place(tmp_path, text, said):
    file = tmp_path / "gates.toml"
    file.write_text(text)
    with pytest.raises(OptionError) as raised:
        read_gates(file)
    message = str(raised.value)
    assert said in message
    assert "gates.toml" in message
    assert "\n" not in message


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(OptionError, match="cannot read"):
        read_gates(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match="is no TOML file"):
        read_gates(tmp_path / "binary.toml")
