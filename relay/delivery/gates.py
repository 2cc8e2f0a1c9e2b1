"""The slower paces that people ordered: by everything, site, domain or app, each a rate of transactions.

A transaction goes when every gate that it must pass is open, and is counted at each. Of several delivery processes each
keeps to its part of the rate; where there are more processes than transactions in the rate, each gets one in so much
longer a time, which together is the ordered rate on average. No I/O and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay.delivery.meters import RateWindow
from relay.delivery.share import Share
from relay.delivery.site_keys import is_of_site
from relay.delivery.transaction import Transaction
from relay.settings import Rate, parse_rate
from relay.store.steering import Steer


@dataclass(frozen=True, slots=True)
class _Gate:
    steer: Steer
    rate: Rate
    window: RateWindow

    def is_passed_by(self, transaction: Transaction, *, site_key: str) -> bool:
        scope, value = self.steer.scope, self.steer.value
        if scope == "site":
            return is_of_site(site_key, value)
        if scope == "domain":
            return any(claim.delivery.domain == value for claim in transaction.claims)
        return scope == "all" or transaction.message.app == value


class Gates:
    """All gates of one process."""

    def __init__(self) -> None:
        self._gates: dict[tuple[str, str], _Gate] = {}

    def change(self, steers: Iterable[Steer], *, share: Share) -> bool:
        """Keep to these from now on, what went already counts; tell whether that changed anything."""
        before, after = self._gates, dict[tuple[str, str], _Gate]()
        for steer in steers:
            rate = _part(parse_rate(steer.target), of=len(share.owners))
            old = before.get((steer.scope, steer.value))
            window = old.window if old is not None else RateWindow(rate)
            if old is not None and old.rate != rate:
                window.change(rate)
            after[steer.scope, steer.value] = _Gate(steer, rate, window)
        self._gates = after
        return {key: gate.rate for key, gate in before.items()} != {key: gate.rate for key, gate in after.items()}

    def wait(self, transaction: Transaction, *, site_key: str, mono: float) -> float:
        """Return the seconds until the transaction may go."""
        if not self._gates:
            return 0.0
        return max((gate.window.wait(mono) for gate in self._of(transaction, site_key)), default=0.0)

    def spend(self, transaction: Transaction, *, site_key: str, mono: float) -> None:
        """Count a transaction that goes."""
        for gate in self._of(transaction, site_key):
            gate.window.spend(mono)

    def group_of(self, transaction: Transaction) -> str:
        """Say with whom a transaction waits its turn: its app, and the domain if that one is slowed down."""
        app = transaction.message.app
        for scope, value in self._gates:
            if scope == "domain" and any(claim.delivery.domain == value for claim in transaction.claims):
                return f"{app} {value}"
        return app

    def _of(self, transaction: Transaction, site_key: str) -> list[_Gate]:
        return [gate for gate in self._gates.values() if gate.is_passed_by(transaction, site_key=site_key)]


def _part(rate: Rate, *, of: int) -> Rate:
    if of <= 1:
        return rate
    if rate.count >= of:
        return Rate(count=rate.count // of, per=rate.per)
    return Rate(count=1, per=rate.per * of / rate.count)
