"""One receiving site: how many connections it gets, how fast, and when it is left alone.

A site is the set of MX hosts that serve a domain, or one host:port of a route; thousands of domains may share one.

Limits. At most `connections` at a time, `rate` transactions in any window of its length, and one look at a time at a
site that has not answered within the last minute, so that ten thousand mails for a dead server cost one connection.
A server that refuses a further connection while others are open gets fewer for a minute. Slower paces that a person
ordered are gates.py.

Turns. First tries and retries take turns, and within each kind the apps (lanes.py), so that neither a backlog nor the
burst of one app keeps another's new mail waiting.

Back-off. rate_limited, reputation_block, or a failure of all its hosts at connect, greeting or EHLO sends the whole
site away for one step of the retry ladder (with its jitter), or for as long as its answer asks when that is longer.
When the step is over exactly one transaction probes it: a failure is the next step, a success resets to step one and
lets the connections grow back to full within 20 deliveries. While mail with a deadline waits, no step is longer than a
third of the time that it has left. Results of transactions begun before the back-off change nothing: they belong to the
same trouble.

Room. How many deliveries of a site may wait in memory follows from what it completed in the last five seconds, so
that a slow or hung site never fills the claim budget while a fast one may. An app that has less than its share of the
room waiting always finds room.

No I/O and no clock here; `now` is wall time (it is stored), `mono` counts seconds and never jumps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta

from relay.delivery.gates import Gates
from relay.delivery.lanes import Lane
from relay.delivery.meters import WINDOW_SECONDS, RateWindow, Throughput
from relay.delivery.transaction import Transaction
from relay.delivery.try_again import heeded
from relay.model import Category
from relay.retry import ladder_step
from relay.settings import SiteLimits
from relay.store.sites import SiteRow

#: Deliveries of one site that may always wait in memory.
MIN_ROOM = 50
#: Seconds of work before a site is judged by its pace.
DOUBT = 2.0
#: An answer makes a site known for this long; an unknown one is looked at with one connection first.
KNOWN_FOR = 60.0
#: How long a site that refused a further connection keeps the smaller limit.
SHRUNK_FOR = 60.0
_STORED_AFTER = 5.0  #: seconds after which a back-off is surely stored
_PROBE_LATER = timedelta(seconds=6)  #: a beat, and the second it takes to notice
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
#: Seconds that retries stay away from a site for whose look there is no room: so long at first, then twice that, …
_UNSEEN_PAUSES = (30.0, 240.0)
_GROWTH = 20  #: deliveries until full concurrency after a back-off


class Site:
    """The limits, the health and the waiting transactions of one site in this process."""

    def __init__(self, key: str, limits: SiteLimits, *, gates: Gates | None = None) -> None:
        """`gates`: the slower paces ordered for this process, shared by all sites."""
        self.key = key
        self.limits = limits
        self._gates = gates or Gates()
        self.step = 0  #: 0: healthy; else the step of the ladder it is backing off on
        self.until_at: datetime | None = None
        self.category: Category | None = None
        self.reply = ""
        self.generation = 0
        self.is_probing = False
        self.domains: set[str] = set()  #: whose deliveries were sent away while it backs off
        self.load = 0  #: deliveries in memory: waiting or in a transaction
        self._busy_since = float("-inf")
        self._failed_mono = float("-inf")
        self.workers = 0
        self.connecting = 0
        self.sessions = 0
        self._allowed = limits.connections
        self._known_until = float("-inf")
        self._shrunk_until = float("-inf")
        self._throughput = Throughput()
        self._rate = RateWindow(limits.rate) if limits.rate is not None else None
        self._fresh = Lane()
        self._due = Lane()
        self._is_due_next = False
        self._pushed_at = float("-inf")
        self._unseen_pause = 0.0
        self._unseen_until = float("-inf")
        self._recorded_at = _NEVER  #: when its back-off last changed, here or in a process we heard of

    def limit_to(self, limits: SiteLimits) -> None:
        """Take other limits from now on: the share of this process has changed."""
        is_full = self._allowed >= self.limits.connections
        self._allowed = limits.connections if is_full else min(self._allowed, limits.connections)
        self.limits = limits
        if self._rate is not None and limits.rate is not None:
            self._rate.change(limits.rate)

    # -- waiting transactions

    @property
    def queued(self) -> int:
        """Transactions that wait."""
        return len(self._fresh) + len(self._due)

    @property
    def has_fresh(self) -> bool:
        """Tell whether a first try waits."""
        return bool(self._fresh)

    def queue(self, transaction: Transaction, *, is_first: bool = False) -> None:
        """Let a transaction wait; `is_first` puts back one that was already taken."""
        lane = self._fresh if transaction.is_fresh else self._due
        (lane.put_back if is_first else lane.append)(transaction, self._gates.group_of(transaction))

    def take(self, now: datetime, *, mono: float, is_due_allowed: bool = True) -> Transaction | None:
        """Take the next transaction that may begin now: first tries and retries in turn, app by app."""
        if not self._may_begin(now, mono=mono):
            return None
        transaction = self._take_from_lanes(mono, is_due_allowed=is_due_allowed)
        if transaction is None:
            return None
        self._is_due_next = transaction.is_fresh
        self._gates.spend(transaction, site_key=self.key, mono=mono)
        transaction.generation = self.generation
        transaction.taken_at = mono
        transaction.is_probe = self.is_probing = self.step > 0
        if self._rate is not None:
            self._rate.spend(mono)
        return transaction

    def drain(self) -> list[Transaction]:
        """Take everything that waits, to send it away."""
        waiting = [*self._fresh, *self._due]
        self._fresh.clear()
        self._due.clear()
        return waiting

    def rate_wait(self, mono: float) -> float:
        """Return the seconds until the rates, configured and ordered, let the next one go."""
        heads = [*self._fresh.heads(), *self._due.heads()]
        ordered = min((self._gates.wait(head, site_key=self.key, mono=mono) for head in heads), default=0.0)
        return max(self._rate.wait(mono) if self._rate is not None else 0.0, ordered)

    def _may_begin(self, now: datetime, *, mono: float) -> bool:
        if self.step > 0 and (self.is_probing or self.is_backing_off(now)):
            return False
        return self._rate is None or self._rate.wait(mono) <= 0.0

    def _take_from_lanes(self, mono: float, *, is_due_allowed: bool) -> Transaction | None:
        lanes = (self._due, self._fresh) if self._is_due_next else (self._fresh, self._due)
        for lane in lanes:
            if lane is self._due and not is_due_allowed:
                continue
            found = lane.take(lambda each: self._gates.wait(each, site_key=self.key, mono=mono) <= 0.0)
            if found is not None:
                return found
        return None

    # -- connections

    def may_connect(self, mono: float) -> bool:
        """Tell whether one more connection may be opened."""
        if self.limits.connections == 0:
            return False
        if self.step > 0:
            return not self.connecting  # for the probe, however long an old transaction still takes
        if self.connecting and not self.is_known(mono):
            return False
        return self.workers < self._allowed

    @property
    def is_over_limit(self) -> bool:
        """Tell whether there are more connections than this process may have by now."""
        return self.workers > self.limits.connections

    def answered(self, mono: float, transaction: Transaction | None = None) -> None:
        """Note that a session was opened, for this transaction: the site is alive, and its rate counts from now."""
        self._known_until = mono + KNOWN_FOR
        self._unseen_pause = 0.0
        if self._rate is not None and transaction is not None:
            self._rate.postpone(transaction.taken_at, mono)

    def is_known(self, mono: float) -> bool:
        """Tell whether somebody answered there within the last minute."""
        return mono <= self._known_until

    def shrink(self, mono: float) -> None:
        """Note that it refused a further connection while others were open."""
        self._allowed = max(1, self.sessions)
        self._shrunk_until = mono + SHRUNK_FOR

    # -- health

    def is_backing_off(self, now: datetime) -> bool:
        """Tell whether the site is to be left alone now."""
        return self.step > 0 and self.until_at is not None and now < self.until_at

    def completed(self, count: int, *, mono: float) -> None:
        """Count deliveries that ended or were deferred by a word about them, not about the site."""
        self._throughput.add(count, mono)

    def succeeded(self, transaction: Transaction, *, mono: float) -> bool:
        """Note that the site took part in a transaction as it should; tell whether that ended a back-off."""
        if transaction.generation != self.generation:
            return False
        self._known_until = mono + KNOWN_FOR
        if self._allowed < self.limits.connections and mono >= self._shrunk_until:
            grown = self._allowed + -(-self.limits.connections // _GROWTH)
            self._allowed = min(self.limits.connections, grown)
        if self.step == 0:
            return False
        self.step = 0
        self.until_at = self.category = None
        self.reply = ""
        self.generation += 1
        return True

    def failed(
        self,
        transaction: Transaction,
        now: datetime,
        *,
        mono: float,
        category: Category,
        reply: str,
        ladder: Sequence[timedelta],
        random: Callable[[], float],
    ) -> bool:
        """Note trouble with the whole site; tell whether that began a back-off or its next step."""
        if transaction.generation != self.generation:
            return False
        self.step += 1
        self.generation += 1
        self._failed_mono = mono
        asked = heeded(reply, ladder=ladder, random=random)
        self.until_at = now + max(ladder_step(self.step, ladder=ladder, random=random), asked)
        self.category = category
        self.reply = reply
        self._allowed = 1
        self._shrunk_until = self._known_until = float("-inf")
        return True

    def hasten(self, until: datetime) -> bool:
        """Let the probe go by then at the latest: mail with a deadline waits; tell whether that is sooner."""
        if self.step == 0 or self.until_at is None or self.until_at <= until:
            return False
        self.until_at = until
        return True

    def ended(self, transaction: Transaction) -> None:
        """Note that a taken transaction is over, whatever came of it."""
        if transaction.is_probe:
            self.is_probing = False
            transaction.is_probe = False

    def is_pardoned(self, keys: Collection[str], *, now: datetime, mono: float) -> bool:
        """Let the probe go now when somebody removed the stored back-off; `keys` are those still stored.

        A back-off of the last seconds may not be stored yet, and is left alone.
        """
        if not self.is_backing_off(now) or self.key in keys or mono - self._failed_mono < _STORED_AFTER:
            return False
        self.until_at = now
        return True

    def restore(self, record: SiteRow) -> None:
        """Take over what an earlier process knew."""
        self.step = record.step
        self.until_at = record.until_at
        self.category = record.category
        self.reply = record.reply or ""
        if self.step > 0:
            self._allowed = 1

    def adopt(self, record: SiteRow) -> bool:
        """Back off as another process found it must, if that is newer than what we know; tell whether it is.

        We probe a little later than who found it, so that one probe tells all.
        """
        if record.step == 0 or record.until_at is None or record.updated_at <= self._recorded_at:
            return False
        self.restore(record)
        self.until_at = record.until_at + _PROBE_LATER
        self._recorded_at = record.updated_at
        self.generation += 1
        return True

    def record(self, now: datetime) -> SiteRow:
        """Return what is to outlive this process."""
        self._recorded_at = now
        return SiteRow(
            key=self.key,
            step=self.step,
            until_at=self.until_at,
            category=self.category,
            reply=self.reply,
            updated_at=now,
        )

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing would be lost by forgetting it."""
        return self.step == 0 and not self.load and not self.workers and self._rate is None and not self.domains

    # -- room

    def add_load(self, count: int, *, mono: float) -> None:
        """Count deliveries that came into memory, or (negative) left it."""
        if self.load == 0:
            self._busy_since = mono
        self.load += count

    def has_room(self, mono: float, *, app: str = "") -> bool:
        """Tell whether more of its deliveries, those of this app, may wait in memory when memory is short.

        A site that was idle until a moment ago has not shown yet how fast it is, and may take all there is.
        """
        room = self._room(mono)
        if self.load < room:
            return True
        waiting = self._fresh.load_of(app) + self._due.load_of(app)
        return bool(app) and waiting < room / len({app} | self._fresh.apps | self._due.apps)

    def expect(self, mono: float) -> None:
        """Judge its pace from here on: that nothing was completed until now was not its doing."""
        self._busy_since = mono

    def trim(self, mono: float) -> list[Transaction]:
        """Take out what waits beyond the room, the newest first."""
        out = []
        excess = self.load - self._room(mono)
        for lane in (self._due, self._fresh):
            while excess > 0 and lane:
                out.append(lane.take_newest())
                excess -= len(out[-1].claims)
        return out

    def _room(self, mono: float) -> float:
        if self.step == 0 and mono - self._busy_since < DOUBT:
            return float("inf")
        return max(MIN_ROOM, 2 * self._throughput.total(mono))

    def away_for(self, now: datetime, *, mono: float, ladder: Sequence[timedelta], is_retry: bool = False) -> timedelta:
        """Say for how long a delivery that cannot wait in memory is sent away.

        While backing off: until the step ends, or for one more step while a probe runs (its success calls them
        back). When merely full: the deliveries sent away are spread as the site works them off, 1 to 60 s; retries
        for a site that nobody has answered from longer each time, for its first answer calls them back.
        """
        if self.step > 0:
            if self.until_at is not None and now < self.until_at:
                return self.until_at - now
            return ladder[min(self.step, len(ladder)) - 1]
        pace = max(10.0, self._throughput.total(mono) / WINDOW_SECONDS)
        self._pushed_at = max(self._pushed_at, mono) + 1 / pace
        spread = min(60.0, max(1.0, self._pushed_at - mono))
        is_unseen = is_retry and not self.is_known(mono) and self.limits.connections > 0
        return timedelta(seconds=spread + (self._wait_unseen(mono) if is_unseen else 0.0))

    def _wait_unseen(self, mono: float) -> float:
        if mono >= self._unseen_until:
            least, most = _UNSEEN_PAUSES
            self._unseen_pause = min(most, max(least, 2 * self._unseen_pause))
            self._unseen_until = mono + self._unseen_pause
        return self._unseen_until - mono
