"""`make screenshots`: photograph the six main pages for the README, light and dark, over the past of the demo.

Starts a relay with the demo's internet and past, signs in by the one-time link, and writes docs/screenshots/
PAGE-THEME.png, 1280 pixels wide. Pictures are written with a palette of at most 256 colours, which is a quarter of the
size and shows no difference on pages as flat as ours; the browser counts the colours, so that nothing else is needed.
"""

from __future__ import annotations

import asyncio
import base64
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from relay.config import load
from relay.demo import entrance
from relay.demo.connections import free_port
from relay.demo.internet import Internet
from relay.demo.node import Node, to_toml
from relay.demo.run import LONG, configuration
from relay.settings import HostPort
from relay.status import Status
from relay.store import log, notices, open_store
from relay.store.filters import Query
from relay.store.protocols import Store, Tx

_FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
_WIDTH, _HEIGHT = 1280, 1060
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_SETTLED = 60.0  #: seconds until the relay must have looked for what mistyped addresses mean

_MISTYPED = "margret.ellingham@letters.example"
_BLOCKED = "rosalind@quickmail.example"

#: Puts a picture on a canvas and chooses 256 of its colours: the most used ones, none too near another, so that a small
#: icon keeps its own; every pixel gets the nearest of them.
_COUNT_COLOURS = """async (data) => {
  const picture = new Image(); picture.src = "data:image/png;base64," + data; await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.width; canvas.height = picture.height;
  const at = canvas.getContext("2d"); at.drawImage(picture, 0, 0);
  const pixels = new Uint32Array(at.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) || 0) + 1);
  const ranked = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one));
  const parts = (pixel) => [pixel & 255, pixel >> 8 & 255, pixel >> 16 & 255];
  const nearest = (own, palette) => {
    let best = 0, least = Infinity;
    palette.forEach((other, number) => {
      const far = (own[0] - other[0]) ** 2 + (own[1] - other[1]) ** 2 + (own[2] - other[2]) ** 2;
      if (far < least) { least = far; best = number; }
    });
    return [best, least];
  };
  let palette = [], apart = 0;
  do {
    palette = [];
    for (const own of ranked.map(parts)) {
      if (nearest(own, palette)[1] > apart && palette.push(own) > 256) break;
    }
    apart = apart * 1.5 + 8;
  } while (palette.length > 256);
  const numbers = new Map(ranked.map((pixel) => [pixel, nearest(parts(pixel), palette)[0]]));
  const rows = Uint8Array.from(pixels, (pixel) => numbers.get(pixel));
  let text = "";
  for (let i = 0; i < rows.length; i += 8192) text += String.fromCharCode(...rows.subarray(i, i + 8192));
  return {width: canvas.width, height: canvas.height, palette: palette.flat(), rows: btoa(text)};
}"""


def main() -> int:
    """Make all pictures; return the exit code."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="waybill-pictures-") as folder:
        asyncio.run(_run(Path(folder)))
    return 0


async def _run(folder: Path) -> None:
    async with Internet() as internet:
        entrance.publish(internet.dns, host="mx1.accepts.example")
        smtp, dashboard = HostPort("127.0.0.1", free_port()), HostPort("127.0.0.1", free_port())
        config = folder / "config.toml"
        config.write_text(to_toml(configuration(internet, smtp=smtp, dashboard=dashboard, ladder=LONG)), "utf-8")
        way_in = await asyncio.to_thread(entrance.prepare, config)
        node = Node(config)
        node.start()
        try:
            await asyncio.to_thread(node.wait_listening, [dashboard])
            pages = await asyncio.to_thread(_pages, config)
            async with async_playwright() as player:
                browser = await player.chromium.launch(executable_path="/usr/bin/chromium", args=_FLAGS)
                await _photograph(browser, way_in, pages)
                await browser.close()
        finally:
            await asyncio.to_thread(node.stop)


def _pages(config_path: Path) -> dict[str, str]:
    """Choose what is shown; wait until the relay has looked for the right spelling of a mistyped address."""
    config = load(config_path)
    with open_store(config.store.url, config.base_dir) as store:
        _wait(store, lambda tx: any(one.suggestion for one in notices.search(tx, address=_MISTYPED)))
        mistyped = store.read_now(lambda tx: log.search(tx, Query(to=_MISTYPED, limit=1)))[0]
        blocked = store.read_now(lambda tx: log.search(tx, Query(to=_BLOCKED, limit=1)))[0]
        booking = store.read_now(_fullest_booking)
    return {
        "home": "/",
        "log": "/log",
        "message": f"/m/{mistyped.id}",
        "booking": f"/bookings/{booking}",
        "customer": f"/customers/of/{blocked.id}",
        "todo": "/todo",
    }


def _fullest_booking(tx: Tx) -> str:
    """Name the booking whose mails fared most differently."""
    found: dict[str, list[str]] = {}
    for row in log.search(tx, Query(limit=900)):
        if row.booking:
            found.setdefault(row.booking, []).append(row.status)

    def telling(booking: str) -> tuple[bool, int, int, str]:
        return Status.SUPPRESSED not in found[booking], len(set(found[booking])), len(found[booking]), booking

    return max(found, key=telling)


def _wait(store: Store, is_there: Callable[[Tx], bool]) -> None:
    end = datetime.now(UTC).timestamp() + _SETTLED
    while not store.read_now(is_there):
        if datetime.now(UTC).timestamp() > end:
            raise SystemExit("the relay found no suggestion in time")


async def _photograph(browser: Browser, way_in: entrance.Entrance, pages: dict[str, str]) -> None:
    light = await browser.new_context(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
    page, desk = await light.new_page(), await light.new_page()
    await page.goto(way_in.link)
    if "/link/" in page.url:
        await page.get_by_role("button").first.click()
        await page.wait_for_url(f"{way_in.url}/")
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for name, path in pages.items():
            await page.goto(way_in.url + path)
            target = _FOLDER / f"{name}-{scheme}.png"
            target.write_bytes(await _with_palette(desk, await _picture(page)))
            print(f"{target.name}: {target.stat().st_size // 1024} kB", file=sys.stderr)


async def _picture(page: Page) -> bytes:
    """Take what fits on a screen, or less when the page ends before."""
    height = await page.evaluate("Math.ceil(document.querySelector('.foot').getBoundingClientRect().bottom + 24)")
    clip: Any = {"x": 0, "y": 0, "width": _WIDTH, "height": max(480, min(_HEIGHT, height))}
    return await page.screenshot(clip=clip, animations="disabled")


async def _with_palette(desk: Page, picture: bytes) -> bytes:
    found = await desk.evaluate(_COUNT_COLOURS, base64.b64encode(picture).decode())
    width, height = int(found["width"]), int(found["height"])
    pixels = base64.b64decode(found["rows"])
    rows = b"".join(b"\0" + pixels[start : start + width] for start in range(0, len(pixels), width))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", bytes(found["palette"])), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    sys.exit(main())
