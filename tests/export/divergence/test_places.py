"""Where a graph and its module can be laid side by side."""

import onnx_ir as ir
import pytest
import torch
from torch import nn

from export.divergence.listen import Listener, norms_behind
from export.divergence.places import find_places, nearest_before
from export.fold import fold
from export.recipes import float32
from runtime.errors import TraceError
from runtime.terminal import Screen


@pytest.fixture(scope="module")
def graph(resnet18):
    return float32(fold(resnet18), 18, Screen(quiet=True)).graph


def test_borders_are_stem_blocks_and_head(resnet18, graph):
    borders = [place.module for place in find_places(resnet18.module, graph) if place.border]
    blocks = [f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2)]
    assert borders == ["conv1", "maxpool", *blocks, "avgpool", "fc"]


def test_inside_of_blocks_are_all_layers_with_weights(resnet18, graph):
    inside = {place.module for place in find_places(resnet18.module, graph) if not place.border}
    layers = {n for n, m in resnet18.module.named_modules() if isinstance(m, nn.Conv2d)}
    assert inside == layers - {"conv1"}


def test_a_block_is_computed_from_both_its_branches(resnet18, graph):
    places = {place.module: place.tensor for place in find_places(resnet18.module, graph)}
    before = nearest_before(graph, places.values())
    branches = {places["layer2.0.conv2"], places["layer2.0.downsample.0"]}
    assert set(before[places["layer2.0"]]) == branches
    assert before[places["conv1"]] == ()


def test_a_convolution_is_known_by_the_norm_that_reads_it(resnet18):
    behind = norms_behind(resnet18.module, torch.zeros(1, 3, 32, 32).numpy())
    assert behind["layer2.0.conv2"] == "layer2.0.bn2"
    assert behind["layer2.0.downsample.0"] == "layer2.0.downsample.1"


def test_what_an_inplace_relu_overwrites_was_heard_before():
    module = nn.Sequential(nn.BatchNorm2d(1), nn.ReLU(inplace=True)).eval()
    with Listener(module, {"norm": "0", "relu": "1"}, torch.float64) as listener:
        heard = listener.run(torch.tensor([[[[-1.0, 1.0]]]]).numpy())
    assert heard["norm"].min() < 0
    assert heard["relu"].min() == 0


def test_images_the_module_cannot_take_are_one_line():
    module = nn.Sequential(nn.Conv2d(3, 1, 3)).eval()
    with (
        Listener(module, {}, torch.float64) as listener,
        pytest.raises(TraceError, match="1x1x8x8"),
    ):
        listener.run(torch.zeros(1, 1, 8, 8).numpy())


def test_a_graph_that_shares_no_name_has_no_places(resnet18):
    graph = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[n, 3] images) => (float[n, 3] logits) { logits = Relu (images) }
    """)
    assert find_places(resnet18.module, graph) == ()
