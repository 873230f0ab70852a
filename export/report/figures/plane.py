"""Draws the variants in the plane of latency and accuracy, with those that none beats in both."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure

from export.report.content import PlanePoint
from export.report.figures.svg import draw_svg, paint, paint_of

__all__ = ["draw_plane", "pareto_front"]

_HEIGHT = 300


def pareto_front(points: Sequence[PlanePoint]) -> tuple[PlanePoint, ...]:
    """Return the points that no other is both faster than and as accurate as; fastest first."""
    front: list[PlanePoint] = []
    for point in sorted(points, key=lambda p: (p.latency_ms, -p.top1.value)):
        if not front or point.top1.value > front[-1].top1.value:
            front.append(point)
    return tuple(front)


def draw_plane(points: Sequence[PlanePoint], width: int) -> Markup:
    """Return the plane: latency to the right, accuracy upwards, with 95 % intervals.

    Args:
        points: one a variant; one at least.
        width: in pixels.
    """
    front = pareto_front(points)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.step(
            [point.latency_ms for point in front],
            [100 * point.top1.value for point in front],
            where="post",
            color=paint("soft"),
            linewidth=1,
            linestyle=(0, (4, 3)),
        )
        for point in points:
            value = 100 * point.top1.value
            spread = [[value - 100 * point.top1.low], [100 * point.top1.high - value]]
            colour = paint_of(point.variant)
            axes.errorbar(point.latency_ms, value, spread, color=colour, linewidth=1, alpha=0.5)
            axes.plot(point.latency_ms, value, "o", color=colour, markersize=8, label=point.variant)
        axes.set_xlim(0, 1.15 * max(point.latency_ms for point in points))
        axes.set_xlabel("median latency, in ms")
        axes.set_ylabel("top-1, in %")
        axes.grid()
        axes.set_axisbelow(True)
        figure.legend(
            loc="outside upper left", ncols=4, frameon=False, fontsize=10, handletextpad=0.2
        )

    return draw_svg(
        f"plane-{width}",
        "Accuracy and latency of each variant",
        "None is beaten in both: "
        + ", ".join(
            f"{point.variant} ({point.latency_ms:.3g} ms, {100 * point.top1.value:.1f} %)"
            for point in front
        ),
        (width, _HEIGHT),
        draw,
    )
