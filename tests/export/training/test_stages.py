import pytest
import torch
from torch import nn

from export.models.catalogue import find
from export.models.resnet import ResNet
from export.training.stages import parameter_groups, set_learning, stages


@pytest.fixture
def module() -> ResNet:
    return find("cifar_resnet20").build(classes=3, channels=1)


def test_stages_are_named_from_the_input_to_the_head(module):
    assert stages(module) == ("conv1", "bn1", "layer1", "layer2", "layer3", "fc")
    resnet = find("resnet18").build(classes=2, channels=3)
    assert stages(resnet)[2:6] == ("layer1", "layer2", "layer3", "layer4")


def test_every_parameter_is_in_one_group_with_the_rate_of_its_stage(module):
    rates = {name: 0.1 * number for number, name in enumerate(stages(module), start=1)}
    groups = parameter_groups(module, rates)
    grouped = [id(value) for group in groups for value in group["params"]]
    assert sorted(grouped) == sorted(id(value) for value in module.parameters())
    of_group = {id(value): group["lr"] for group in groups for value in group["params"]}
    for name, value in module.named_parameters():
        assert of_group[id(value)] == rates[name.split(".")[0]]


def test_norms_and_biases_do_not_decay(module):
    groups = parameter_groups(module, dict.fromkeys(stages(module), 0.1))
    optimizer = torch.optim.SGD(groups, weight_decay=0.5)
    decay = {
        id(v): group["weight_decay"] for group in optimizer.param_groups for v in group["params"]
    }
    for name, value in module.named_parameters():
        kernel = "conv" in name or name == "fc.weight"
        assert decay[id(value)] == (0.5 if kernel else 0.0), name


def test_frozen_stages_do_not_learn_and_keep_their_statistics(module):
    set_learning(module, {"layer3", "fc"}, keep_statistics=False)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    nn.functional.cross_entropy(
        module(torch.randn(4, 1, 8, 8)), torch.tensor([0, 1, 2, 0])
    ).backward()
    optimizer.step()
    changed = {name for name, value in module.state_dict().items() if not value.equal(before[name])}
    assert {name.split(".")[0] for name in changed} == {"layer3", "fc"}
    assert any("running_mean" in name for name in changed)


def test_kept_statistics_stay_while_the_kernels_learn(module):
    set_learning(module, stages(module), keep_statistics=True)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    nn.functional.cross_entropy(
        module(torch.randn(4, 1, 8, 8)), torch.tensor([0, 1, 2, 0])
    ).backward()
    optimizer.step()
    same = {name for name, value in module.state_dict().items() if value.equal(before[name])}
    assert {name for name in before if "running" in name or "tracked" in name} <= same
    assert "layer1.0.conv1.weight" not in same
    assert "layer1.0.bn1.weight" not in same


def test_a_stage_that_was_frozen_learns_again(module):
    set_learning(module, {"fc"}, keep_statistics=False)
    set_learning(module, stages(module), keep_statistics=False)
    assert all(value.requires_grad for value in module.parameters())
    assert all(layer.training for layer in module.modules() if isinstance(layer, nn.BatchNorm2d))
