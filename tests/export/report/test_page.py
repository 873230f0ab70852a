"""The report's page: what it says, whatever it is given, in a real browser."""

import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from export.report.content import (
    Activation,
    Bar,
    ChangedAnswer,
    ChangedImage,
    ClassChange,
    Content,
    DepthLine,
    Facts,
    Missing,
    ParityCell,
    ParityRow,
    PlanePoint,
    VariantCard,
)
from export.report.render import render
from export.report.thumbnail import SIDE, thumbnail
from export.verdict.finding import Finding, Verdict
from runtime.evaluation.statistics import wilson

HOSTILE = (
    '<script>fetch("http://127.0.0.1:9/x")</script>',
    '"><img src=http://127.0.0.1:9/y onerror=console.error(1)>',
    "defective\u202egnp.exe",
    "$\\frac{1}{0}$ {{ 7*7 }}",
    "很好 très long " + "x" * 200,
)
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
VARIANTS = ("fp32", "fp16", "int8.trt", "int8.cpu")


def finding(area, subject, status, **more):
    return Finding(
        area=area,
        subject=subject,
        measured="0.19 points",
        gate="at most 0.3",
        status=status,
        **more,
    )


def a_verdict(*findings):
    return Verdict(
        bundle=f"artifacts/{HOSTILE[0]}",
        model="resnet18",
        data="photographs",
        findings=findings,
        strict=False,
    )


@pytest.fixture(scope="module")
def content():
    """A report with everything in it, told by someone who means no good."""
    missing = finding("accuracy lost", "int8.cpu", "warn", low=-0.5, high=0.9, unit="points")
    depth = ("conv1", "layer1.0", HOSTILE[3], HOSTILE[0], "fc")
    return Content(
        verdict=a_verdict(
            finding("integrity", "bundle", "pass"),
            finding("accuracy lost", "fp16", "not shown", remark=HOSTILE[1]),
            missing,
            finding("speed", "fp16", "told"),
        ),
        when="22 November 2026",
        variants=tuple(
            VariantCard(
                name=name,
                precision="int8",
                size=11_300_000,
                top1=wilson(427, 525),
                drop=None if name == "fp32" else (0.19, -0.4, 0.6),
                latency_ms=2.9,
                speedup=2.14,
            )
            for name in VARIANTS
        ),
        parity=tuple(
            ParityRow(
                shape=f"{batch}x1x32x32",
                content=HOSTILE[1],
                cells=tuple(
                    ParityCell(variant=name, share=0.4, text="1.23", passed=True)
                    for name in VARIANTS
                ),
            )
            for batch in (1, 2)
        ),
        parity_variants=VARIANTS,
        depth=tuple(
            DepthLine(
                variant=name,
                points=tuple((module, 40.0 - i) for i, module in enumerate(depth)),
                marked="layer1.0",
            )
            for name in VARIANTS
        ),
        activations=(
            Activation(
                tensor=HOSTILE[0],
                edges=(0.0, 1.0, 2.0, 3.0),
                counts=(900, 50, 1),
                low=0.0,
                high=2.0,
                clipped=1 / 951,
                sqnr_db=31.5,
            ),
        ),
        sensitivity=(
            Bar(name=HOSTILE[4], sqnr_db=28.0, agreement=0.99),
            Bar(name="exact", sqnr_db=float("inf"), agreement=1.0),
        ),
        quantized="int8.cpu",
        plane=tuple(
            PlanePoint(variant=name, latency_ms=2.0 + i, top1=wilson(427 + i, 525))
            for i, name in enumerate(VARIANTS)
        ),
        class_variants=VARIANTS[1:],
        classes=tuple(
            ClassChange(label=label, images=100, fp32=0.9, shares=(0.9, 0.89, 0.91))
            for label in HOSTILE
        ),
        changes=tuple(
            ChangedImage(
                path=label,
                truth=HOSTILE[0],
                picture=PIXEL,
                answers=tuple(
                    ChangedAnswer(variant=name, label=label, probability=0.6, right=False)
                    for name in VARIANTS
                ),
            )
            for label in HOSTILE
        ),
        notes=(HOSTILE[1],),
        provenance=(Facts(title="Model", rows=((HOSTILE[0], "a" * 64),)),),
    )


@pytest.fixture(scope="module")
def page_file(content, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render(content), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_api.sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=arguments, timeout=60_000
            )
        except sync_api.Error:
            pytest.skip("needs /usr/bin/chromium: apt install chromium")
        yield found
        found.close()


def open_page(browser, file, width, scheme="light"):
    """Return the page at a width, what its console said and what it asked the network for."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.set_default_timeout(60_000)  # of a machine with much else to do
    heard, asked = [], []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    return page, heard, [url for url in asked if not url.startswith("data:")]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_complains_or_asks_the_network(browser, page_file, width, scheme):
    page, heard, asked = open_page(browser, page_file, width, scheme)
    assert heard == []
    assert asked == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = page.evaluate(
        """[...document.querySelectorAll('body *')].filter(e => {
             const box = e.getBoundingClientRect();
             return box.right > innerWidth + 1 && !e.closest('.scroll');
           }).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert beyond == []
    page.close()


def test_headings_tables_and_figures_are_told_to_those_who_do_not_see_them(browser, page_file):
    page, _, _ = open_page(browser, page_file, 1280)
    told = page.locator("body").aria_snapshot()
    assert re.search(r'heading ".*May ship, with reservations" \[level=1\]', told)
    for title in ("Variants", "Gates", "Accuracy and speed", "Class by class", "Provenance"):
        assert f'heading "{title}" [level=2]' in told
    assert 'columnheader "Measured"' in told
    assert 'img "not shown"' in told
    assert 'img "Accuracy and latency of each variant"' in told
    assert told.count("- table") >= 4
    page.close()


def test_light_dark_and_paper_have_their_colours(browser, page_file):
    colours = {}
    for scheme in ("light", "dark"):
        page, _, _ = open_page(browser, page_file, 1280, scheme)
        ask = "getComputedStyle(document.querySelector('svg text')).fill"
        colours[scheme] = page.evaluate(ask)
        page.emulate_media(media="print")
        colours[f"{scheme} on paper"] = page.evaluate(ask)
        assert not page.locator("nav").is_visible()
        assert page.locator("details table").first.is_visible()
        page.close()
    assert colours["light"] != colours["dark"]
    assert colours["light on paper"] == colours["dark on paper"] != colours["dark"]


def test_no_identifier_stands_twice_and_every_reference_leads_somewhere(page_file):
    page = page_file.read_text(encoding="utf-8")
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    references = re.findall(r'(?:url\(#|href="#)([^)"]+)', page)
    references += " ".join(re.findall(r'aria-(?:labelled|described)by="([^"]+)"', page)).split()
    assert set(references) <= set(identifiers)


def test_hostile_names_are_shown_not_obeyed(page_file, browser):
    text = page_file.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "\u202e" not in text
    page, _, _ = open_page(browser, page_file, 1280)
    assert page.locator("img[src^=http]").count() == 0
    body = page.locator("body").inner_text()
    assert HOSTILE[0] in body
    assert "{{ 7*7 }}" in body
    assert "defective\\u202egnp.exe" in body
    page.close()


def test_what_was_not_measured_says_so_and_how_to_make_it(content):
    missing = Missing(reason="PyTorch was not asked.", command="python -m export verdict <x>")
    page = render(
        dataclasses.replace(
            content,
            parity=missing,
            depth=missing,
            activations=missing,
            sensitivity=missing,
            plane=missing,
            classes=missing,
            changes=missing,
        )
    )
    assert page.count("PyTorch was not asked.") == 7
    assert page.count("python -m export verdict &lt;x&gt;") == 7
    assert "<svg" not in page


def test_a_ring_is_spoken_of_where_there_is_one(content):
    gentle = tuple(dataclasses.replace(line, marked="") for line in content.depth)
    assert "A ring marks where" in render(content)
    page = render(dataclasses.replace(content, depth=gentle))
    assert "No variant leaves it suddenly" in page
    assert "ring marks" not in page


def test_the_first_sentence_is_what_failed(content):
    failed = a_verdict(
        finding("integrity", "bundle", "pass"), finding("agreement", "int8.cpu", "fail")
    )
    page = render(dataclasses.replace(content, verdict=failed))
    assert "Must not ship" in page
    assert "int8.cpu, agreement: 0.19 points, gate at most 0.3." in page


@pytest.mark.parametrize(
    ("drop", "told"),
    [
        ((-0.57, -1.48, 0.34), "gains 0.57 points, which may be chance, and is"),
        ((0.57, -0.34, 1.48), "loses 0.57 points, which may be chance, and is"),
        ((0.57, 0.2, 0.9), "loses 0.57 points and is"),
        ((0.001, -0.3, 0.3), "loses nothing and is"),
    ],
)
def test_the_first_sentence_calls_no_chance_a_gain(content, drop, told):
    quickest = max(content.variants, key=lambda card: card.speedup or 0)
    cards = tuple(
        dataclasses.replace(card, drop=drop) if card is quickest else card
        for card in content.variants
    )
    assert f"{quickest.name} {told}" in render(dataclasses.replace(content, variants=cards))


def test_the_same_content_gives_the_same_page(content):
    assert render(content) == render(content)


def test_a_thumbnail_is_small_and_holds_nothing_but_pixels(tmp_path):
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "secret")
    Image.effect_noise((900, 600), 60).save(tmp_path / "x.png", pnginfo=info)
    url = thumbnail(tmp_path / "x.png")
    assert url.startswith("data:image/jpeg;base64,")
    assert len(url) < SIDE * SIDE
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    assert thumbnail(tmp_path / "broken.png") == ""
    assert thumbnail(tmp_path / "gone.png") == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_wider_than_a_phone_is_shaded_where_there_is_more_of_it(browser, page_file, scheme):
    page, _, _ = open_page(browser, page_file, 360, scheme)
    table = page.get_by_role("region", name="Parity grid")
    assert table.evaluate("e => e.scrollWidth - e.clientWidth") > 50

    def shaded():
        pixels = np.asarray(Image.open(io.BytesIO(table.screenshot())).convert("L"), np.int16)
        edge = pixels[1]  # above the text
        return [bool(abs(end - np.median(edge)) > 20) for end in (edge[1], edge[-2])]

    assert shaded() == [False, True]
    table.evaluate("e => { e.scrollLeft = 40 }")
    assert shaded() == [True, True]
    table.evaluate("e => { e.scrollLeft = e.scrollWidth }")
    assert shaded() == [True, False]
    page.close()
