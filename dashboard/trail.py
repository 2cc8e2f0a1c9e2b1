"""The way through a long list, kept in the address: `before=900.850` is the third page, reached over two others.

Lists go by key ("older than the last one seen"), so that a page costs the same wherever it is. The keys of the pages
before it stand in front, which is how "Newer" finds its way back without asking the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

#: A longer way back starts again at the newest.
_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Trail:
    """Where a list is open."""

    keys: tuple[int, ...] = ()

    @classmethod
    def read(cls, text: str) -> Trail:
        """Read what stands in an address; nonsense is the first page."""
        parts = text.split(".") if text else []
        if len(parts) > _DEPTH or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
            return cls()
        return cls(tuple(int(part) for part in parts))

    @property
    def before(self) -> int | None:
        """The key that the rows of this page are older than; None: it is the first."""
        return self.keys[-1] if self.keys else None

    def links(self, path: str, params: Mapping[str, str], older: int | None) -> Pager:
        """Give the addresses of the pages beside this one; `older` is the key that the next one begins below."""
        newer = self._url(path, params, self.keys[:-1]) if self.keys else ""
        return Pager(newer=newer, older=self._url(path, params, (*self.keys, older)) if older is not None else "")

    def _url(self, path: str, params: Mapping[str, str], keys: tuple[int, ...]) -> str:
        kept = {name: value for name, value in params.items() if value}
        if keys:
            kept["before"] = ".".join(str(key) for key in keys[-_DEPTH:])
        return f"{path}?{urlencode(kept)}" if kept else path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """Newer and Older; "" where there is nothing."""

    newer: str
    older: str
