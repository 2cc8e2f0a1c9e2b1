"""The fixtures of the pages' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboard.house import House
from tests.dashboard.house import house as open_house


@pytest.fixture
def house(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[House]:
    with open_house(tmp_path, capsys) as opened:
        yield opened
