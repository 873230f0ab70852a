"""The page, as a person uses it, in a browser."""

import json
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
"""Only whoever waits in vain waits that long."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE_MS
        )
        yield browser
        browser.close()


@pytest.fixture(params=["light"])
def page(browser, request):
    context = browser.new_context(color_scheme=request.param)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.wrong = []
    page.asked = []
    page.on("console", lambda said: page.wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda sent: page.asked.append(sent.url))
    yield page
    context.close()


def drop(page, path):
    """Drop a file on the page, as the browser tells of it."""
    transfer = page.evaluate_handle(
        """([bytes, name]) => {
            const made = new DataTransfer();
            made.items.add(new File([new Uint8Array(bytes)], name, {type: "image/jpeg"}));
            return made;
        }""",
        [list(path.read_bytes()), path.name],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_dropped_image_is_shown_with_its_classes(page, server, photographs):
    page.goto(server.url)
    expect(page.get_by_label("Model")).to_have_text("tiny · fp32")
    drop(page, photographs[0])
    expect(page.locator("#classes li")).to_have_count(5)
    expect(page.get_by_role("status")).to_contain_text(photographs[0].name)
    expect(page.get_by_alt_text(photographs[0].name)).to_be_visible()

    status, _, body = server.ask("/classify", photographs[0].read_bytes())
    assert status == 200
    ranked = json.loads(body)["classes"]
    for number, each in enumerate(ranked):
        row = page.locator("#classes li").nth(number)
        expect(row).to_contain_text(each["label"])
        expect(row).to_contain_text(f"{each['probability'] * 100:.2f} %")
    assert page.wrong == []
    assert all(url.startswith((server.url, "blob:")) for url in page.asked)


def test_file_can_be_chosen_and_one_that_is_no_image_is_told(page, server, photographs, tmp_path):
    page.goto(server.url)
    (tmp_path / "note.txt").write_text("no image")
    page.locator("#file").set_input_files(tmp_path / "note.txt")
    expect(page.get_by_role("status")).to_contain_text("note.txt: not an image of a known format")
    expect(page.locator("#classes li")).to_have_count(0)
    page.locator("#file").set_input_files(photographs[1])
    expect(page.locator("#classes li")).to_have_count(5)


def test_page_asks_for_the_token_and_shows_labels_that_look_like_markup_as_text(
    page, start_server, publish_tiny, photographs, tmp_path
):
    labels = tuple(f"<img src=x onerror=alert({n})>" for n in range(10))
    publish_tiny(tmp_path / "odd", labels=labels)
    with start_server(tmp_path / "odd", RESNET_DEPLOY_TOKEN="sesame") as server:
        page.goto(server.url)
        expect(page.get_by_role("status")).to_have_text("Enter the token.")
        page.get_by_label("Token").fill("sesame")
        page.get_by_label("Token").press("Tab")
        expect(page.get_by_label("Model")).to_have_text("odd · fp32")
        drop(page, photographs[0])
        expect(page.locator("#classes li").first).to_contain_text("<img src=x onerror=alert(")
    assert page.locator("#classes img").count() == 0
