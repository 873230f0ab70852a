import pytest

from runtime.errors import VerdictError
from runtime.precision import PrecisionPromise, judge_precision, shares


def promise(macs):
    return PrecisionPromise(height=224, width=224, macs=macs)


def test_shares_are_parts_of_all_work():
    assert shares({"int8": 3, "float16": 1}) == {"int8": 0.75, "float16": 0.25}


def test_an_engine_that_runs_as_its_graph_says_leaves_nothing_to_say():
    assert judge_precision(promise({"int8": 98, "float16": 2}), {"int8": 98, "float16": 2}) == ""


def test_a_little_in_a_wider_precision_is_tensorrts_to_choose():
    assert judge_precision(promise({"int8": 1000}), {"int8": 992, "float16": 8}) == ""


def test_an_engine_that_quietly_runs_wider_fails():
    with pytest.raises(VerdictError, match=r"runs 40.0% .* in int8; the graph promises 98.0%"):
        judge_precision(promise({"int8": 98, "float16": 2}), {"int8": 40, "float16": 60})


def test_work_that_the_inspector_does_not_show_is_neither_proof_nor_disproof():
    note = judge_precision(promise({"int8": 90, "float16": 10}), {"int8": 50, "float16": 10})
    assert note == "TensorRT's inspector does not show where the promised 40.0% in int8 run"


def test_float32_is_no_promise_that_can_be_broken():
    assert judge_precision(promise({"float32": 100}), {"float16": 100}) == ""
