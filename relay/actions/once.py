"""Do the work of one form or request once, however often it is sent.

The first use of a token does the work and keeps its answer, in one transaction; every later use gets that answer and
does nothing. A work that raises keeps nothing, so that it can be tried again with the same token.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from relay.actions.answer import Answer
from relay.store import form_tokens
from relay.store.protocols import Tx


def once(tx: Tx, token: str, action: Callable[[Tx], Answer], *, now: datetime) -> Answer:
    """Run an action, or give the answer of its first run."""
    earlier = form_tokens.take(tx, token, now=now)
    if earlier is not None:
        kept = json.loads(earlier)
        return Answer(**{**kept, "deliveries": tuple(kept["deliveries"])})
    answer = action(tx)
    form_tokens.save(tx, token, result=json.dumps(asdict(answer), ensure_ascii=False))
    return answer
