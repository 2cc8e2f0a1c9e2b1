"""One request at the desk: who asks, in which language, and the few things a view does with that.

A view reads (`desk.read`), shows (`desk.page`) or changes (`desk.do`), and nothing else. Every change is a POST with
the one-use token of its form: the store does the work of a token once and keeps its answer, so that a second click, a
reload or the back button gets the answer of the first. The browser is then sent to a page that shows the answer as a
banner; that page's address is safe to reload and to share.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboard import rendering
from dashboard.access import Person, Role
from dashboard.banners import SENTENCES
from dashboard.tongue import LANGUAGES, Tongue
from relay import actions
from relay.actions import Answer
from relay.errors import Refused, StoreError
from relay.settings import Config
from relay.store import form_tokens, notice_list
from relay.store.protocols import Store, Tx

T = TypeVar("T")

_MANY = 100  #: as many to-dos are not counted any more

#: What audits a change, in the transaction of the change: (tx, who, ip, what, on what, note, when).
Audit = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """What came of the last change."""

    text: str
    is_done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What all requests share."""

    config: Config
    store: Store
    nudge: Callable[[], None]  #: tell delivery to look at once
    audit: Audit


class Desk:
    """The context of one request."""

    def __init__(self, request: Request, tools: Tools, *, person: Person | None, tongue: Tongue) -> None:
        self.request = request
        self.config = tools.config
        self.store = tools.store
        self.tongue = tongue
        self.now = datetime.now(UTC)
        self._tools = tools
        self._person = person
        self._form: FormData | None = None

    # -- who asks

    @property
    def person(self) -> Person:
        """Who is signed in; only public routes have nobody."""
        assert self._person is not None
        return self._person

    @property
    def is_signed_in(self) -> bool:
        return self._person is not None

    @property
    def apps(self) -> tuple[str, ...] | None:
        """The apps whose mail exists for this person; None: all."""
        return self.person.apps

    def sees(self, app: str) -> bool:
        """Tell whether mail of an app exists for this person."""
        return self.apps is None or app in self.apps

    def may(self, role: str) -> bool:
        """Tell, by the name of a role, whether this person may do what it allows."""
        return self._person is not None and self._person.role.allows(Role(role))

    @property
    def ip(self) -> str:
        """Where the request comes from, proxies that are trusted taken off."""
        return self.request.client.host if self.request.client else ""

    # -- what is asked

    def asked(self, name: str, default: str = "") -> str:
        """Give a parameter of the address."""
        return self.request.query_params.get(name, default).strip()

    def number(self, name: str) -> int | None:
        """Give a whole number of the address; None when it is none."""
        text = self.asked(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    async def form(self) -> FormData:
        """Read the form that was sent."""
        if self._form is None:
            self._form = await self.request.form(max_files=1, max_fields=2000)
        return self._form

    async def field(self, name: str, default: str = "") -> str:
        """Give one field of the form."""
        value = (await self.form()).get(name, default)
        return value.strip() if isinstance(value, str) else default

    async def secret(self, name: str) -> str:
        """Give one field exactly as it was typed: blanks are part of a password."""
        value = (await self.form()).get(name, "")
        return value if isinstance(value, str) else ""

    async def fields(self, name: str) -> list[str]:
        """Give every value of a field of the form."""
        return [value for value in (await self.form()).getlist(name) if isinstance(value, str)]

    # -- the store

    async def read(self, unit: Callable[[Tx], T], *, limit: timedelta | None = None) -> T:
        """Read on one snapshot, with a time limit if one is given (Store.read)."""
        return await self.store.read(unit, limit=limit)

    async def do(
        self,
        action: str,
        work: Callable[[Tx], Answer],
        *,
        back: str,
        on: str = "",
        kind: str = "",
        note: str = "",
        is_noted: bool = False,
    ) -> Response:
        """Change something once, with its row in the audit log, and go to a page that says what came of it.

        `action` is a stable word; `on` and `kind` are what it was done to (an address, a message …). `is_noted`: the
        work writes its own row of the audit log.
        """
        token = await self.field("token")
        if not _is_token(token):
            return await self.page("problem.html", status=400, problem="no_token")
        doing = work if is_noted else lambda tx: self._audited(tx, action, work, on, kind, note)

        def once(tx: Tx) -> Answer:
            return actions.once(tx, self._key(token), doing, now=self.now)

        await self.store.write(once)
        self._tools.nudge()
        return self.go(_with(back, did=action, done=token))

    async def do_many(
        self, action: str, doing: Callable[[], Awaitable[Answer]], *, back: str, on: str = "", kind: str = ""
    ) -> Response:
        """Like do, for work of many transactions: its token is taken before the first, its answer kept after the last.

        A second click does nothing, whether the first has ended or not. When the process ends in between, what was
        done is done, and each step's own transaction knows it.
        """
        token = await self.field("token")
        if not _is_token(token):
            return await self.page("problem.html", status=400, problem="no_token")
        if await self.first_time():
            answer = await doing()

            def keep(tx: Tx) -> None:
                self._audited(tx, action, lambda _: answer, on, kind, answer.sentence)
                form_tokens.save(tx, self._key(token), result=json.dumps(asdict(replace(answer, deliveries=()))))

            await self.store.write(keep)
            self._tools.nudge()
        return self.go(_with(back, did=action, done=token))

    async def first_time(self) -> bool:
        """Tell whether this form was not sent before, for the few whose answer is shown at once and never again."""
        token = await self.field("token")
        if not _is_token(token):
            return False
        return await self.store.write(lambda tx: form_tokens.take(tx, self._key(token), now=self.now)) is None

    def _key(self, token: str) -> str:
        return f"form:{self.person.id}:{token}"

    def _audited(self, tx: Tx, action: str, work: Callable[[Tx], Answer], on: str, kind: str, note: str) -> Answer:
        try:
            answer = work(tx)
        except Refused as refused:  # what was typed is no address
            return Answer(key=refused.reason or "refused", sentence=refused.text, is_done=False)
        outcome = "" if answer.is_done else f" ({answer.key})"
        self._tools.audit(
            tx, by=self.person.name, ip=self.ip, action=action + outcome, kind=kind, on=on, note=note, at=self.now
        )
        return answer

    async def note_reading(self, action: str, *, on: str, kind: str = "message", note: str = "") -> None:
        """Write into the audit log that content was read or data taken out."""
        await self.store.write(
            lambda tx: self._tools.audit(
                tx, by=self.person.name, ip=self.ip, action=action, kind=kind, on=on, note=note, at=self.now
            )
        )

    def nudge(self) -> None:
        """Tell delivery to look at once, for what was changed beside `do`."""
        self._tools.nudge()

    # -- answers

    async def _banner(self) -> Banner | None:
        """Give what came of the change that led to this page, if one did."""
        token, did = self.asked("done"), self.asked("did")
        if not token or self._person is None:
            return None
        kept = await self.read(lambda tx: form_tokens.result_of(tx, self._key(token)))
        if not kept:
            return None
        answer = Answer(**{**json.loads(kept), "deliveries": ()})
        sentence = SENTENCES.get((did, answer.key))
        text = self.tongue.text(sentence).format(count=answer.count) if sentence else self.tongue.told(answer.sentence)
        return Banner(text=text, is_done=answer.is_done)

    async def _todo(self) -> str:
        """Say how many to-dos are open, as the navigation shows it; a page that says what is wrong goes without."""
        if self._person is None:
            return ""
        listing = notice_list.Listing(apps=self.apps)
        try:
            count = await self.read(lambda tx: notice_list.count(tx, listing, most=_MANY))
        except StoreError:
            return ""
        return "" if count == 0 else self.tongue.number(count) if count < _MANY else f"{self.tongue.number(_MANY - 1)}+"

    async def page(self, template: str, /, *, status: int = 200, is_secret: bool = False, **context: Any) -> Response:
        """Show a page, with the banner of the change that led to it.

        The browser keeps it for its back button alone, so that a form that is gone back to has its old token and works
        no second time; signing out clears that. A secret page is never kept.
        """
        base: dict[str, Any] = {
            "desk": self,
            "person": self._person,
            "tongue": self.tongue,
            "languages": LANGUAGES,
            "now": self.now,
            "path": self.request.url.path,
            "banner": await self._banner(),
            "open_todos": await self._todo(),
            "form_token": new_token,
        }
        is_kept = self.is_signed_in and self.request.method == "GET" and not is_secret
        headers = {"Cache-Control": "private, no-cache"} if is_kept else None
        return HTMLResponse(rendering.render(template, base | context), status_code=status, headers=headers)

    async def missing(self) -> Response:
        """Say that there is nothing of that name, for this person."""
        return await self.page("problem.html", status=404, problem="missing")

    def go(self, address: str) -> Response:
        """Send the browser on, after a change."""
        return RedirectResponse(address, status_code=303)


View = Callable[[Desk], Awaitable[Response]]


def new_token() -> str:
    """Make the one-use token of a form."""
    return secrets.token_urlsafe(18)


def _is_token(text: str) -> bool:
    return text.isascii() and 16 <= len(text) <= 64


def local_path(address: str, default: str = "/") -> str:
    """Give an address back only when it leads to a page of ours; whoever made a link must not send people away."""
    parts = urlsplit(address)
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc
    return address if is_ours and not any(ord(letter) < 32 for letter in address) else default


def _with(address: str, **params: str) -> str:
    """Add parameters to an address, in place of those of the same names."""
    parts = urlsplit(address)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in params]
    return urlunsplit(parts._replace(query=urlencode([*kept, *params.items()])))


def with_params(address: str, params: Mapping[str, str]) -> str:
    """Give an address with these parameters added."""
    return _with(address, **params)
