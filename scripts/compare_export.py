"""Compares `python -m export NAME --onnx` with the same work by hand, and with optimum, in one run.

By hand is what a careful engineer types without this project: torchvision's model,
torch.onnx.export(dynamo=True), onnxsim, the ONNX checker, and allclose on one shape. Optimum
exports the same architecture from a local folder, by TorchScript, without simplification; it needs
an environment of its own (optimum-onnx with onnxruntime, and torch), named by --optimum-python.

Each measurement is a whole process, its imports included. The contestants take turns, so that a
drifting machine favours none; the median of the rounds counts. Memory is the resident peak of the
largest process of each contestant.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scripts.contestant import Contestant

BY_HAND = """
import sys, numpy as np, onnx, onnxruntime, onnxsim, torch, torchvision
name, path = sys.argv[1:]
module = getattr(torchvision.models, name)().eval()
images = torch.randn(2, 3, 224, 224)
free = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
torch.onnx.export(module, (images,), path, dynamo=True, dynamic_shapes=(free,),
                  input_names=["images"], output_names=["logits"])
simplified, ok = onnxsim.simplify(onnx.load(path))
assert ok
onnx.checker.check_model(simplified)
onnx.save(simplified, path)
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
with torch.inference_mode():
    expected = module(images).numpy()
assert np.allclose(session.run(None, {"images": images.numpy()})[0], expected, 1e-3, 1e-4)
"""

OPTIMUM_MODEL = """
import sys, transformers
depths = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}[sys.argv[1]]
basic = sys.argv[1] == "resnet18"
config = transformers.ResNetConfig(
    depths=list(depths), layer_type="basic" if basic else "bottleneck",
    hidden_sizes=[64, 128, 256, 512] if basic else [256, 512, 1024, 2048], num_labels=1000)
transformers.ResNetForImageClassification(config).save_pretrained(sys.argv[2])
transformers.ConvNextImageProcessor().save_pretrained(sys.argv[2])
"""


def contestants(name: str, folder: Path, optimum_python: Path | None) -> list[Contestant]:
    """Return everyone who exports the named model into the folder, ours first."""
    ours = [sys.executable, "-m", "export", name, "--onnx", "--output", str(folder / "ours")]
    by_hand = [sys.executable, "-c", BY_HAND, name, str(folder / "by_hand.onnx")]
    found = [Contestant("resnet-deploy", ours), Contestant("by hand", by_hand)]
    if optimum_python is not None:
        source = str(folder / "optimum-source")
        subprocess.run(
            [optimum_python, "-c", OPTIMUM_MODEL, name, source], check=True, capture_output=True
        )
        cli = optimum_python.with_name("optimum-cli")
        options = ["--task", "image-classification", "--model", source, str(folder / "optimum")]
        found.append(Contestant("optimum", [str(cli), "export", "onnx", *options]))
    return found


def compare(name: str, rounds: int, optimum_python: Path | None) -> list[Contestant]:
    """Return all contestants after the given number of rounds."""
    with tempfile.TemporaryDirectory() as folder:
        everyone = contestants(name, Path(folder), optimum_python)
        for _ in range(rounds):
            for contestant in everyone:
                contestant.run()
    return everyone


def main(
    names: Annotated[list[str] | None, typer.Argument(help="[default: resnet18 resnet50]")] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    optimum_python: Annotated[
        Path | None, typer.Option(help="The interpreter of an environment with optimum-onnx.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Compare the export of each named model."""
    table = Table("model", "by", "seconds", "ours / theirs", "peak MiB", title="whole process")
    document = {}
    for name in names or ["resnet18", "resnet50"]:
        everyone = compare(name, rounds, optimum_python)
        ours = statistics.median(everyone[0].seconds)
        document[name] = [vars(contestant) for contestant in everyone]
        for contestant in everyone:
            seconds = statistics.median(contestant.seconds)
            cells = (f"{seconds:.1f}", f"{ours / seconds:.2f}", f"{contestant.peak_mib:.0f}")
            table.add_row(name, contestant.name, *cells)
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        Console().print(table)


if __name__ == "__main__":
    typer.run(main)
