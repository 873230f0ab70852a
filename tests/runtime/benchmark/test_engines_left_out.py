"""Where no GPU answers, engines are left out of what measures everything, and refused by name."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from runtime.benchmark.bench import bench
from runtime.benchmark.plan import Plan
from runtime.cuda.gpu import find_gpu
from runtime.engines.engine import describe_engine
from runtime.engines.options import EngineOptions
from runtime.errors import BackendError
from runtime.evaluation.dataset import open_dataset
from runtime.evaluation.evaluate import Request, evaluate
from runtime.manifest import Engine
from runtime.schema import to_json
from runtime.terminal import Screen

# A plan's first bytes, as far as its header goes, and no plan behind them.
PLAN = b"ftrt" + bytes(20) + bytes([10, 3, 0, 0]) + bytes(100)
ENGINE = Engine(file="fp32-trt.plan", variant="fp32")
QUIET = Screen(quiet=True)
pytestmark = pytest.mark.skipif(find_gpu() is not None, reason="there is a GPU to run it")


@pytest.fixture(scope="module")
def bundle(publish_tiny, tmp_path_factory):
    """Return a bundle with an engine that is described as it should be."""

    def add_files(files):
        info = describe_engine(
            PLAN, files["model.onnx"], EngineOptions(), "10.3.0", {"float32": 1.0}, 1.0
        )
        files[ENGINE.file], files[ENGINE.info_file] = PLAN, to_json(info)

    return publish_tiny(
        tmp_path_factory.mktemp("engine") / "tiny",
        change_files=add_files,
        change_manifest=lambda manifest: dataclasses.replace(
            manifest, engines={"fp32-trt": ENGINE}
        ),
    )


def test_bench_leaves_out_an_engine_and_says_why(bundle, machine, hurry, capsys):
    found = bench(bundle, Plan(batches=(1,), pace=hurry), machine, QUIET)
    assert [each.case.name for each in found.measurements] == ["fp32"]
    assert "needs an NVIDIA GPU" in found.left_out["fp32-trt"]
    assert "warning: left out: fp32-trt: " in capsys.readouterr().err
    with pytest.raises(BackendError, match="needs an NVIDIA GPU"):
        bench(bundle, Plan(engines=("fp32-trt",), pace=hurry), machine, QUIET)


def test_evaluate_leaves_out_an_engine_and_says_why(bundle, tmp_path, capsys):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "data.csv").write_text("a.png,cat\n")
    data, output = open_dataset(tmp_path / "data.csv"), tmp_path / "e.json"
    found = evaluate(bundle, data, Request(), output, QUIET)
    assert list(found.variants) == ["fp32"]
    assert "needs an NVIDIA GPU" in found.left_out["fp32-trt"]
    assert "warning: engine fp32-trt is left out: " in capsys.readouterr().err
    with pytest.raises(BackendError, match="needs an NVIDIA GPU"):
        evaluate(bundle, data, Request(engines=("fp32-trt",)), output, QUIET)
