import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

from export.delivery.make_wheel import make_wheel


def test_the_same_installation_gives_the_same_wheel():
    assert make_wheel() == make_wheel()


def test_every_file_is_recorded_with_its_hash():
    name, data = make_wheel()
    stem = f"resnet_deploy-{version('resnet-deploy')}"
    assert name == f"{stem}-py3-none-any.whl"
    archive = zipfile.ZipFile(io.BytesIO(data))
    record = archive.read(f"{stem}.dist-info/RECORD").decode()
    rows = {path: (digest, size) for path, digest, size in csv.reader(io.StringIO(record))}
    assert rows.keys() == set(archive.namelist())
    for path, (digest, size) in rows.items():
        if digest:
            content = archive.read(path)
            found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
            assert (digest, size) == (f"sha256={found.rstrip('=')}", str(len(content)))


def test_it_holds_what_runs_and_what_is_owed_to_its_authors():
    names = zipfile.ZipFile(io.BytesIO(make_wheel()[1])).namelist()
    assert "runtime/cli.py" in names
    assert "runtime/py.typed" in names
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    assert not any("__pycache__" in name or name.startswith("tests") for name in names)


def test_pip_installs_it_and_it_runs_from_there(tmp_path):
    name, data = make_wheel()
    (tmp_path / name).write_bytes(data)
    target = tmp_path / "packages"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(tmp_path / name)], check=True)
    code = "import runtime, runtime.cli; print(runtime.__file__)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(target), "PATH": ""},
    )
    assert Path(run.stdout.strip()).is_relative_to(target)


def test_it_holds_what_a_report_is_made_of():
    names = zipfile.ZipFile(io.BytesIO(make_wheel()[1])).namelist()
    assert {"export/report/report.html", "export/report/report.css"} <= set(names)
