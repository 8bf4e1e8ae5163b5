"""Draws the screenshots of docs/studio.md from a folder that holds mvtec_bottle and magnetic_tile: studio_shots.py FOLDER.

Needs Chromium and ``pip install playwright``; the studio runs in this process.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from defectsynth import load_recipe
from defectsynth.studio.listening import in_thread
from defectsynth.studio.shelf import Options

OUT = Path(__file__).parent / "images" / "studio"
BROWSER = os.environ.get("DEFECTSYNTH_CHROMIUM") or shutil.which("chromium")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def served(product: Path) -> Iterator[str]:
    """The address of a studio on a product's good pictures, beside its defects."""
    with in_thread(Options(load_recipe("industrial"), images=str(product / "train" / "good"), real=str(product))) as (_, port):
        yield f"http://127.0.0.1:{port}/"


def save(page: Any, name: str) -> None:
    """A picture of the page in 256 colours, a fifth of the bytes."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(OUT / f"{name}.png", optimize=True)


def opened(browser: Any, address: str, viewport: dict[str, int], scheme: str) -> Any:
    """A page that has painted its first samples."""
    narrow = viewport is NARROW
    context = browser.new_context(
        viewport=viewport, color_scheme=scheme, device_scale_factor=2 if narrow else 1, has_touch=narrow
    )
    page = context.new_page()
    page.set_default_timeout(90_000)
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    settled(page)
    return page


def settled(page: Any) -> None:
    """Waits until nothing is painted any more."""
    page.wait_for_timeout(300)
    page.wait_for_selector("#grid[data-turn]:not([aria-busy])")
    page.wait_for_timeout(700)


def open_kind(page: Any, kind: str) -> None:
    """Shows the fields of a kind."""
    page.click(f'.kind[data-kind="{kind}"] summary')
    page.locator("aside").evaluate(f"aside => (aside.scrollTop = aside.querySelector('[data-kind={kind}]').offsetTop - 60)")
    page.wait_for_timeout(300)


def bottle(page: Any) -> None:
    """The grid beside a kind's fields, and one sample enlarged."""
    open_kind(page, "scratch_rubbed")
    save(page, "bottle-1280")
    page.click('.tile[data-index="7"] .look')
    page.wait_for_function("() => document.querySelectorAll('#stage-inner img').length === 4")
    page.wait_for_timeout(700)
    save(page, "enlarge")


def tile(page: Any) -> None:
    """Defect maps, a pinned sample of another seed, and the distributions of real cracks."""
    page.check("#show-map")
    page.check("#truth-kinds input[value=crack]")
    settled(page)
    page.click('.tile[data-index="2"] .pin')
    page.click("#seed-on")
    settled(page)
    page.mouse.move(640, 5)
    page.evaluate("() => window.scrollTo(0, 0)")
    page.wait_for_timeout(300)
    save(page, "tile-1280")
    page.click("#truth-measure")
    page.wait_for_selector("#truth-panels svg")
    page.evaluate("() => document.getElementById('truth').scrollIntoView()")
    page.wait_for_timeout(400)
    save(page, "beside")


def shoot(browser: Any, folder: Path, name: str, wide: Callable[[Any], None], schemes: tuple[str, str]) -> None:
    """The pictures of one product at both widths."""
    with served(folder) as address:
        wide(opened(browser, address, WIDE, schemes[0]))
        narrow = opened(browser, address, NARROW, schemes[1])
        save(narrow, f"{name}-390")


def main(folder: Path) -> None:
    """Draws them all."""
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        shoot(browser, folder / "mvtec_bottle", "bottle", bottle, ("light", "dark"))
        shoot(browser, folder / "magnetic_tile", "tile", tile, ("dark", "light"))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
