"""What each page loads beside itself stays small."""

from __future__ import annotations

import pytest

from dashboard.static import asset


@pytest.mark.parametrize(
    ("name", "most_bytes"), [("waybill.css", 12_000), ("waybill.js", 15_000), ("icons.svg", 6_000)]
)
def test_a_file_of_every_page_is_small(name: str, most_bytes: int) -> None:
    found = asset(name)
    assert found is not None
    assert 100 < len(found.compressed) <= most_bytes
