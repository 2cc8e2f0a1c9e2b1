"""Colours of the device's own, and no motion: statuses are told apart by words, shapes and borders, nothing moves."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.acceptance.browser import sight
from tests.acceptance.conftest import FullHouse
from tests.acceptance.test_pages import address_of

PAGES = ["/", "/log", "/m/{unknown}", "/bookings/{booking}", "/customers/of/{blocked}", "/todo", "/help/statuses"]

#: Each tag: has it words, an edge, and a shape in the colour of its words?
_TAGS = """() => [...document.querySelectorAll('.tag')].filter(tag => tag.getClientRects().length).map(tag => {
  const style = getComputedStyle(tag), icon = tag.querySelector('.icon'), box = icon?.getBoundingClientRect();
  return {
    text: tag.textContent.trim(), tone: tag.className,
    shape: icon?.querySelector('use').getAttribute('href').split('#')[1] || '',
    isEdged: parseFloat(style.borderTopWidth) >= 1 && style.borderTopStyle === 'solid',
    isDrawn: Boolean(box) && box.width > 8 && getComputedStyle(icon).color === style.color
      && style.color !== getComputedStyle(document.documentElement).backgroundColor,
  };
})"""

#: What moves, or would; a box of our own that should move proves that the page forbids it.
_MOVING = """() => {
  const own = document.createElement('p');
  own.style.transition = 'opacity 9s';
  document.querySelector('main').append(own);
  const moves = (one) => getComputedStyle(one).transitionDuration.split(',').some(time => parseFloat(time) > 0)
    || getComputedStyle(one).animationName !== 'none';
  const found = [...document.querySelectorAll('*')].filter(one => one !== own && moves(one)).length;
  return { found: found + document.getAnimations().length, own: moves(own) };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_statuses_are_told_apart_in_the_colours_of_the_device(
    browser: Browser, full_house: FullHouse, scheme: str
) -> None:
    shapes: dict[str, set[str]] = {}
    with sight(browser, full_house.base, who=full_house.sessions["alice"]) as seen:
        seen.page.emulate_media(color_scheme=scheme, forced_colors="active")  # type: ignore[arg-type]
        for path in PAGES:
            page = seen.open(address_of(path, full_house)).page
            for tag in page.evaluate(_TAGS):
                assert tag["text"], path
                assert tag["isEdged"], (path, tag)
                assert tag["isDrawn"], (path, tag)
                shapes.setdefault(tag["tone"], set()).add(tag["shape"])
    tones = [shapes[f"tag {tone}"] for tone in ("ok", "wait", "bad")]
    assert len(set.union(*tones)) >= 3
    assert not tones[0] & tones[1]
    assert not tones[0] & tones[2]


def test_nothing_moves_for_whom_motion_is_trouble(browser: Browser, full_house: FullHouse) -> None:
    with sight(browser, full_house.base, who=full_house.sessions["alice"]) as seen:
        page = seen.open("/").page
        assert page.evaluate(_MOVING)["own"]
        page.emulate_media(reduced_motion="reduce")
        for path in ("/", "/log", "/m/{unknown}"):
            assert seen.open(address_of(path, full_house)).page.evaluate(_MOVING) == {"found": 0, "own": False}, path
