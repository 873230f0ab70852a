from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from export.weights.unwrap import EMA_COPIES, PREFIXES, WRAPPERS, unwrap
from runtime.errors import CheckpointError

FILE = Path("weights.pth")
WEIGHTS = {
    "conv1.weight": torch.zeros(4, 3, 7, 7),
    "layer1.0.bn1.running_var": torch.ones(4),
    "fc.bias": torch.arange(2.0),
}
AVERAGE = {name: value + 1 for name, value in WEIGHTS.items()}


def prefixed(weights: dict[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    return {".".join([*prefixes, name]): value for name, value in weights.items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[k], second[k]) for k in first)


def refusal(document: object, *, ema: bool = False) -> str:
    with pytest.raises(CheckpointError) as raised:
        unwrap(document, FILE, ema=ema)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@given(
    wrappers=st.lists(st.sampled_from(WRAPPERS), max_size=3),
    prefixes=st.lists(st.sampled_from(sorted(PREFIXES)), max_size=4),
    beside=st.dictionaries(
        st.sampled_from(["epoch", "optimizer", "best_acc1", "args", "lr_scheduler"]),
        st.one_of(st.integers(), st.floats(), st.none(), st.dictionaries(st.text(), st.integers())),
    ),
)
def test_any_wrapper_around_any_prefix_leaves_the_weights(wrappers, prefixes, beside) -> None:
    document: dict[str, object] = dict(prefixed(WEIGHTS, *prefixes))
    for wrapper in wrappers:
        document = {**beside, wrapper: document}
    unwrapped = unwrap(document, FILE)
    assert same(unwrapped.weights, WEIGHTS)
    assert unwrapped.place == "".join(f"['{key}']" for key in reversed(wrappers))
    assert (unwrapped.averaged, unwrapped.left) == (False, "")


@given(
    position=st.integers(0, 3),
    prefix=st.sampled_from(sorted(PREFIXES)),
    name=st.sampled_from(["layer1.0.bn1.running_var", "layer3.5.downsample.0.weight"]),
)
def test_a_prefix_before_a_part_of_the_network_is_dropped_too(position, prefix, name) -> None:
    parts = name.split(".")
    parts.insert(position, prefix)
    assert list(unwrap({".".join(parts): torch.zeros(1)}, FILE).weights) == [name]


def test_a_head_beside_a_backbone_is_one_network() -> None:
    document = {
        **prefixed({"conv1.weight": WEIGHTS["conv1.weight"]}, "model", "backbone"),
        "model.fc.bias": WEIGHTS["fc.bias"],
    }
    assert list(unwrap(document, FILE).weights) == ["conv1.weight", "fc.bias"]


@pytest.mark.parametrize("copy", EMA_COPIES)
@pytest.mark.parametrize("flat", [False, True], ids=["documents", "prefixes"])
def test_an_average_is_taken_when_asked_for_and_told_of_when_not(copy: str, flat) -> None:
    average = prefixed(AVERAGE, "module")
    document = (
        {**prefixed(WEIGHTS, "model"), **prefixed(average, copy)}
        if flat
        else {"model": WEIGHTS, copy: {**average, "n_averaged": torch.tensor(9)}, "epoch": 3}
    )
    plain, averaged = unwrap(document, FILE), unwrap(document, FILE, ema=True)
    assert same(plain.weights, WEIGHTS)
    assert (plain.averaged, plain.left) == (False, copy)
    assert same(averaged.weights, AVERAGE)
    assert averaged.averaged
    assert averaged.left == ("the weights" if flat else "model")


def test_an_average_alone_is_taken_and_said() -> None:
    unwrapped = unwrap({"state_dict_ema": AVERAGE}, FILE)
    assert same(unwrapped.weights, AVERAGE)
    assert (unwrapped.averaged, unwrapped.left) == (True, "")


def test_an_average_that_is_not_there_is_refused() -> None:
    assert "holds no average over steps (EMA); leave --ema out" in refusal(WEIGHTS, ema=True)


def test_two_networks_in_one_file_are_refused_by_both_names() -> None:
    assert "under 'model' and under 'net'" in refusal({"model": WEIGHTS, "net": AVERAGE})


def test_a_tensor_that_is_there_twice_is_refused_by_both_names() -> None:
    document = {**WEIGHTS, **prefixed(WEIGHTS, "module")}
    assert "'conv1.weight' twice, as 'conv1.weight' and as 'module.conv1" in refusal(document)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"state_dict": {}}, "holds nothing"),
        ({"state_dict": [1]}, "a value of type list under 'state_dict'"),
        ({"model": {"fc.weight": torch.zeros(2), "epoch": 3}}, "a value of type int under 'epoch'"),
        (None, "holds nothing"),
    ],
)
def test_what_is_no_state_dict_is_told_by_what_it_is(document, expected: str) -> None:
    assert expected in refusal(document)


def test_what_a_profiler_counted_is_no_weight() -> None:
    counted = {"total_ops": torch.zeros(1), "layer1.0.conv1.total_params": torch.zeros(1)}
    assert same(unwrap({**counted, **WEIGHTS}, FILE).weights, WEIGHTS)


# PyTorch advises against making them; files that hold them are there.
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_quantized_weights_are_called_that() -> None:
    rounded = torch.quantize_per_tensor(WEIGHTS["conv1.weight"], 0.1, 0, torch.qint8)
    expected = "'weights.pth' is quantized already, at '{}'; expected the float32 weights"
    assert expected.format("conv1.weight") in refusal({**WEIGHTS, "conv1.weight": rounded})
    linear = {"fc._packed_params.dtype": torch.qint8, "fc._packed_params._packed_params": ()}
    assert expected.format("fc._packed_params.dtype") in refusal({**WEIGHTS, **linear})
