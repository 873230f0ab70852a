import pytest
import torch

from export.training.arithmetic import choose_arithmetic
from runtime.errors import OptionError


def test_auto_is_bfloat16_exactly_where_the_cpu_multiplies_in_it():
    chosen = choose_arithmetic("auto")
    assert chosen.bfloat16 == bool(chosen.instructions)
    if chosen.instructions:
        assert torch.cpu.get_capabilities()[chosen.instructions]
        assert chosen.instructions in str(chosen)


def test_what_is_asked_for_is_what_is_used():
    assert not choose_arithmetic("float32").bfloat16
    assert str(choose_arithmetic("float32")) == "float32"
    assert choose_arithmetic("bfloat16").bfloat16


def test_an_unknown_precision_is_refused():
    with pytest.raises(OptionError, match="given 'fp16'; expected one of auto, float32, bfloat16"):
        choose_arithmetic("fp16")
