"""`make corpus`: every figure about understanding replies and returned mail, measured anew and printed as Markdown.

Each part is a function that takes the line printer; a part whose samples are absent says so and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.corpus_returned import print_returned
from bench.replies import print_replies

PARTS: tuple[Callable[[Callable[[str], None]], None], ...] = (print_replies, print_returned)


def main() -> None:
    """Print all parts."""
    for part in PARTS:
        part(print)


if __name__ == "__main__":
    main()
