"""Evaluate SPF as a receiver would: may this address send mail for that domain? (RFC 7208)

Policy: the limits of the RFC hold, and whoever goes over them gets "permerror" as from a receiver: ten terms that ask
DNS in all records together, two of them that find nothing, ten names of one MX or PTR set. A name server that fails is
"temperror". `exp` is not fetched. No I/O of its own: it asks through the function it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network

from relay.address import to_a_label
from relay.doctor.answer import Answer, Ask, kind_of, reverse_name
from relay.doctor.spf_record import (
    ASKING,
    Ip,
    SpfFault,
    Term,
    expand,
    is_spf,
    macro_values,
    needs_name_of_ip,
    read_record,
)
from relay.wording import say

MAX_LOOK_UPS = 10
MAX_VOID = 2
_MAX_NAMES = 10


class Result(StrEnum):
    """The results of RFC 7208 2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_BY_QUALIFIER = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a receiver would say, and why."""

    result: Result
    records: tuple[str, ...] = ()  #: the SPF records of the domain itself; more than one is an error
    term: str = ""  #: the mechanism that decided
    text: str = ""  #: what is wrong, in words
    look_ups: int = 0
    uses_ptr: bool = False


class _Stop(Exception):
    """Evaluation ends with an error."""

    def __init__(self, result: Result, text: str) -> None:
        super().__init__(text)
        self.result = result
        self.text = text


async def evaluate(ask: Ask, *, ip: str, domain: str, helo: str, sender: str = "") -> Evaluation:
    """Say what a receiver makes of mail from that address with a sender in that domain."""
    running = _Evaluator(ask, ip=ip, sender=sender or f"postmaster@{domain}", helo=helo)
    result, text = Result.NONE, ""
    try:
        result = await running.check(domain, is_top=True)
    except _Stop as stop:
        result, text = stop.result, stop.text
    return Evaluation(
        result=result,
        records=running.records,
        term=running.term,
        text=text,
        look_ups=running.look_ups,
        uses_ptr=running.uses_ptr,
    )


class _Evaluator:
    def __init__(self, ask: Ask, *, ip: str, sender: str, helo: str) -> None:
        address = ip_address(ip)
        mapped = getattr(address, "ipv4_mapped", None)
        self._ip: Ip = mapped or address
        self._ask = ask
        self._sender = sender
        self._helo = helo
        self._void = 0
        self.records: tuple[str, ...] = ()
        self.term = ""
        self.look_ups = 0
        self.uses_ptr = False

    async def check(self, domain: str, *, is_top: bool = False) -> Result:
        """check_host() of RFC 7208 4."""
        if to_a_label(domain.replace("_", "x")) is None or "." not in domain:
            return Result.NONE
        answer = await self._ask(domain, "TXT")
        if answer.is_failed:
            raise _Stop(Result.TEMPERROR, f"{domain}: {answer.why or 'no answer'}")
        found = tuple(sorted(text for text in answer.texts if is_spf(text)))  # servers give them in any order
        if is_top:
            self.records = found
        if not found:
            return Result.NONE
        if len(found) > 1:
            raise _Stop(
                Result.PERMERROR,
                say("{domain} has {count} SPF records; only one is allowed", domain=domain, count=len(found)),
            )
        return await self._walk(domain, found[0])

    async def _walk(self, domain: str, text: str) -> Result:
        try:
            record = read_record(text)
        except SpfFault as fault:
            raise _Stop(Result.PERMERROR, f"{domain}: {fault}") from fault
        for term in record.terms:
            if await self._matches(term, domain):
                self.term = f"{term.text} of {domain}"
                return _BY_QUALIFIER[term.qualifier]
        if record.redirect is None or any(term.name == "all" for term in record.terms):
            return Result.NEUTRAL
        self._count(f"redirect={record.redirect}")
        target = await self._name(record.redirect, domain)
        result = await self.check(target)
        if result is Result.NONE:
            raise _Stop(Result.PERMERROR, say("redirect={domain} leads to no SPF record", domain=target))
        return result

    async def _matches(self, term: Term, domain: str) -> bool:
        if term.name == "all":
            return True
        if term.network is not None:
            return self._ip in term.network
        if term.name in ASKING:
            self._count(term.text)
        name = await self._name(term.spec, domain) if term.spec else domain
        match term.name:
            case "include":
                return await self._includes(name)
            case "a":
                return await self._has_address(name, term)
            case "mx":
                return await self._is_mail_server(name, term)
            case "exists":
                return bool(self._heard(await self._ask(name, "A"), name).texts)
        self.uses_ptr = True
        names = await self._names_of_ip()
        return any(host == name or host.endswith(f".{name}") for host in (found.lower() for found in names))

    async def _includes(self, name: str) -> bool:
        result = await self.check(name)
        if result is Result.NONE:
            raise _Stop(Result.PERMERROR, say("include:{domain} leads to no SPF record", domain=name))
        return result is Result.PASS

    async def _is_mail_server(self, name: str, term: Term) -> bool:
        hosts = self._heard(await self._ask(name, "MX"), name).texts
        if len(hosts) > _MAX_NAMES:
            raise _Stop(Result.PERMERROR, say("{domain} has more than {count} MX hosts", domain=name, count=_MAX_NAMES))
        for host in hosts:
            if host and await self._has_address(host, term):
                return True
        return False

    async def _has_address(self, name: str, term: Term) -> bool:
        prefix = term.prefixes[0 if self._ip.version == 4 else 1]
        found = self._heard(await self._ask(name, kind_of(str(self._ip))), name).texts
        return any(self._ip in ip_network(f"{address}/{prefix}", strict=False) for address in found)

    async def _names_of_ip(self) -> list[str]:
        """The names of the address that have it themselves (RFC 7208 5.5); what fails is passed over."""
        found = []
        for host in (await self._ask(reverse_name(str(self._ip)), "PTR")).texts[:_MAX_NAMES]:
            addresses = (await self._ask(host, kind_of(str(self._ip)))).texts
            if any(ip_address(address) == self._ip for address in addresses):
                found.append(host)
        return found

    async def _name(self, spec: str, domain: str) -> str:
        names = await self._names_of_ip() if needs_name_of_ip(spec) else []
        best = next((name for name in names if name == domain or name.endswith(f".{domain}")), None)
        name_of_ip = best or next(iter(names), "unknown")
        values = macro_values(self._ip, sender=self._sender, domain=domain, helo=self._helo, name_of_ip=name_of_ip)
        return expand(spec, values)

    def _count(self, text: str) -> None:
        self.look_ups += 1
        if self.look_ups > MAX_LOOK_UPS:
            raise _Stop(
                Result.PERMERROR,
                say("more than {count} terms ask DNS; {term} is one too many", count=MAX_LOOK_UPS, term=text),
            )

    def _heard(self, answer: Answer, name: str) -> Answer:
        if answer.is_failed:
            raise _Stop(Result.TEMPERROR, f"{name}: {answer.why or 'no answer'}")
        if answer.is_missing:
            self._void += 1
            if self._void > MAX_VOID:
                raise _Stop(
                    Result.PERMERROR,
                    say(
                        "more than {count} look-ups find nothing; {domain} is one of them", count=MAX_VOID, domain=name
                    ),
                )
        return answer
