"""A failed gate is told in lines that fit a terminal, and in one that says what to do."""

import dataclasses

import pytest

from export.variants.cause import Cause, Diagnosis
from export.variants.make_variants import Variants
from export.variants.raise_failures import raise_failures
from runtime.errors import VerdictError
from runtime.judgement import Judgement
from runtime.share import Share
from runtime.terminal import Screen


def judged(status, sqnr_db=30.0, remark=""):
    share = Share(count=251, of=256, low=0.96, high=0.99)
    remarks = (remark,) if remark else ()
    return Judgement(
        source="scans", sqnr_db=sqnr_db, agreement=share, top1=None, status=status, remarks=remarks
    )


FAILED = judged("fail", remark="agreement 98.00% (96.00% to 99.00%) of 256 images; expected 99%")
CROP = Cause(
    name="wrong crop",
    tried="resize 9, as torchvision's first weights (256 to 224)",
    judgement=judged("pass", 37.0),
    evidence="float32 is right on 100% of 256 images instead of 49%, which is a great deal more",
    cure="export again with --resize 9 --crop 8",
    as_good=("resize 8, the crop's own size", "the whole image, squashed to a square"),
    explains=True,
)
LAYER = Cause(
    name="sensitive layer",
    tried="'layer1.0.conv1' left in float",
    judgement=judged("fail", 31.0),
    cure="export again with --keep-float layer1.0.conv1",
)


def told(capsys, causes, names=("int8.trt",), *, quiet=False):
    """Return the lines of the terminal, and the error."""
    diagnosis = Diagnosis(as_it_is=FAILED, causes=causes)
    variants = Variants(
        judgements=dict.fromkeys(names, FAILED), diagnoses=dict.fromkeys(names, diagnosis)
    )
    with pytest.raises(VerdictError) as error:
        raise_failures(variants, Screen(quiet=quiet))
    return capsys.readouterr().err.splitlines(), str(error.value)


def test_every_line_fits_a_terminal_and_what_is_as_good_is_told(capsys):
    lines, error = told(capsys, (CROP, LAYER))
    assert max(len(line) for line in lines) <= 80
    text = " ".join(" ".join(lines).split())
    assert "explained by wrong crop: resize 9" in text
    assert "not to be told from: resize 8, the crop's own size; the whole image" in text
    assert "what to do: export again with --resize 9 --crop 8" in text
    assert error.startswith("int8.trt fails its gate: agreement 98.00%")
    assert "explained by wrong crop, or 2 others as good: export again with" in error
    assert error.endswith("nothing was published")


def test_what_two_variants_fail_of_is_explained_once(capsys):
    lines, _ = told(capsys, (CROP,), names=("int8.trt", "int8.cpu"))
    assert sum("explained by wrong crop: resize" in line for line in lines) == 1
    assert sum(line == "int8.cpu fails its gate:" for line in lines) == 1


def test_where_nothing_explains_it_that_is_said(capsys):
    lines, error = told(capsys, (LAYER,))
    assert "no usual cause alone explains it; nothing was published" in error
    assert not any("what to do" in line for line in lines)


def test_where_nothing_explains_it_what_comes_nearest_is_told(capsys):
    better = dataclasses.replace(LAYER, judgement=judged("fail", 34.0))
    _, error = told(capsys, (LAYER, better))
    assert "no usual cause alone explains it; sensitive layer comes nearest: export again" in error


def test_what_keeps_the_gate_is_told_even_if_it_explains_little(capsys):
    less_noise = dataclasses.replace(CROP, judgement=judged("fail", 34.0), explains=False)
    kept = dataclasses.replace(LAYER, judgement=judged("pass", 31.7))
    lines, error = told(capsys, (less_noise, kept))
    assert "explains it; sensitive layer comes nearest: export again with --keep-float" in error
    assert not any("explained by" in line for line in lines)


def test_on_how_many_images_causes_were_tried_is_told(capsys):
    lines, _ = told(capsys, (CROP, LAYER))
    assert any(line.startswith("tried on 256 images") for line in lines)


def test_what_is_amiss_but_not_the_reason_is_told_as_such(capsys):
    amiss = Cause(name="wrong crop", tried="resize 8", judgement=FAILED, cure="mend", shown=True)
    lines, error = told(capsys, (amiss,))
    assert "not the reason, but amiss: wrong crop: resize 8" in lines
    assert "wrong crop" not in error


def test_quiet_keeps_the_error_and_the_warnings(capsys):
    lines, _ = told(capsys, (CROP,), names=("int8.trt", "int8.cpu"), quiet=True)
    assert [line.split(":")[0] for line in lines] == ["warning"]
