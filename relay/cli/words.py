"""Words that several commands print."""

from __future__ import annotations

#: Who can act, by the catalogue's word.
WHO = {"customer": "the customer", "you": "you", "admin": "your admin", "wait": "nobody: wait"}
