import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPORT_SIDE = {"torch", "torchvision", "onnx", "onnx_ir", "onnxscript", "onnxsim", "export"}
BACKENDS = {"onnxruntime", "tensorrt", "tensorrt_rtx", "PIL", "rich"}

PROBE = """
import sys
{code}
print(sorted({suspects!r} & set(sys.modules)))
"""


def loaded(code, suspects):
    """Return which of the suspects a fresh interpreter has loaded after the code."""
    probe = PROBE.format(code=code, suspects=suspects)
    run = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return run.stdout.splitlines()[-1]


MODULES = [
    "bundle",
    "verification.show",
    "verification.verify",
    "classify",
    "classify_images",
    "cli",
    "publishing.publish",
    "open_runner",
    "evaluation.evaluate",
    "benchmark.run_benchmark",
    "benchmark.worker",
    "show_classified",
]


@pytest.mark.parametrize("module", ["runtime", *(f"runtime.{name}" for name in MODULES)])
def test_importing_loads_no_backend_and_nothing_of_export(module):
    assert loaded(f"import {module}", EXPORT_SIDE | BACKENDS) == "[]"


def test_bundle_is_read_without_numpy(tiny_bundle):
    code = "from runtime.bundle import Bundle\nfrom pathlib import Path\n"
    code += f"Bundle.load(Path({str(tiny_bundle.folder)!r})).read('model.onnx')"
    assert loaded(code, {"numpy"}) == "[]"


@pytest.mark.parametrize(
    "argv",
    [["classify", "{bundle}", "{image}"], ["verify", "{bundle}"], ["verify", "{bundle}", "--json"]],
)
def test_whole_command_loads_onnxruntime_but_nothing_of_export(tiny_bundle, photographs, argv):
    argv = [part.format(bundle=tiny_bundle.folder, image=photographs[0]) for part in argv]
    code = f"from runtime.cli import main\nassert main({argv!r}) == 0"
    assert loaded(code, EXPORT_SIDE | {"onnxruntime", "rich"}) == "['onnxruntime']"


def test_probe_sees_what_is_loaded():
    assert loaded("import runtime.onnx_runner", BACKENDS) == "['onnxruntime']"
