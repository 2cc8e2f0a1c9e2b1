"""Is everything working? What is wrong just now, in one sentence each, the worst first.

Policy. Wrong is what keeps mail from arriving or being accepted: a disk that is nearly full, nobody who sends, a pause
of everything, an open incident, too many failures. Nothing else may be said here, so that "Everything is working" can
be believed. A person who sees the mail of some apps alone hears of incidents only that concern those.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.marking import N_
from dashboard.tongue import Tongue
from relay.actions import concerns
from relay.settings import Config
from relay.store import incidents, nodes, pauses, tallies
from relay.store.incidents import Incident
from relay.store.protocols import Tx
from relay.store.stats import Rate

#: New mail that is due so long and taken by nobody says that nobody sends.
_UNTAKEN = timedelta(minutes=5)

#: A delivery process is heard of every few seconds.
_SILENT = timedelta(minutes=1)

#: From here on somebody should make room, before new mail is refused.
_DISK_WARN = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that is wrong."""

    text: str
    address: str = ""  #: the page that shows it
    is_bad: bool = True  #: False: it needs a look, and mail still goes


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """How full the disk with the mail is."""

    used: float  #: between 0 and 1
    is_refusing: bool  #: new mail is refused until there is room


def disk_of(config: Config) -> Disk | None:
    """Look at the disk; None when it cannot be said."""
    try:
        usage = shutil.disk_usage(config.data_dir)
    except OSError:
        return None
    used = (usage.total - usage.free) / usage.total if usage.total else 0.0
    return Disk(used=used, is_refusing=usage.free < config.intake.min_free_space)


def incident_text(incident: Incident, tongue: Tongue) -> str:
    """Say what an incident is about, for everybody."""
    subject = incident.subject
    source = {
        "smarthost": N_("The mail service of {app} refuses us."),
        "resolver": N_("Our name servers cannot find {domain}."),
        "content": N_("{domain} refuses the content of our emails."),
    }.get(subject.kind.value, N_("{domain} refuses our emails."))
    return tongue.text(source).format(app=subject.app, domain=subject.domain or tongue.text(N_("many domains")))


def troubles(
    tx: Tx, *, tongue: Tongue, disk: Disk | None, rate: Rate, now: datetime, apps: Sequence[str] | None
) -> list[Trouble]:
    """List what is wrong."""
    found = [*_disk(disk, tongue), *_sending(tx, tongue, now)]
    scope = None if apps is None else tuple(apps)
    for incident in incidents.every(tx, limit=20):
        if concerns(tx, incident, scope):
            count = tongue.plural("{count} email is affected.", "{count} emails are affected.", incident.count)
            text = f"{incident_text(incident, tongue)} {count.format(count=tongue.number(incident.count))}"
            has_stopped = incidents.pause_of(tx, incident) is not None
            found.append(Trouble(text=text, address=f"/incidents/{incident.id}", is_bad=has_stopped))
    if rate.is_low and rate.value is not None:
        text = tongue.text(N_("Only {percent} of the emails of the last 24 hours were delivered."))
        found.append(
            Trouble(
                text=text.format(percent=tongue.percent(rate.value)),
                address="/log?status=not_delivered&since=24h",
                is_bad=False,
            )
        )
    return sorted(found, key=lambda one: not one.is_bad)


def _disk(disk: Disk | None, tongue: Tongue) -> list[Trouble]:
    if disk is None:
        return []
    if disk.is_refusing:
        return [Trouble(text=tongue.text(N_("The disk is full: new emails are refused until there is room.")))]
    if disk.used >= _DISK_WARN:
        text = tongue.text(N_("The disk is nearly full ({percent})."))
        return [Trouble(text=text.format(percent=tongue.percent(disk.used)), is_bad=False)]
    return []


def _sending(tx: Tx, tongue: Tongue, now: datetime) -> list[Trouble]:
    paused = next((one for one in pauses.every(tx) if one.scope == "all"), None)
    if paused is not None:
        text = tongue.text(N_("Sending is paused since {time}: {reason}")) if paused.reason else ""
        text = text or tongue.text(N_("Sending is paused since {time}."))
        return [
            Trouble(text=text.format(time=tongue.moment(paused.since_at, now=now), reason=tongue.told(paused.reason)))
        ]
    due = tallies.due_since(tx)
    if due is not None and due < now - _UNTAKEN:
        text = tongue.text(N_("No email has been sent since {time}: the part that sends does not answer."))
        return [Trouble(text=text.format(time=tongue.moment(due, now=now)))]
    living = nodes.living(tx, now=now)
    if living and not any(one.member.role == "delivery" and one.silent < _SILENT for one in living):
        return [Trouble(text=tongue.text(N_("The part that sends emails is not running.")))]
    return []
