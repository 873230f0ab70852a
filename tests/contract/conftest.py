"""The Python bindings of four TensorRT releases, without TensorRT.

The bindings are small wheels of their own; the libraries beneath them take gigabytes, and most of
them a GPU. Here each binding is loaded against a library of nine functions that return null: enough
for Python to see every class, member and signature, and for nothing else.
"""

import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

RELEASES = {
    "10.3.0": "tensorrt-cu12-bindings",  # JetPack 6
    "10.13.3.9": "tensorrt-cu12-bindings",  # JetPack 7
    "11.4.0.106": "tensorrt-cu13-bindings",
    "1.7.1.116": "tensorrt-rtx-cu13-bindings",
}

# What the bindings want from the libraries when they are loaded.
NULL_LIBRARY = "".join(
    f"void* {name}(void) {{ return 0; }}\n"
    for name in (
        "createInferBuilder_INTERNAL",
        "createInferRefitter_INTERNAL",
        "createInferRuntime_INTERNAL",
        "createNvOnnxParser_INTERNAL",
        "createNvOnnxParserRefitter_INTERNAL",
        "getBuilderPluginRegistry",
        "getNvOnnxParserVersion",
        "getPluginRegistry",
        "initLibNvInferPlugins",
    )
)


@dataclass(frozen=True)
class Bindings:
    flavour: str
    version: str
    folder: Path

    @property
    def environment(self):
        """Of a process in which `import <flavour>` finds these bindings, and no others."""
        return {"PYTHONPATH": str(self.folder), "LD_LIBRARY_PATH": str(self.folder / "null")}


@pytest.fixture(scope="session", params=RELEASES)
def bindings(request):
    version, distribution = request.param, RELEASES[request.param]
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make the null libraries with")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = request.config.cache.mkdir("tensorrt-bindings") / f"{version}-python{python}"
    if not folder.exists():
        made = folder.with_name(folder.name + ".part")
        shutil.rmtree(made, ignore_errors=True)
        _unpack(_download(f"{distribution}=={version}", made), made)
        _make_null_libraries(compiler, made)
        made.rename(folder)
    flavour = "tensorrt_rtx" if "rtx" in distribution else "tensorrt"
    return Bindings(flavour, version, folder)


def _download(requirement, folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        reason = (run.stderr.strip().splitlines() or ["no message"])[-1]
        pytest.skip(f"pip cannot download {requirement}: {reason}")
    return next(folder.glob("*.whl"))


def _unpack(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    package = next(folder.glob("*_bindings"))
    # The distribution that depends on bindings and libraries holds this one module.
    module = folder / package.name.removesuffix("_bindings")
    module.mkdir()
    (module / "__init__.py").write_text(
        f"from {package.name} import *\nfrom {package.name} import __version__\n"
    )
    # Found before the real libraries, should they be installed.
    (folder / f"{module.name}_libs").mkdir()
    (folder / f"{module.name}_libs" / "__init__.py").touch()


def _make_null_libraries(compiler, folder):
    extension = next(folder.glob("*_bindings/*.so")).read_bytes()
    needed = set(re.findall(rb"lib(?:nv|tensorrt)\w+\.so\.\d+", extension))
    (folder / "null").mkdir()
    source = folder / "null" / "null.c"
    source.write_text(NULL_LIBRARY)
    for name in needed:
        library = folder / "null" / name.decode()
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
