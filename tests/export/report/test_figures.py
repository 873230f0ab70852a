"""Figures: what they draw of values."""

from export.report.content import DepthLine, PlanePoint
from export.report.figures.depth import draw_depth, in_order
from export.report.figures.plane import draw_plane, pareto_front
from runtime.evaluation.statistics import wilson


def point(variant, latency_ms, right):
    return PlanePoint(variant=variant, latency_ms=latency_ms, top1=wilson(right, 100))


def test_the_front_holds_what_none_beats_in_both():
    points = [point("slow", 9, 90), point("fp32", 6, 90), point("bad", 7, 80), point("int8", 2, 88)]
    assert [each.variant for each in pareto_front(points)] == ["int8", "fp32"]


def test_of_two_equally_fast_the_more_accurate_is_on_the_front():
    assert [p.variant for p in pareto_front([point("a", 2, 80), point("b", 2, 90)])] == ["b"]


def test_layers_that_one_variant_lacks_stand_where_the_other_has_them():
    fp32 = DepthLine(variant="fp32", points=(("a", 1.0), ("b", 1.0), ("c", 1.0)), marked="")
    int8 = DepthLine(variant="int8", points=(("a", 1.0), ("b.conv", 1.0), ("b", 1.0)), marked="")
    assert in_order([fp32, int8]) == ["a", "b.conv", "b", "c"]


def test_a_figure_keeps_its_text_and_paints_with_the_colours_of_the_page():
    drawn = draw_plane([point("fp32", 6, 90), point("int8.cpu", 2, 88)], 680)
    assert ">int8.cpu</text>" in drawn
    assert "var(--int8-cpu)" in drawn
    assert "var(--fp32)" in drawn
    assert "#0102" not in drawn


def test_fp32_alone_is_drawn_and_beside_others_left_out():
    fp32 = DepthLine(variant="fp32", points=(("a", 130.0), ("b", 120.0)), marked="")
    int8 = DepthLine(variant="int8.cpu", points=(("a", 40.0), ("b", 30.0)), marked="b")
    assert "var(--fp32)" in draw_depth([fp32], 680)
    assert "var(--fp32)" not in draw_depth([fp32, int8], 680)
