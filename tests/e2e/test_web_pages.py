# SPDX-License-Identifier: Apache-2.0
"""The pages in a headless Chromium: what they show, what they ask for, and whether everybody can
use them. Screenshots are kept in build/screenshots."""
import pathlib
import re
import shutil
import urllib.parse

import numpy as np
import pytest

import histories
import reference as ref
from tritd import CALL_SECONDS, ROOT, SLOW, VARIANT, Daemon, tensor_pb2

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed")

expect = sync_api.expect
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("chromium is not installed", allow_module_level=True)
if VARIANT == "arm64":
    pytest.skip("seen with the native and the asan build", allow_module_level=True)

# What an engine makes of a page's text does not depend on how the daemon was built.
ONCE = pytest.mark.skipif(SLOW, reason="seen with the native build")
SHOTS = ROOT / "build" / "screenshots"
LAYERS, STEPS = 36, 30 if SLOW else 60
RUN, OTHER = "bonsai-lr3e-4", "bonsai base"
SICK = "layers.3.mlp.up"
QUANTITIES = ("health", "zero_share", "dead_groups", "flips", "scale_drift", "sqnr")


def quoted(name):
    return urllib.parse.quote(name, "")


PAGES = {
    "start": "/",
    "run": f"/runs/{RUN}",
    "zero-share": f"/runs/{RUN}?by=zero_share",
    "scale-drift": f"/runs/{RUN}?by=scale_drift&order=name",
    "layer": f"/runs/{RUN}/layers/{SICK}",
    "nan": f"/runs/{RUN}/layers/layers.2.mlp.down",
    "compare": f"/compare?a={quoted(OTHER)}&b={RUN}",
}


@pytest.fixture(scope="module")
def filed(tmp_path_factory):
    """A daemon whose runs do not become stale while the tests last."""
    daemon = Daemon(tmp_path_factory.mktemp("pages"), "--health-rule", "stale.warning=off")
    histories.file_history(daemon, RUN, LAYERS, STEPS)
    histories.file_history(daemon, OTHER, 12, 10, lambda step: step * 10)
    SHOTS.mkdir(parents=True, exist_ok=True)
    yield daemon
    assert daemon.stop() == 0, daemon.log()[-4000:]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, filed):
    """Opens a page. Whatever it writes to the console and asks of elsewhere fails the test."""
    contexts, wrong = [], []

    def visit(path, width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(CALL_SECONDS * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda request: request.url.startswith(f"http://{filed.http}/") or
                wrong.append(f"request to {request.url}"))
        page.on("response", lambda reply: reply.status >= 400 and
                wrong.append(f"{reply.status} of {reply.url}"))
        page.goto(f"http://{filed.http}{path}", wait_until="load")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []


@ONCE
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits(visit, name, scheme):
    """On a phone and on a desk a page has no message in the console, makes no foreign request, and
    is not wider than the screen."""
    page = visit(PAGES[name], color_scheme=scheme)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=SHOTS / f"{name}-{scheme}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@ONCE
@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("name", ["start", "run", "layer", "compare"])
def test_a_page_is_accessible(visit, name, width, scheme):
    """No violation of the rules of axe."""
    page = visit(PAGES[name], width, color_scheme=scheme)
    page.evaluate((pathlib.Path(axe.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run()")["violations"]
    assert [(one["id"], one["help"], one["nodes"][0]["html"][:200]) for one in found] == []


@pytest.mark.parametrize("name", PAGES)
def test_pictures_and_tables_have_words(visit, name):
    page = visit(PAGES[name])
    assert page.evaluate("""() => [...document.querySelectorAll('svg')].filter(one =>
        !one.getAttribute('aria-label') && one.getAttribute('aria-hidden') !== 'true').length""") == 0
    assert page.evaluate("""() => [...document.querySelectorAll('table')].filter(one =>
        !one.caption || !one.caption.textContent).length""") == 0
    assert page.evaluate("document.querySelectorAll('th:not([scope])').length") == 0


@ONCE
@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_no_script(visit, name):
    text = "document.getElementById('main').innerText"
    with_script, without = visit(PAGES[name]), visit(PAGES[name], java_script_enabled=False)
    found = re.sub(r"just now|\d+\W(min|h|d) ago", "", with_script.evaluate(text))
    assert without.locator("main").inner_text()
    assert len(found) > 100
    assert without.locator("main table").count() == with_script.locator("main table").count()


def test_the_dark_page_is_dark(visit):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = visit("/", color_scheme="light").evaluate(colour)
    dark = visit("/", color_scheme="dark").evaluate(colour)
    assert light == "rgb(255, 255, 255)" and sum(map(int, re.findall(r"\d+", dark))) < 120


def rows(page):
    return page.locator("table.layers tbody tr")


def names_of(page):
    return page.locator("table.layers tbody th").all_inner_texts()


def test_the_worst_layers_come_first(visit):
    """Exactly the layers that fell sick are the first rows, none of them is green, and the list of
    what changed has each with the step at which it began."""
    page = visit(f"/runs/{RUN}")
    assert set(names_of(page)[:len(histories.SICK)]) == set(histories.SICK)
    for row in range(LAYERS):
        green = rows(page).nth(row).locator(".good").count()
        assert green == (row >= len(histories.SICK)), row
    changes = page.locator(".changes li").all_inner_texts()
    assert len(changes) == len(histories.SICK)
    for name, step in histories.onsets(STEPS).items():
        assert any(f"since step {step} {name}" in " ".join(one.split()) for one in changes), changes


def test_by_name_the_layers_are_in_natural_order(visit):
    found = names_of(visit(f"/runs/{RUN}?order=name"))
    numbers = [int(name.split(".")[1]) for name in found]
    assert len(found) == LAYERS and numbers == sorted(numbers) and numbers[-1] == 11


def test_the_form_filters_and_chooses(visit):
    """The form works by keyboard alone: its fields have labels, and Enter sends it."""
    page = visit(f"/runs/{RUN}")
    page.get_by_label("Layers", exact=True).fill("layers.1?.mlp.*")
    page.get_by_label("Layers", exact=True).press("Enter")
    page.wait_for_url(re.compile("layer=layers.1"))
    assert sorted(names_of(page)) == ["layers.10.mlp.down", "layers.10.mlp.up",
                                      "layers.11.mlp.down", "layers.11.mlp.up"]
    page.locator("select[name=by]").select_option("sqnr")
    page.get_by_role("button", name="Show").press("Enter")
    page.wait_for_url(re.compile("by=sqnr"))
    assert len(names_of(page)) == 4 and "SQNR" in page.locator("table.layers thead").inner_text()


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_each_quantity_has_a_strip_and_words_for_each_layer(visit, quantity):
    page = visit(f"/runs/{RUN}?by={quantity}")
    strips = page.locator("svg.strip")
    assert strips.count() == LAYERS and page.locator(".legend").count() == 1
    label = strips.first.get_attribute("aria-label")
    assert f"steps 1 to {STEPS}" in label


def test_keyboard(visit):
    """The first stop skips to the content; every row can be reached and opened."""
    page = visit(f"/runs/{RUN}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_url("**#main")
    name = names_of(page)[0]
    page.get_by_role("link", name=name, exact=True).last.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/layers/{name}")
    assert page.locator("h1").inner_text() == name


def test_a_layer_has_plots_and_neighbours(visit):
    page = visit(PAGES["layer"])
    titles = page.locator("figure b").all_inner_texts()
    assert titles == ["Shares", "Scales", "Flips", "SQNR, dB", "Near the threshold", "Dead groups"]
    assert page.locator("main .good").count() < STEPS
    assert page.locator("h1 + p .good").count() == 0
    page.locator("a[rel=next]").first.click()
    page.wait_for_url("**/layers/layers.4.attn.q")
    page.locator("a[rel=prev]").first.click()
    page.wait_for_url(f"**/layers/{SICK}")


def test_two_runs_are_chosen_on_the_start_page(visit):
    page = visit("/")
    page.get_by_label("Run A").select_option(OTHER)
    page.get_by_label("Run B").select_option(RUN)
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(re.compile("/compare"))
    text = page.locator("main").inner_text()
    assert OTHER in text and RUN in text and "only in B" in text
    assert page.locator("figure").count() == 4


def test_a_page_follows_new_reports(visit, filed, random, run):
    """A page shows new reports without a reload, and the focus stays where it was."""
    def project(step):
        filed.ternary.Project(ref.project_request(
            random.standard_normal((2, 128)).astype(np.float32),
            layer=tensor_pb2.LayerRef(run=run, layer="only", step=step)), timeout=CALL_SECONDS)

    project(1)
    page = visit(f"/runs/{quoted(run)}")
    expect(page.locator("#live")).to_have_text("live", timeout=CALL_SECONDS * 1000)
    page.evaluate("window.same = true")
    page.get_by_role("link", name="only", exact=True).last.focus()
    project(2)
    expect(page.locator("dl.tiles")).to_contain_text("1 – 2", timeout=CALL_SECONDS * 1000)
    assert page.evaluate("window.same") is True
    assert page.evaluate("document.activeElement.textContent") == "only"


def test_names_of_peers_are_text(visit, filed, random):
    """Markup in names of runs and layers is shown, not followed."""
    name = "<img src=x onerror=alert(1)>\"'&"
    filed.ternary.Project(ref.project_request(
        random.standard_normal((2, 128)).astype(np.float32),
        layer=tensor_pb2.LayerRef(run=name, layer=name, step=1)), timeout=CALL_SECONDS)
    for path in ("/", f"/runs/{quoted(name)}", f"/runs/{quoted(name)}/layers/{quoted(name)}",
                 f"/compare?a={quoted(name)}&b={quoted(name)}",
                 f"/runs/{quoted(name)}?layer={quoted(name)}"):
        page = visit(path)
        assert name in page.locator("body").inner_text(), path
        assert page.locator("main img").count() == 0
