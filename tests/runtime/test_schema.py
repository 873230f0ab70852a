import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BundleError, OptionError
from runtime.schema import from_json, to_json


@dataclass(frozen=True)
class Inner:
    name: str
    ratio: float = 1.0

    def __post_init__(self):
        if self.ratio < 0:
            raise OptionError(f"given ratio {self.ratio}; expected 0 or more")


@dataclass(frozen=True)
class Outer:
    count: int
    flag: bool
    inner: Inner
    maybe: str | None
    many: tuple[int, ...]
    pair: tuple[str, float]
    named: dict[str, Inner]


GOOD = Outer(
    count=3,
    flag=True,
    inner=Inner("ä", 0.1),
    maybe=None,
    many=(1, 2),
    pair=("x", 2.5),
    named={"猫": Inner("b")},
)


def document(**changes):
    return json.dumps({**json.loads(to_json(GOOD)), **changes}).encode()


def test_what_is_written_is_read_again():
    assert from_json(Outer, to_json(GOOD), "file") == GOOD


def test_json_ends_in_a_newline_and_keeps_letters_as_they_are():
    assert to_json(GOOD).endswith(b"}\n")
    assert "猫".encode() in to_json(GOOD)


def test_field_with_a_default_may_be_missing():
    assert from_json(Inner, b'{"name": "x"}', "file") == Inner("x", 1.0)


def test_whole_number_will_do_for_a_float():
    assert from_json(Inner, b'{"name": "x", "ratio": 2}', "file") == Inner("x", 2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": "3"}, 'file: count: given "3"; expected int'),
        ({"count": True}, "file: count: given true; expected int"),
        ({"count": 3.0}, "file: count: given 3.0; expected int"),
        ({"flag": 1}, "file: flag: given 1; expected bool"),
        ({"inner": []}, r"file: inner: given \[\]; expected an object"),
        ({"inner": {}}, "file: inner lacks 'name'"),
        ({"inner": {"name": "x", "nam": 1}}, "file: inner has unknown key 'nam'"),
        ({"inner": {"name": "x", "ratio": "1"}}, "file: inner: ratio: .* expected float"),
        ({"inner": {"name": "x", "ratio": -1}}, "file: inner: given ratio -1.0; expected 0"),
        ({"inner": {"name": "x", "ratio": 10**400}}, "expected a finite number"),
        ({"maybe": 1}, "file: maybe: given 1; expected str"),
        ({"many": {}}, "file: many: given {}; expected a list"),
        ({"many": [1, "2"]}, 'file: many: 1: given "2"; expected int'),
        ({"pair": ["x"]}, "file: pair: .* expected 2 values"),
        ({"pair": ["x", 1.0, 2.0]}, "file: pair: .* expected 2 values"),
        ({"named": {"k": {}}}, "file: named: k lacks 'name'"),
        ({"extra": 1}, "file has unknown key 'extra'"),
    ],
)
def test_what_does_not_fit_is_named_by_its_place(changes, message):
    with pytest.raises(BundleError, match=message):
        from_json(Outer, document(**changes), "file")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"name": "x"',
        b"\xff\xfe\x00",
        b'{"name": "x", "ratio": NaN}',
        b'{"name": "x", "ratio": -Infinity}',
        b'{"name": "x", "name": "y"}',
        b"[" * 100_000,
        b'{"name": "x", "ratio": ' + b"1" * 5000 + b"}",
    ],
)
def test_what_is_no_json_is_refused(data):
    with pytest.raises(BundleError, match="file is not valid JSON"):
        from_json(Inner, data, "file")


def test_number_beyond_a_double_is_refused():
    with pytest.raises(BundleError, match=r"file: ratio: .* expected a finite number"):
        from_json(Inner, b'{"name": "x", "ratio": 1e999}', "file")


TEXT = st.binary(max_size=8).map(lambda data: data.decode("latin-1"))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)
FIELDS = st.sampled_from(["count", "flag", "inner", "maybe", "many", "pair", "named"])


@given(st.dictionaries(FIELDS, ANY_JSON, max_size=2))
def test_any_json_gives_the_dataclass_or_an_error_of_ours(changes):
    try:
        value = from_json(Outer, document(**changes), "file")
    except BundleError:
        return
    assert from_json(Outer, to_json(value), "file") == value


@given(st.binary())
def test_bytes_at_random_give_an_error_of_ours(data):
    with pytest.raises(BundleError):
        from_json(Outer, data, "file")
