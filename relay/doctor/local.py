"""Judge this machine: name servers, clock, disk, certificates, SQLite, Python, the data folder, the settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.doctor.answer import Answer
from relay.doctor.finding import Finding, State
from relay.wording import say

#: A question of DNS that takes longer than this slows every first mail to a domain.
SLOW_SECONDS = 0.5
_CLOCK_OFF = timedelta(seconds=30)
_CLOCK_WRONG = timedelta(minutes=5)
_DISK_BAD = 7.0  # days
_DISK_WARNING = 30.0
_CERTIFICATE_BAD = timedelta(days=3)
_CERTIFICATE_WARNING = timedelta(days=14)
_MEMORY_BUG = ((3, 14, 0), (3, 14, 5))  # the collector of these lets memory grow several times over


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverFacts:
    """How our name servers answered one question about the root."""

    servers: str
    answer: Answer
    seconds: float
    is_trusted: bool  #: by dns.trusted
    is_secure: bool  #: they checked DNSSEC, and are trusted
    wants_dane: bool  #: tls.dane


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFacts:
    """Our clock beside another."""

    other: str  #: whose
    ahead: timedelta | None = None  #: how much ours is ahead of it; None: it did not say
    why: str = ""  #: why it did not


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """The disk that the store grows on."""

    folder: str
    free: int
    reserve: int  #: intake.min_free_space
    size: int = 0  #: of the store
    per_day: float | None = None  #: bytes it grows by; None: not known
    kept: timedelta | None = None  #: retention.content; None: for ever
    is_shared: bool = False  #: the store is on a server with a disk of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """The certificate of one listener."""

    place: str  #: "listener.1 (0.0.0.0:25)"
    file: str
    ends_at: datetime | None = None
    covers_name: bool = True
    is_self_made: bool = False
    hostname: str = ""
    fault: str = ""  #: why it cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFacts:
    """A folder or file that only the relay may read."""

    path: str
    mode: int | None  #: permission bits; None: it is not there
    owner: str = ""  #: name, when it belongs to somebody else than who asks
    fault: str = ""


def check_resolver(facts: ResolverFacts) -> list[Finding]:
    """Say whether DNS answers fast, and whether its answers are checked."""
    fix = ""
    if facts.answer.is_failed:
        state, found = State.UNKNOWN, facts.answer.why
    elif facts.answer.is_missing:
        state, found = State.WARNING, say("they say that the root of DNS does not exist: they do not know the internet")
        fix = "cat /etc/resolv.conf"
    else:
        state = State.WARNING if facts.seconds > SLOW_SECONDS else State.GOOD
        found = say("answered after {count} ms", count=f"{facts.seconds * 1000:.0f}")
        fix = "apt-get install unbound" if state is State.WARNING else ""
    speed = Finding(
        id="local.resolver",
        subject=facts.servers,
        state=state,
        found=found,
        expected=say("an answer within {count} ms", count=f"{SLOW_SECONDS * 1000:.0f}"),
        fix=fix,
        why=say("Every mail begins with questions to DNS, and without answers mail waits."),
    )
    return [speed, _dnssec(facts)]


def _dnssec(facts: ResolverFacts) -> Finding:
    fix = ""
    if facts.answer.is_failed:
        state, found = State.UNKNOWN, say("no answer")
    elif facts.is_secure:
        state, found = State.GOOD, say("answers are checked, and the way to the name servers is trusted")
    elif facts.is_trusted:
        state, found = State.WARNING, say("the name servers are trusted, but they do not check DNSSEC")
        fix = "apt-get install unbound unbound-anchor"
    else:
        state = State.WARNING if facts.wants_dane else State.GOOD
        found = say("the name servers are not on this machine and not trusted (dns.trusted), so DANE is not used")
        fix = '[dns]\nservers = ["127.0.0.1:53"]  # after: apt-get install unbound' if facts.wants_dane else ""
    return Finding(
        id="local.dnssec",
        subject=facts.servers,
        state=state,
        found=found,
        expected=say("name servers on this machine that check DNSSEC"),
        fix=fix,
        why=say("Only with checked answers can TLSA records protect mail from whoever stands on the way (DANE)."),
    )


def check_clock(facts: ClockFacts) -> Finding:
    """Say whether our clock is right."""
    fix = ""
    if facts.ahead is None:
        state, found = State.UNKNOWN, facts.why
    else:
        seconds = facts.ahead.total_seconds()
        found = say("equal")
        if abs(seconds) >= 1:
            count = f"{abs(seconds):.0f}"
            ahead, behind = say("ours is {count} s ahead", count=count), say("ours is {count} s behind", count=count)
            found = ahead if seconds > 0 else behind
        off = abs(facts.ahead)
        state = State.BAD if off > _CLOCK_WRONG else State.WARNING if off > _CLOCK_OFF else State.GOOD
        fix = "" if state is State.GOOD else "timedatectl set-ntp true"
    return Finding(
        id="local.clock",
        subject=facts.other,
        state=state,
        found=found,
        expected=say("a difference of less than {count} s", count=_CLOCK_OFF.seconds),
        fix=fix,
        why=say(
            "With a wrong clock mail is dated wrong, signatures and certificates seem invalid, tries come too late."
        ),
    )


def check_disk(facts: DiskFacts) -> Finding:
    """Say for how many days the store may go on growing."""
    room = facts.free - facts.reserve
    days = _days_left(facts)
    fix = ""
    found = say("{size} free", size=_size(facts.free))
    if facts.is_shared:
        found += "; " + say("the store's own disk is on its server and was not looked at")
    if room <= 0:
        state = State.BAD
        found += "; " + say("less than the {size} that intake wants", size=_size(facts.reserve))
    elif days is None:
        state = State.GOOD
        found += "; " + say("enough for as long as mail is kept") if facts.per_day is not None else ""
    else:
        state = State.BAD if days < _DISK_BAD else State.WARNING if days < _DISK_WARNING else State.GOOD
        found += "; " + say("{count} days at {size} a day", count=f"{days:.0f}", size=_size(int(facts.per_day or 0)))
    if state is not State.GOOD:
        fix = f'df -h {facts.folder}\n[retention]\ncontent = "30d"'
    return Finding(
        id="local.disk",
        subject=facts.folder,
        state=state,
        found=found,
        expected=say("room for {count} days", count=f"{_DISK_WARNING:.0f}"),
        fix=fix,
        why=say("When the disk is full, apps are told to try later, and old ones lose their mail."),
    )


def _days_left(facts: DiskFacts) -> float | None:
    """None: it will not fill up, or nothing is known of its growth."""
    if not facts.per_day:
        return None
    room = facts.free - facts.reserve
    if facts.kept is not None:
        at_most = facts.per_day * (facts.kept / timedelta(days=1))
        if at_most - facts.size <= room:
            return None
    return max(room / facts.per_day, 0.0)


def check_certificate(facts: CertificateFacts, *, now: datetime) -> Finding:
    """Say how long a certificate still holds, and whether it is for our name."""
    state, found = State.GOOD, ""
    if facts.fault or facts.ends_at is None:
        state, found = State.BAD, facts.fault
    else:
        left = facts.ends_at - now
        found = (
            say("{count} days left", count=left.days)
            if left > timedelta()
            else say("it ended {count} days ago", count=-left.days)
        )
        if left < _CERTIFICATE_BAD:
            state = State.BAD
        elif left < _CERTIFICATE_WARNING:
            state = State.WARNING
        if facts.is_self_made:
            found += "; " + say("self-signed")
        elif not facts.covers_name:
            state = State.BAD if state is State.BAD else State.WARNING
            found += "; " + say("it is not for {host}", host=facts.hostname)
    return Finding(
        id="local.certificate",
        subject=facts.place,
        state=state,
        found=found,
        expected=say("more than {count} days, for {host}", count=_CERTIFICATE_WARNING.days, host=facts.hostname),
        fix=_certificate_fix(facts, state),
        why=say("Apps that check certificates stop sending the moment it ends."),
    )


def _certificate_fix(facts: CertificateFacts, state: State) -> str:
    if state is State.GOOD:
        return ""
    if facts.is_self_made:
        return f"rm {facts.file} && systemctl restart waybill"
    return f"openssl x509 -noout -dates -ext subjectAltName -in {facts.file}\ncertbot renew"


def check_sqlite(version: str, *, is_affected: bool) -> Finding:
    """Say whether the SQLite in use may be written to by several processes."""
    found = (
        say("{version}, which can corrupt a store that two processes write", version=version)
        if is_affected
        else version
    )
    return Finding(
        id="local.sqlite",
        subject="SQLite",
        state=State.WARNING if is_affected else State.GOOD,
        found=found,
        expected=say("3.51.3 or newer"),
        fix="pip install 'pysqlite3>=0.6.1'" if is_affected else "",
        why=say("With an affected one everything runs in one process, and writing commands are refused while it runs."),
    )


def check_python(version: tuple[int, int, int]) -> Finding:
    """Say whether this Python is known to let memory grow."""
    is_affected = _MEMORY_BUG[0] <= version < _MEMORY_BUG[1]
    shown = ".".join(str(part) for part in version)
    return Finding(
        id="local.python",
        subject="Python",
        state=State.WARNING if is_affected else State.GOOD,
        found=say("{version}, whose garbage collector needs several times the memory", version=shown)
        if is_affected
        else shown,
        expected=say("3.11 or newer, not 3.14.0 to 3.14.4"),
        fix="apt-get install --only-upgrade python3.14" if is_affected else "",
        why=say("A relay that runs out of memory is killed in the middle of its work."),
    )


def check_folder(facts: FolderFacts) -> Finding:
    """Say whether anybody else can read what only the relay should."""
    fix = ""
    if facts.mode is None:
        state, found = State.UNKNOWN, facts.fault or say("it is not there yet; the first start makes it")
    elif facts.mode & 0o007:
        state, found, fix = (
            State.BAD,
            say("every user may enter it ({mode})", mode=f"{facts.mode:04o}"),
            f"chmod go= {facts.path}",
        )
    elif facts.owner:
        state, found = State.WARNING, say("it belongs to {owner}, not to who asks", owner=facts.owner)
        fix = f"sudo -u {facts.owner} waybill doctor"
    elif facts.mode & 0o070:
        state, found, fix = (
            State.WARNING,
            say("its group may enter it ({mode})", mode=f"{facts.mode:04o}"),
            f"chmod go= {facts.path}",
        )
    else:
        state, found = State.GOOD, f"{facts.mode:04o}"
    return Finding(
        id="local.data_dir",
        subject=facts.path,
        state=state,
        found=found,
        expected=say("0700, owned by the user that runs the relay"),
        fix=fix,
        why=say("It holds every mail of the last months, and the keys that sign in your name."),
    )


def check_settings(problems: list[str], notices: list[str]) -> list[Finding]:
    """Give what is wrong with the configuration, or may be."""
    found = [(State.BAD, text) for text in problems] + [(State.WARNING, text) for text in notices]
    return [_setting(state, text) for state, text in found] or [_setting(State.GOOD, say("nothing is wrong with it"))]


def _setting(state: State, text: str) -> Finding:
    return Finding(
        id="local.config",
        subject=say("configuration"),
        state=state,
        found=text,
        expected=say("no fault and no warning"),
        fix="" if state is State.GOOD else "waybill check-config",
        why=say("What is set wrong shows itself at the next start, or with the first mail it is about."),
    )


def store_fault(text: str) -> Finding:
    """Say that the store cannot be read."""
    return Finding(
        id="local.store",
        subject=say("store"),
        state=State.BAD,
        found=text,
        expected=say("a store that opens"),
        fix="waybill verify",
        why=say("Nothing is accepted and nothing is sent without it."),
    )


def _size(count: int) -> str:
    for unit, step in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if abs(count) >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} bytes"
