"""The verdict as a table."""

from export.verdict.finding import Finding, Verdict
from export.verdict.gates import NOT_SHOWN
from export.verdict.read_gates import Gates
from export.verdict.show import show_verdict
from runtime.terminal import Screen


def test_an_interval_of_few_images_is_shown_whole(capsys):
    found = Finding(
        area="accuracy lost",
        subject="int8.trt",
        measured="0.00 points",
        gate="0.3 / 0.5 / 1",
        status=NOT_SHOWN,
        low=-16.331,
        high=16.331,
        unit="points",
    )
    verdict = Verdict(bundle="b", model="m", data="d", findings=(found,), strict=False)
    show_verdict(verdict, Gates(), None, Screen())
    shown = capsys.readouterr().out
    assert "-16.3 to 16.3" in shown
    assert "\u2026" not in shown
