import pytest
import torch

from export.models.catalogue import find
from export.training.recipes import RECIPES, Pace, recipe
from export.training.stages import stages
from runtime.errors import OptionError

RESNET18 = find("resnet18").build(classes=2, channels=1)
ALL = frozenset(stages(RESNET18))
PACE = Pace(batch=32)


def test_freeze_trains_the_head_first_and_then_everything():
    plan = recipe("freeze", RESNET18, Pace(batch=32, stage_epochs=3))
    assert [plan.learning(epoch) == {"fc"} for epoch in range(5)] == [True] * 3 + [False] * 2
    assert plan.learning(3) == plan.learning(99) == ALL
    assert isinstance(plan.optimizer(RESNET18), torch.optim.Adam)
    assert plan.weight_decay == 1e-4
    assert plan.rates == {
        "conv1": 5e-4,
        "bn1": 5e-4,
        "layer1": 5e-4,
        "layer2": 2.5e-4,
        "layer3": 1.25e-4,
        "layer4": 1.25e-4,
        "fc": 1e-3,
    }


def test_discriminative_trains_everything_at_a_rate_per_stage():
    plan = recipe("discriminative", RESNET18, PACE)
    assert plan.learning(0) == ALL
    assert isinstance(plan.optimizer(RESNET18), torch.optim.AdamW)
    found = {stage: plan.rates[stage] for stage in ("layer1", "layer2", "layer3", "layer4", "fc")}
    assert found == {"layer1": 5e-4, "layer2": 3e-4, "layer3": 2e-4, "layer4": 2e-4, "fc": 1e-3}


def test_gradual_adds_a_stage_every_few_epochs_from_the_last_to_the_first():
    plan = recipe("gradual", RESNET18, PACE)
    new = [plan.learning(epoch) - plan.learning(epoch - 1) for epoch in range(2, 13, 2)]
    assert plan.learning(0) == plan.learning(1) == {"fc"}
    assert new == [{"layer4"}, {"layer3"}, {"layer2"}, {"layer1"}, {"conv1", "bn1"}, set()]


def test_an_adapter_learns_with_the_head():
    card = find("resnet18")
    module = card.build(classes=2, channels=3, adapter=torch.nn.Conv2d(1, 3, 1, bias=False))
    for name in ("freeze", "gradual"):
        plan = recipe(name, module, PACE)
        assert plan.learning(0) == {"adapter", "fc"}
        assert plan.rates["adapter"] == plan.rates["fc"] == 1e-3


def test_scratch_trains_everything_at_a_rate_in_proportion_to_the_batch():
    plan = recipe("scratch", RESNET18, Pace(batch=256))
    assert set(plan.rates.values()) == {0.1}
    assert set(recipe("scratch", RESNET18, Pace(batch=64)).rates.values()) == {0.025}
    optimizer = plan.optimizer(RESNET18)
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["momentum"] == 0.9
    assert plan.weight_decay == 1e-4


def test_a_given_rate_is_that_of_the_head_and_the_others_keep_their_proportion():
    plan = recipe("discriminative", RESNET18, Pace(batch=32, rate=1e-2, weight_decay=0.5))
    assert plan.rates["fc"] == pytest.approx(1e-2)
    assert plan.rates["layer2"] == pytest.approx(3e-3)
    assert plan.optimizer(RESNET18).param_groups[0]["weight_decay"] == 0.5


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_frozen_for_good_never_learns(name):
    plan = recipe(name, RESNET18, Pace(batch=32, freeze_first=4))
    learnt = frozenset().union(*(plan.learning(epoch) for epoch in range(100)))
    assert learnt == {"layer3", "layer4", "fc"}


@pytest.mark.parametrize(
    ("name", "pace", "message"),
    [
        ("sgd", {}, "given 'sgd'; expected one of freeze, discriminative, gradual, scratch"),
        ("freeze", {"freeze_first": 7}, "given 7; expected at most 6, or nothing is left"),
        ("freeze", {"freeze_first": -1}, "given -1; expected 0 or more"),
        ("freeze", {"stage_epochs": 0}, "given 0; expected 1 or more"),
        ("freeze", {"batch": 1}, "batch: given 1; expected 2"),
        ("freeze", {"rate": 0.0}, "learning rate: given 0; expected above 0"),
        ("freeze", {"rate": float("nan")}, "learning rate: given nan"),
        ("freeze", {"weight_decay": 1.0}, "weight decay: given 1; expected 0 to below 1"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(name, pace, message):
    with pytest.raises(OptionError, match=message):
        recipe(name, RESNET18, Pace(**{"batch": 32, **pace}))
