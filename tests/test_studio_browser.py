"""The studio's page in a browser, as a person uses it: no error on its console, and no request to any other host."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_studio import Served, match_files, serving

from defectsynth import load_recipe
from defectsynth.recipe import Recipe
from defectsynth.studio.shelf import Options

sync_api = pytest.importorskip("playwright.sync_api", reason="the page is driven with playwright: pip install playwright")

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = os.environ.get("DEFECTSYNTH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
if BROWSER is None:
    pytest.skip("there is no Chromium here: apt-get install chromium, or set DEFECTSYNTH_CHROMIUM", allow_module_level=True)

PATIENCE = 30_000


@pytest.fixture(scope="module")
def served(photo_folder: Path, defect_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    out = tmp_path_factory.mktemp("from_the_page")
    with serving(Options(load_recipe("industrial"), images=str(photo_folder), real=str(defect_folder), out=str(out))) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    """A page of 1280 x 900; what it says on its console and whom it asks is looked at in the end."""
    yield from _watched(browser, served, 1280)


@pytest.fixture
def narrow(browser: Any, served: Served) -> Iterator[Any]:
    yield from _watched(browser, served, 390)


def _watched(browser: Any, served: Served, width: int) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    said: list[str] = []
    asked: set[str] = set()
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.add(request.url))
    opened(page, f"http://127.0.0.1:{served.port}/")
    yield page
    context.close()
    own = (f"http://127.0.0.1:{served.port}/", f"blob:http://127.0.0.1:{served.port}/", "data:")
    assert not [address for address in asked if not address.startswith(own)], "a request to another host"
    expected = re.compile(r"status of 422")  # an invalid recipe is refused, which a browser logs by itself
    assert not [text for text in said if not expected.search(text)]


def opened(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    settled(page)


def settled(page: Any) -> None:
    """Until nothing is painted any more."""
    page.wait_for_function(
        "() => { const grid = document.getElementById('grid'); return grid.dataset.turn && !grid.ariaBusy; }"
    )


def after(page: Any, act: Any) -> None:
    """Does something that paints, and waits for it."""
    turn = page.get_attribute("#grid", "data-turn")
    act()
    page.wait_for_function("turn => document.getElementById('grid').dataset.turn !== turn", arg=turn)
    settled(page)


PIXELS = """async places => {
  const found = {};
  for (const tile of document.querySelectorAll('#grid .tile')) {
    const image = tile.querySelector('[data-view=anomalous] img');
    if (!image?.src) continue;
    await image.decode().catch(() => {});
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const pen = canvas.getContext('2d');
    pen.drawImage(image, 0, 0);
    let sum = 0;
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    data.forEach((value, at) => (sum = (sum * 31 + value * (at % 97)) % 1000003));
    found[`${tile.dataset.seed}/${tile.dataset.index}`] = sum;
  }
  return found;
}"""


def pixels(page: Any) -> dict[str, int]:
    """A number for the pixels of each sample that is shown."""
    return page.evaluate(PIXELS)


def only(page: Any, kind: str) -> None:
    """Leaves one kind of defect on, by its recipe."""
    after(page, lambda: page.select_option("#preset", kind))


def slide(page: Any, path: str, place: int) -> None:
    """Moves a slider as a hand does."""
    page.locator(f'[data-path="{path}"]').evaluate(
        "(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input', { bubbles: true })); }", place
    )


def open_kind(page: Any, kind: str) -> None:
    page.click(f'.kind[data-kind="{kind}"] summary')


def first_kind(page: Any) -> str:
    return page.get_attribute(".kind", "data-kind")


def yaml_of(page: Any) -> Recipe:
    page.wait_for_timeout(500)
    return Recipe.from_yaml(page.input_value("#yaml"))


def test_the_page_opens_with_twelve_samples(page: Any) -> None:
    assert page.locator("#grid .tile").count() == 12
    assert len(set(pixels(page).values())) == 12
    assert "12 samples in" in page.inner_text("#status")
    assert page.locator("#grid svg path.line").count() == 12
    assert page.title() == "defectsynth studio"


def test_a_slider_changes_pixels_and_the_recipe(page: Any) -> None:
    only(page, "stain")
    kind = first_kind(page)
    before = pixels(page)
    open_kind(page, kind)
    path = f"kinds.{kind}.mask.area_range"
    after(page, lambda: slide(page, f"{path}.low.slider", 850))
    changed = pixels(page)
    assert sum(before[key] != changed[key] for key in before) > 2
    low, high = yaml_of(page).kinds[kind].mask.area_range
    assert 0.1 < low <= high
    after(page, lambda: page.click("#undo"))
    assert pixels(page) == before
    after(page, lambda: page.keyboard.press("Control+Shift+Z"))
    assert pixels(page) == changed


def test_an_invalid_value_says_why_beside_its_field(page: Any) -> None:
    kind = first_kind(page)
    open_kind(page, kind)
    field = page.locator(f'[data-field="kinds.{kind}.mask.area_range"]')
    field.locator(".number").first.fill("0.9")
    field.locator(".error", has_text="is inverted").wait_for()
    page.locator("#status", has_text="Not painted").wait_for()
    page.wait_for_function("() => document.getElementById('command-copy').disabled")
    field.locator(".number").first.fill("0.002")
    page.wait_for_function("() => !document.querySelector('.field.wrong')")
    page.locator("#status", has_text="12 samples").wait_for()


def test_kinds_are_switched_off_and_weighed(page: Any) -> None:
    kinds = page.locator(".kind").evaluate_all("found => found.map(one => one.dataset.kind)")
    for kind in kinds[:-1]:
        page.locator(f'.kind[data-kind="{kind}"] .kind-head .switch input').uncheck()
    settled(page)
    page.wait_for_function(
        "name => [...document.querySelectorAll('.words b')].every(one => one.textContent === name)",
        arg=load_recipe("industrial").kinds[kinds[-1]].name or kinds[-1],
    )
    assert page.locator(".kind.off").count() == len(kinds) - 1
    assert page.inner_text(f'.kind[data-kind="{kinds[-1]}"] .portion') == "100%"


def test_a_pinned_sample_stays_while_the_seed_changes(page: Any) -> None:
    before = pixels(page)
    page.click('.tile[data-index="3"] .pin')
    settled(page)
    after(page, lambda: page.click("#seed-on"))
    assert page.input_value("#seed") == "1"
    now = pixels(page)
    assert now["0/3"] == before["0/3"]
    assert len(now) == 12
    assert page.locator(".tile").first.get_attribute("data-seed") == "0"
    assert {key for key in now if key.startswith("1/")}
    after(page, lambda: page.click("#seed-back"))
    assert pixels(page) == before


def test_views_are_switched(page: Any) -> None:
    after(page, lambda: page.check("#show-normal"))
    after(page, lambda: page.check("#show-map"))
    assert page.locator(".tile").first.locator("img").count() == 3
    page.wait_for_function("() => [...document.querySelectorAll('.tile img')].every(one => one.naturalWidth > 0)")
    page.uncheck("#show-outline")
    assert not page.locator("#grid path.line").first.is_visible()


def test_a_sample_is_enlarged(page: Any) -> None:
    page.click('.tile[data-index="2"] .look')
    page.wait_for_function("() => document.querySelectorAll('#stage-inner img').length === 4")
    page.wait_for_function("() => document.querySelector('#stage-inner .after').naturalWidth === 96")
    page.fill("#enlarge-slide", "20")
    assert page.locator("#stage-inner").evaluate("one => one.style.getPropertyValue('--before')") == "80%"
    page.check("#enlarge-mask")
    assert page.locator("#stage-inner .mask-layer").is_visible()
    page.click("#enlarge-on")
    page.wait_for_function("() => document.getElementById('enlarge-title').textContent === 'Sample 3 of seed 0'")
    with page.expect_download() as download:
        page.click("#enlarge-save")
    assert download.value.suggested_filename.endswith("000003.png")
    page.keyboard.press("Escape")
    assert not page.locator("#enlarge").is_visible()


def test_an_roi_is_drawn_with_the_brush(page: Any, served: Served) -> None:
    before = pixels(page)
    page.click("#roi-open")
    page.wait_for_function("() => document.getElementById('roi-canvas').width === 96")
    page.select_option("#roi-base", "nothing")
    page.fill("#roi-radius", "0.1")
    box = page.locator("#roi-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5, steps=5)
    page.mouse.up()
    after(page, lambda: page.click("#roi-apply"))
    assert pixels(page) != before
    assert "ROI: drawn" in page.inner_text("#roi-open")
    page.wait_for_function("() => document.getElementById('command').textContent.includes('--roi roi')")
    page.click("#roi-open")
    page.wait_for_timeout(300)
    after(page, lambda: page.click("#roi-none"))
    assert pixels(page) == before


def test_an_roi_is_drawn_with_the_keyboard_on_the_foreground(page: Any) -> None:
    before = pixels(page)
    page.click("#roi-open")
    page.wait_for_function("() => document.getElementById('roi-canvas').width === 96")
    page.select_option("#roi-base", "foreground")
    page.wait_for_function("() => document.getElementById('roi-note').textContent.includes('confidence')")
    page.check("input[name=roi-mode][value=erase]")
    page.fill("#roi-radius", "0.25")
    page.focus("#roi-canvas")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    after(page, lambda: page.click("#roi-apply"))
    assert pixels(page) != before


def test_real_defects_stand_beside(page: Any) -> None:
    page.click("#truth-measure")
    page.wait_for_function("() => document.querySelectorAll('#truth-panels svg').length === 4")
    assert "over 8 real ones" in page.inner_text("#truth-note")
    page.check("#truth-follow")
    after(page, lambda: page.click("#seed-on"))
    page.wait_for_selector("#truth-panels:not(.aged)")
    page.check("#truth-kinds input[value=hole]")
    page.wait_for_function("() => document.getElementById('truth-note').textContent.includes('over 4 real ones')")


def test_a_recipe_is_matched_to_dropped_pictures(page: Any, defect_folder: Path) -> None:
    files = match_files(defect_folder)
    for field in ("pictures", "masks"):
        given = [{"name": name, "mimeType": "image/png", "buffer": data} for kind, name, data in files if kind == field]
        page.set_input_files(f"#match-{field}", given)
    page.fill("#match-kind", "flaw")
    after(page, lambda: page.click("#match-go"))
    assert "Matched to 3 defects" in page.inner_text("#match-note")
    assert page.locator(".kind").evaluate_all("found => found.map(one => one.dataset.kind)") == ["flaw", "flaw_drawn"]
    assert set(yaml_of(page).kinds) == {"flaw", "flaw_drawn"}
    page.set_input_files("#match-pictures", [{"name": "bad.png", "mimeType": "image/png", "buffer": b"no picture"}])
    page.click("#match-go")
    page.wait_for_function("() => document.getElementById('match-note').textContent.includes('has no mask')")


def test_yaml_is_saved_and_opened_again(page: Any, tmp_path: Path) -> None:
    only(page, "crack")
    page.wait_for_function("() => document.getElementById('yaml').value.startsWith('name: crack')")
    with page.expect_download() as download:
        page.click("#yaml-save")
    assert download.value.suggested_filename == "tuned.yaml"
    download.value.save_as(tmp_path / "tuned.yaml")
    assert Recipe.from_yaml((tmp_path / "tuned.yaml").read_text()) == load_recipe("crack")
    only(page, "scratch")
    after(page, lambda: page.set_input_files("#yaml-open", str(tmp_path / "tuned.yaml")))
    assert page.input_value("#preset") == "crack"
    (tmp_path / "bad.yaml").write_text("name: [")
    page.set_input_files("#yaml-open", str(tmp_path / "bad.yaml"))
    page.wait_for_function("() => document.getElementById('render-note').textContent.includes('is not YAML')")


def test_pictures_are_rendered_with_progress(page: Any, served: Served) -> None:
    page.fill("#count", "6")
    page.wait_for_function("() => document.getElementById('command').textContent.includes('--count 6')")
    page.fill("#render-name", "mine")
    page.click("#render-go")
    page.wait_for_function("() => document.getElementById('render-note').textContent.includes('10 pictures in')")
    assert (Path(served.shelf.options.out) / "mine" / "manifest.jsonl").is_file()


def test_a_link_restores_the_state(page: Any, served: Served) -> None:
    only(page, "dent")
    page.click('.tile[data-index="1"] .pin')
    after(page, lambda: page.click("#seed-on"))
    after(page, lambda: page.select_option("#size", "128"))
    before = pixels(page)
    page.wait_for_timeout(400)
    address = page.url
    assert "#" in address
    page.goto("about:blank")
    opened(page, address)
    assert pixels(page) == before
    assert page.input_value("#seed") == "1"
    assert page.input_value("#size") == "128"
    assert page.input_value("#preset") == "dent"
    assert page.get_attribute('.tile[data-seed="0"][data-index="1"] .pin', "aria-pressed") == "true"


def test_a_damaged_link_is_a_message(page: Any, served: Served) -> None:
    page.goto("about:blank")
    opened(page, f"http://127.0.0.1:{served.port}/#nonsense")
    assert page.locator("#grid .tile").count() == 12
    assert "cannot be restored" in page.inner_text("#notice") or page.locator("#notice").is_hidden()


def test_two_tabs_keep_their_own_states(page: Any, served: Served) -> None:
    other = page.context.new_page()
    opened(other, f"http://127.0.0.1:{served.port}/")
    before = pixels(page)
    only(other, "burn")
    assert pixels(other) != before
    after(page, lambda: page.click("#seed-on"))
    after(page, lambda: page.click("#seed-back"))
    assert pixels(page) == before
    other.close()


def test_everything_has_a_name_and_can_be_reached_by_keys(page: Any) -> None:
    open_kind(page, first_kind(page))
    page.click("text=Whole recipe")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, textarea, canvas')]
          .filter(one => !one.closest('dialog'))
          .filter(one => !(one.ariaLabel || one.textContent.trim() || one.labels?.[0]?.textContent.trim() || one.title))
          .map(one => one.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    page.evaluate("() => document.querySelector('.skip').focus()")
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("() => document.activeElement.id || document.activeElement.className"))
    assert {"seed", "show-normal", "roi-open", "look"} <= seen
    page.evaluate("() => document.querySelector('.skip').focus()")
    page.keyboard.press("Tab")
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_theme_is_switched_and_kept(page: Any) -> None:
    light = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == dark
    settled(page)


def test_a_narrow_screen_shows_everything_without_scrolling_sideways(narrow: Any) -> None:
    assert narrow.evaluate("() => document.documentElement.scrollWidth") <= 390
    narrow.click("nav.jump button[data-target=recipe]")
    narrow.wait_for_timeout(700)
    assert narrow.locator("#grid .tile").first.is_visible(), "the samples stay in sight while a slider moves"
    open_kind(narrow, first_kind(narrow))
    after(narrow, lambda: slide(narrow, f"kinds.{first_kind(narrow)}.mask.area_range.high.slider", 900))
    assert narrow.evaluate("() => document.documentElement.scrollWidth") <= 390
    json.dumps(pixels(narrow))
