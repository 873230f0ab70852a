import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_both_are_measured_and_no_answer_is_anothers(tiny_bundle):
    command = [sys.executable, "scripts/compare_serving.py", str(tiny_bundle.folder), "--json"]
    command += [
        "--clients",
        "2",
        "--flights",
        "2",
        "--seconds",
        "0.3",
        "--rounds",
        "1",
        "--batch",
        "4",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    # So small a model costs less than a request: the goal is missed, which the status says.
    assert run.returncode == 1, run.stderr
    document = json.loads(run.stdout)
    assert 0 < document["ratio"] < 0.9
    bare, served = document["contestants"]
    assert (bare["name"], served["name"]) == ("bare loop", "served to 2 clients")
    assert all(each["rates"][0] > 0 and each["peak_mib"] > 30 for each in (bare, served))
