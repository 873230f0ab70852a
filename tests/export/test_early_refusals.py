"""What words or a look at a file show to be wrong is told before PyTorch and onnx are imported."""

import os
import subprocess
import sys

REFUSED = {
    "resnet5O --onnx": "did you mean resnet50",
    "resnet18 --onnx --edge toaster": "--edge: given 'toaster'",
    "resnet18 --onnx --edge jetson --opset 23": "its TensorRT reads up to 19",
    "resnet18 --onnx --rtx sm5": "target: given 'sm5'",
    "resnet18 --onnx --profile 1:8:32": "--profile: given without engines",
    "resnet18 --onnx --tf32": "--tf32: given without engines",
    "resnet18 --onnx --timing-cache x": "--timing-cache: given without engines of TensorRT",
    "resnet18 --onnx --dla 0": "--dla: given without engines",
    "resnet18 --onnx --hardware-compatible any": "--hardware-compatible: given without engines",
    "resnet18 --onnx --precision fp8": "--precision: given 'fp8'",
    "resnet18 --onnx --precision int8": "int8 needs images",
    "resnet18 --onnx --precision fp16 --int8-rest fp8": "--int8-rest: given 'fp8'",
    "resnet18 --onnx --init xavier": "--init: given 'xavier'",
    "resnet18 --onnx --head neck": "--head: given 'neck'",
    "resnet18 --onnx --from-rgb red": "--from-rgb: given 'red'",
    "resnet18 --onnx --input uint9": "--input: given 'uint9'",
    "resnet18 --onnx --parity-budget nan": "--parity-budget: given nan",
    "resnet18 --onnx --static 8x8": "--static: given '8x8'",
    "resnet18 --onnx --weights none.pth": "cannot read weights from 'none.pth'",
    "auto --onnx --weights empty.pth": "'empty.pth' is empty",
    "auto --onnx --weights .": "'.' is a folder",
    "auto --onnx --weights /dev/zero": "'/dev/zero' is not a regular file",
    "auto --onnx --weights pointer.pth": "is a Git LFS pointer",
    "auto --onnx --weights vast.pth": "'vast.pth' has 1024 GiB",
    "inspect none.pth": "cannot read weights from 'none.pth'",
    "plan auto --weights none.pth": "cannot read weights from 'none.pth'",
    "plan resnet5O": "did you mean resnet50",
    f"plan resnet18 --rtx --profile 1:8:{10**14}": "expected at most 2,147,483,647 values",
    f"plan resnet18 --static {10**14}x3x8x8": "expected at most 2,147,483,647 values",
    "resnet18 --onnx --static 8x3x8x" + "9" * 5000: "expected BATCHxCHANNELS",
    "plan resnet18 --edge toaster": "--edge: given 'toaster'",
    "plan resnet18 --rtx --dla 0": "--dla does not exist in TensorRT-RTX",
    "verdict nowhere --data .": "there is no bundle 'nowhere'",
    "verdict nowhere --data . --gates gates.toml": "gates.toml",
    "verdict . --data . --name auto --weights none.pth": "cannot read weights from 'none.pth'",
    "diverge auto . --weights none.pth": "cannot read weights from 'none.pth'",
    "diagnose . --data . --name auto --weights none.pth": "cannot read weights from 'none.pth'",
    "diverge resnet18 nowhere": "there is no bundle 'nowhere'",
    "diverge resnet18 nowhere --plot depth.png": "ends in .svg",
    "diagnose nowhere --data .": "there is no bundle 'nowhere'",
    "diagnose nowhere --data . --weights w.pth": "--weights: given without --name",
    "diff nowhere elsewhere": "there is no bundle 'nowhere'",
    "triton nowhere --repository models": "there is no bundle 'nowhere'",
}

CODE = """
import sys
from export.cli import main
for words in sys.argv[1:]:
    assert main(words.split()) == 2, words
    print("", file=sys.stderr)
print(sorted({"torch", "onnx", "onnxruntime"} & set(sys.modules)))
"""


def test_what_words_alone_show_to_be_wrong_is_told_without_heavy_imports(tmp_path):
    (tmp_path / "empty.pth").touch()
    (tmp_path / "pointer.pth").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "vast.pth").write_bytes(b"{")
    os.truncate(tmp_path / "vast.pth", 1 << 40)  # sparse: it takes no room on the disk
    words = [sys.executable, "-c", CODE, *REFUSED]
    run = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path)
    said = run.stderr.strip().split("\n\n")
    for line, (given, expected) in zip(said, REFUSED.items(), strict=True):
        assert line.startswith("error: "), given
        assert expected in line, given
    assert run.stdout == "[]\n"
