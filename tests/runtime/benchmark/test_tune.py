import dataclasses

import numpy as np
import pytest
from PIL import Image

from runtime.benchmark.plan import Plan
from runtime.benchmark.tune import Floor, find_floor, tune, widen
from runtime.errors import OptionError
from runtime.evaluation.dataset import open_dataset
from runtime.evaluation.evaluate import Request, evaluate
from runtime.results_file import results_path
from runtime.terminal import Screen

ANY = Floor(top1={"fp32": 0.9, "fp16": 0.9, "int8.cpu": 0.9}, engines=(), floor=0.9, reason="")


def chosen(found, goal, floor=ANY):
    tuning = tune(found, goal, floor)
    return tuning.variant, tuning.threads, tuning.batch


def test_latency_is_the_fastest_at_batch_one_and_throughput_at_any(make_benchmark):
    found = make_benchmark(
        ("fp32", 1, 1, 10.0), ("fp32", 2, 1, 6.0), ("fp32", 2, 8, 40.0), ("fp16", 2, 1, 7.0)
    )
    assert chosen(found, "latency") == ("fp32", 2, 1)
    assert chosen(found, "throughput") == ("fp32", 2, 8)


def test_of_equally_fast_ones_fewest_threads_and_smallest_batch_win(make_benchmark):
    found = make_benchmark(
        ("fp32", 4, 8, 40.0), ("fp32", 2, 8, 40.5), ("fp32", 2, 16, 80.4), ("fp32", 1, 8, 42.0)
    )
    assert chosen(found, "throughput") == ("fp32", 2, 8)


def test_what_is_below_the_floor_is_not_chosen_however_fast(make_benchmark):
    found = make_benchmark(("fp32", 1, 1, 10.0), ("int8.cpu", 1, 1, 2.0))
    assert chosen(found, "latency")[0] == "int8.cpu"
    only = dataclasses.replace(ANY, top1={"fp32": 0.9})
    assert chosen(found, "latency", only)[0] == "fp32"
    with pytest.raises(OptionError, match="nothing that was measured may be chosen"):
        chosen(make_benchmark(("int8.cpu", 1, 1, 2.0)), "latency", only)


def test_oracle_is_never_chosen_on_a_processor(make_benchmark, machine):
    floor = dataclasses.replace(ANY, top1={"fp32": 0.9, "int8.trt": 0.9})
    found = make_benchmark(("fp32", 1, 1, 10.0), ("int8.trt", 1, 1, 2.0))
    assert chosen(found, "latency", floor)[0] == "fp32"
    assert widen(Plan(), "latency", floor, machine).variants == ("fp32",)


def test_what_is_left_open_is_tried_and_what_is_named_is_kept(machine):
    two = dataclasses.replace(machine, cores=6, quota=0.0)
    plan = widen(Plan(), "throughput", ANY, two)
    assert plan.threads == (1, 2, 4, 6)
    assert plan.variants == ("fp32", "fp16", "int8.cpu")
    assert 1 in plan.batches
    assert max(plan.batches) > 8
    assert widen(Plan(), "latency", ANY, two).batches == (1,)
    assert widen(Plan(), "latency", ANY, dataclasses.replace(two, quota=1.5)).threads == (1, 2)
    own = Plan(variants=("fp16",), threads=(3,), batches=(7,))
    assert widen(own, "throughput", ANY, two) == own


@pytest.fixture(scope="module")
def evaluated(publish_tiny, tmp_path_factory):
    """Return a bundle whose bad variant answers another class, and its evaluation's file."""
    import onnx
    from onnx import numpy_helper

    def add_file(files):
        model = onnx.load_from_string(files["model.onnx"])
        weight = next(each for each in model.graph.initializer if each.name == "w3")
        spoilt = np.roll(numpy_helper.to_array(weight), 1, axis=0)
        weight.CopyFrom(numpy_helper.from_array(spoilt, "w3"))
        files["model.int8.cpu.onnx"] = model.SerializeToString()
        files["model.fp16.onnx"] = files["model.onnx"]

    def add_variants(manifest):
        base = manifest.variants["fp32"]
        more = {
            name: dataclasses.replace(base, file=f"model.{name}.onnx")
            for name in ("fp16", "int8.cpu")
        }
        return dataclasses.replace(manifest, variants={"fp32": base, **more})

    folder = tmp_path_factory.mktemp("evaluated")
    bundle = publish_tiny(folder / "tiny", change_files=add_file, change_manifest=add_variants)
    for number in range(4):
        pixels = np.full((20, 20, 3), 60 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    output = results_path(bundle.folder, "evaluation")
    data = folder / "data.csv"
    data.write_text("".join(f"{number}.png,0\n" for number in range(4)))
    first = evaluate(bundle, open_dataset(data), Request(), output, Screen(quiet=True))
    answers = [row[1] for row in first.variants["fp32"].confusion for _ in range(row[2])]
    # Said to show what fp32 answers most often; the spoilt variant answers the class after it.
    data.write_text("".join(f"{number}.png,{answers[0]}\n" for number in range(4)))
    evaluate(bundle, open_dataset(data), Request(), output, Screen(quiet=True))
    return bundle, output


def test_floor_is_a_little_below_fp32_unless_given(evaluated):
    bundle, file = evaluated
    assert set(find_floor(bundle, file, -1.0).top1) == {"fp32", "fp16"}
    assert set(find_floor(bundle, file, 0.0).top1) == {"fp32", "fp16", "int8.cpu"}


def test_floor_that_nothing_reaches_or_that_is_no_share_is_refused(evaluated):
    bundle, file = evaluated
    with pytest.raises(OptionError, match=r"expected a share of 0 to 1, perhaps 0\.813"):
        find_floor(bundle, file, 81.3)
    fp32 = find_floor(bundle, file, -1.0).top1["fp32"]
    if fp32 < 1:
        with pytest.raises(OptionError, match="nothing reaches a top-1 of 1"):
            find_floor(bundle, file, 1.0)


def test_without_an_evaluation_only_fp32_is_chosen_and_no_floor_holds(evaluated, tmp_path):
    bundle, _ = evaluated
    floor = find_floor(bundle, tmp_path / "none.json", -1.0)
    assert list(floor.top1) == ["fp32"]
    assert "only fp32, because there is no 'none.json'" in floor.reason
    with pytest.raises(OptionError, match="needs an evaluation"):
        find_floor(bundle, tmp_path / "none.json", 0.5)


def test_evaluation_of_other_models_says_nothing(evaluated, tiny_bundle, publish_tiny, tmp_path):
    _, file = evaluated
    other = publish_tiny(tmp_path / "other", seed=5)
    with pytest.raises(OptionError, match="does not tell of this bundle's fp32"):
        find_floor(other, file, -1.0)
