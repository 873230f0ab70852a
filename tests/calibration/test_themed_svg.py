import os
import subprocess
import sys
import xml.etree.ElementTree as ET

from matplotlib.figure import Figure

from calibration.themed_svg import themed_svg

DRAW = """
from calibration.themed_svg import themed_svg
from matplotlib.figure import Figure
print(themed_svg("nothing", Figure).decode())
"""


def draw():
    figure = Figure()
    figure.subplots().set_xlabel("layer")
    return figure


def test_drawing_has_a_title_and_the_ink_of_its_page():
    svg = themed_svg("loss <by> layer", draw)
    titles = [element.text for element in ET.fromstring(svg) if element.tag.endswith("title")]
    assert titles == ["loss <by> layer"]
    assert b"currentColor" in svg
    assert b"prefers-color-scheme: dark" in svg


def test_same_drawing_is_the_same_file():
    assert themed_svg("t", draw) == themed_svg("t", draw)


def test_home_that_cannot_be_written_is_no_concern_of_who_draws(tmp_path):
    not_a_folder = tmp_path / "file"
    not_a_folder.touch()
    surroundings = {"HOME": str(not_a_folder), "PATH": os.environ["PATH"]}
    run = subprocess.run(
        [sys.executable, "-c", DRAW], env=surroundings, capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("<?xml")
    assert run.stderr == ""
