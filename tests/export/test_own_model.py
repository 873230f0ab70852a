"""A model of one's own, from its factory to a bundle and back to where it came from."""

import json

from export.cli import main

MODEL = """
from torch import nn

class Talking(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 1)

    def forward(self, images):
        print("forward", images.shape)
        return self.head(self.conv(images).mean((2, 3)))
"""


def test_what_a_model_prints_is_no_result_and_its_seed_is_found_again(
    tmp_path, capsys, monkeypatch
):
    (tmp_path / "talking_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    name, size = "talking_model:Talking", ["--resize", "32", "--crop", "32", "--seed", "5"]
    assert main([name, "--onnx", *size, "--parity-budget", "0", "--json", "--output", "b"]) == 0
    exported = capsys.readouterr()
    assert json.loads(exported.out)["manifest"]["weights"]["detail"].endswith("seed 5")
    assert "warning: one class has a probability of 100 %" in exported.err
    assert main(["diverge", name, "b", "--json"]) == 0  # status 1 with the weights of another seed
    assert json.loads(capsys.readouterr().out)["same_weights"] is True
