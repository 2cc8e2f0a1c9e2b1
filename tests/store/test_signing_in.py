"""Signing in and out, links, the second step, tokens: the actions on both stores (A20 to A24 of the attack list)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from relay import totp
from relay.accounts import Account, Role
from relay.actions import Answer
from relay.actions import accounts as acting
from relay.actions.accounts import SignIn, State
from relay.passwords import hash_password
from relay.store import accounts, audit, sign_ins
from relay.store.engine import EngineStore
from relay.store.invitations import Purpose
from relay.store.protocols import Tx
from tests.store.making import HOUR, MINUTE, NOW
from tests.store.people import PAGE, account, add

IP, OTHER_IP = "192.0.2.1", "192.0.2.77"
PASSWORD = "correct horse"
HASH = hash_password(PASSWORD)
OTHER_HASH = hash_password("battery staple")
SECRET = totp.secret_of(b"12345678901234567890")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Door:
    """The pages of sign-in, without the pages."""

    store: EngineStore

    def come(
        self, name: str = "anna", password: str = PASSWORD, *, ip: str = IP, now: datetime = NOW, code: str = ""
    ) -> SignIn:
        seen = self.store.read_now(lambda tx: acting.look(tx, name, ip=ip, now=now))
        is_right = acting.verify(seen, password)
        return self.store.write_now(
            lambda tx: acting.settle(tx, seen, is_right=is_right, code=code, agent="Firefox", now=now)
        )

    def who(self, token: str, *, now: datetime = NOW) -> Account | None:
        return self.store.read_now(lambda tx: acting.who(tx, token, now=now))

    def step(self, ticket: str, code: str, *, ip: str = IP, now: datetime = NOW) -> SignIn:
        return self.store.write_now(lambda tx: acting.second_step(tx, ticket, code, ip=ip, agent="Firefox", now=now))

    def link(self, name: str, purpose: Purpose, *, now: datetime = NOW) -> str | None:
        return self.store.write_now(lambda tx: acting.make_invitation(tx, name, purpose, actor=PAGE, now=now))

    def use(self, token: str, *, now: datetime = NOW, **given: str) -> SignIn:
        return self.store.write_now(
            lambda tx: acting.use_invitation(tx, token, ip=IP, agent="Firefox", now=now, **given)
        )

    def log(self) -> list[tuple[str, str, str, str]]:
        """The audit log, the oldest first: by, action, object, text."""
        rows = self.store.read_now(lambda tx: audit.search(tx, limit=500))
        return [(e.actor.by, e.action, e.object, e.text) for e in (row.entry for row in reversed(rows))]


@pytest.fixture
def door(store: EngineStore) -> Door:
    return Door(store)


def code_at(now: datetime, *, steps: int = 0) -> str:
    return totp.code(SECRET, totp.step_of(now) + steps)


def failures(store: EngineStore) -> int:
    (row,) = store.read_now(lambda tx: tx.compose("SELECT COUNT(*) AS n FROM sign_in_failure", {}))
    return int(row["n"])


# -- the first step


def test_who_has_the_password_is_let_in_and_known_by_the_token(door: Door) -> None:
    anna = add(door.store, password_hash=HASH)
    result = door.come("ANNA ")
    assert result.state is State.OK
    assert door.who(result.token) == replace(anna, last_seen_at=NOW)
    assert [door.who(token) for token in ("", "x", result.token[:-1])] == [None, None, None]
    assert door.come().token != result.token, "each sign-in has a new token"
    assert door.log()[0] == ("anna", "sign_in", "anna", "")
    assert result.token not in repr(result)


@pytest.mark.parametrize(
    ("made", "name", "password"),
    [
        ({"password_hash": HASH}, "anna", "wrong horse"),
        ({"password_hash": HASH}, "anna", ""),
        ({"password_hash": HASH}, "anna", "x" * 5000),
        ({"password_hash": HASH}, "anna", "\udcff\x00"),
        ({"password_hash": HASH}, "bob", PASSWORD),
        ({"password_hash": HASH}, "anna\x00\udcff", PASSWORD),
        ({"password_hash": HASH}, "", PASSWORD),
        ({"password_hash": ""}, "anna", ""),
        ({"password_hash": ""}, "anna", PASSWORD),
        ({"password_hash": HASH, "disabled_at": NOW}, "anna", PASSWORD),
        ({"password_hash": HASH, "totp_secret": SECRET, "totp_last_step": 1, "disabled_at": NOW}, "anna", PASSWORD),
    ],
)
def test_every_other_answer_is_the_same(door: Door, made: dict[str, Any], name: str, password: str) -> None:
    add(door.store, **made)
    assert door.come(name, password) == SignIn(state=State.WRONG)
    assert failures(door.store) == 2, "for account and client, and for the client"
    ((by, action, known, text),) = door.log()
    assert (by, action, text) == ("", "sign_in_failed", "")
    assert known in {"anna", ""}


@pytest.mark.parametrize("name", ["anna", "nobody", "empty", "off", "\x00"])
def test_an_unknown_account_costs_a_whole_check(door: Door, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add(door.store, password_hash=HASH)
    add(door.store, "empty")
    add(door.store, "off", password_hash=HASH, disabled_at=NOW)
    real, costs = hashlib.scrypt, []

    def counted(password: bytes, **values: Any) -> bytes:
        costs.append((values["n"], values["r"], values["p"]))
        return real(password, **values)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    assert door.come(name, "wrong horse").state is State.WRONG
    assert costs == [(2**14, 8, 1)]


def test_after_five_failures_the_right_password_waits_too_and_only_from_there(door: Door) -> None:
    add(door.store, password_hash=HASH)
    add(door.store, "bob", password_hash=HASH)
    assert [door.come(password="wrong").state for _ in range(7)] == [State.WRONG] * 5 + [State.THROTTLED] * 2
    assert door.come("Anna").state is State.THROTTLED
    assert failures(door.store) == 10, "who waits is not made to wait longer"
    assert door.come(ip=OTHER_IP).state is State.OK
    assert door.come("bob").state is State.OK
    assert door.come(now=NOW + sign_ins.WINDOW).state is State.OK


def test_a_success_between_gives_no_more_tries(door: Door) -> None:
    add(door.store, password_hash=HASH)
    for _ in range(4):
        door.come(password="wrong")
    assert door.come().state is State.OK
    assert [door.come(password="wrong").state for _ in range(2)] == [State.WRONG, State.THROTTLED]


def test_an_unknown_account_is_throttled_like_a_known_one(door: Door) -> None:
    assert [door.come("nobody").state for _ in range(6)] == [State.WRONG] * 5 + [State.THROTTLED]


def test_many_tries_at_once_are_no_more_than_five(door: Door) -> None:
    add(door.store, password_hash=HASH)
    seen = [door.store.read_now(lambda tx: acting.look(tx, "anna", ip=IP, now=NOW)) for _ in range(8)]
    results = [
        door.store.write_now(lambda tx, s=one, n=n: acting.settle(tx, s, is_right=n == 7, agent="", now=NOW))  # type: ignore[misc]
        for n, one in enumerate(seen)
    ]
    assert [one.state for one in results] == [State.WRONG] * 5 + [State.THROTTLED] * 3


@pytest.mark.parametrize("meanwhile", ["disabled", "password", "gone"])
def test_what_happens_while_the_password_is_checked_counts(door: Door, meanwhile: str) -> None:
    add(door.store, password_hash=HASH)
    seen = door.store.read_now(lambda tx: acting.look(tx, "anna", ip=IP, now=NOW))
    assert acting.verify(seen, PASSWORD)
    if meanwhile == "disabled":
        door.store.write_now(lambda tx: acting.disable_account(tx, "anna", actor=PAGE, now=NOW))
    elif meanwhile == "password":
        door.store.write_now(lambda tx: acting.set_password(tx, "anna", password_hash=OTHER_HASH, actor=PAGE, now=NOW))
    else:
        seen = replace(seen, account_id=account().id)
    result = door.store.write_now(lambda tx: acting.settle(tx, seen, is_right=True, agent="", now=NOW))
    assert result.state is State.WRONG


@pytest.mark.parametrize("change", ["password", "disabled"])
def test_a_change_on_another_node_at_the_same_moment_counts(
    open_one: Callable[[], EngineStore], store: EngineStore, change: str
) -> None:
    """Whichever is first: no session is left that stands on the old password."""
    door, other = Door(store), open_one()
    add(store, password_hash=HASH)
    seen = store.read_now(lambda tx: acting.look(tx, "anna", ip=IP, now=NOW))
    has_changed, may_end = threading.Event(), threading.Event()

    def slowly(tx: Tx) -> None:
        if change == "password":
            acting.set_password(tx, "anna", password_hash=OTHER_HASH, actor=PAGE, now=NOW)
        else:
            acting.disable_account(tx, "anna", actor=PAGE, now=NOW)
        has_changed.set()
        may_end.wait(30)

    def enter() -> SignIn:
        return store.write_now(lambda tx: acting.settle(tx, seen, is_right=True, agent="", now=NOW))

    with ThreadPoolExecutor(2) as pool:
        changing = pool.submit(other.write_now, slowly)
        assert has_changed.wait(30)
        entering = pool.submit(enter)
        wait([entering], timeout=0.3)  # it must not end before the change has
        was_early = entering.done()
        may_end.set()
        changing.result(30)
        assert (entering.result(30).state, was_early) == (State.WRONG, False)
    assert door.who(entering.result().token) is None


def test_two_admins_cannot_make_each_other_less_at_the_same_moment(
    open_one: Callable[[], EngineStore], store: EngineStore
) -> None:
    add(store, "one", role=Role.ADMIN)
    add(store, "two", role=Role.ADMIN)
    has_changed, may_end = threading.Event(), threading.Event()

    def slowly(tx: Tx) -> Answer:
        answer = acting.change_account(tx, "one", role=Role.VIEWER, actor=PAGE, now=NOW)
        has_changed.set()
        may_end.wait(30)
        return answer

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(open_one().write_now, slowly)
        assert has_changed.wait(30)
        second = pool.submit(
            store.write_now, lambda tx: acting.change_account(tx, "two", role=Role.VIEWER, actor=PAGE, now=NOW)
        )
        wait([second], timeout=0.3)
        may_end.set()
        assert (first.result(30).key, second.result(30).key) == ("done", "last_admin")


@pytest.mark.parametrize(
    ("password", "before", "wanted"),
    [(PASSWORD, 0, State.OK), ("wrong", 0, State.WRONG), (PASSWORD, 5, State.THROTTLED)],
)
def test_asking_again_for_the_password_begins_no_session(door: Door, password: str, before: int, wanted: State) -> None:
    anna = add(door.store, password_hash=HASH)
    for _ in range(before):
        door.come(password="wrong")
    seen = door.store.read_now(lambda tx: acting.look(tx, "anna", ip=IP, now=NOW))
    is_right = acting.verify(seen, password)
    assert door.store.write_now(lambda tx: acting.confirm(tx, seen, is_right=is_right, now=NOW)) is wanted
    rows = door.store.read_now(lambda tx: tx.compose("SELECT account_id FROM session", {}))
    assert anna.id not in [row["account_id"] for row in rows]


# -- the second step


def with_code(store: EngineStore, name: str = "anna") -> Account:
    return add(store, name, password_hash=HASH, totp_secret=SECRET, totp_last_step=1)


def test_a_code_is_asked_for_and_counts_once(door: Door) -> None:
    with_code(door.store)
    asked = door.come()
    assert (asked.state, asked.token, asked.account) == (State.NEEDS_TOTP, "", None)
    assert door.who(asked.ticket) is None
    entered = door.step(asked.ticket, code_at(NOW))
    assert entered.state is State.OK
    assert door.who(entered.token) is not None
    assert door.step(asked.ticket, code_at(NOW, steps=1)).state is State.WRONG, "the ticket is used up"
    assert door.come(code=code_at(NOW)).state is State.WRONG, "a code counts once"
    assert door.come(code=code_at(NOW, steps=1)).state is State.OK, "both steps in one form"


def test_a_code_without_the_password_opens_nothing(door: Door) -> None:
    with_code(door.store)
    assert door.come(password="wrong", code=code_at(NOW)).state is State.WRONG
    assert door.come(code=code_at(NOW)).state is State.OK, "it was not used up by that"


def test_codes_are_guessed_no_more_often_than_passwords(door: Door) -> None:
    with_code(door.store)
    ticket = door.come().ticket
    assert [door.step(ticket, "000000").state for _ in range(6)] == [State.WRONG] * 5 + [State.THROTTLED]
    assert door.step(ticket, code_at(NOW)).state is State.THROTTLED
    assert door.come(code=code_at(NOW)).state is State.THROTTLED


@pytest.mark.parametrize("meanwhile", ["late", "disabled", "password", "everywhere"])
def test_a_ticket_ends_with_what_it_stands_for(door: Door, meanwhile: str) -> None:
    with_code(door.store)
    ticket = door.come().ticket
    now = NOW + 5 * MINUTE if meanwhile == "late" else NOW
    if meanwhile == "disabled":
        door.store.write_now(lambda tx: acting.disable_account(tx, "anna", actor=PAGE, now=NOW))
    elif meanwhile == "password":
        door.store.write_now(lambda tx: acting.set_password(tx, "anna", password_hash=HASH, actor=PAGE, now=NOW))
    elif meanwhile == "everywhere":
        door.store.write_now(lambda tx: acting.sign_out_everywhere(tx, "anna", actor=PAGE, now=NOW))
    assert door.step(ticket, code_at(now), now=now).state is State.WRONG


def test_the_second_step_is_on_once_a_code_was_given(door: Door) -> None:
    anna = add(door.store, password_hash=HASH)
    first = door.store.write_now(lambda tx: acting.start_totp(tx, anna))
    secret = door.store.write_now(lambda tx: acting.start_totp(tx, anna))
    assert secret is not None
    assert secret != first
    assert door.come().state is State.OK, "not confirmed yet"

    def confirm(code: str) -> str:
        return door.store.write_now(lambda tx: acting.confirm_totp(tx, anna, code, actor=PAGE, now=NOW)).key

    right = totp.code(secret, totp.step_of(NOW))
    assert [confirm("000000"), confirm(right), confirm(right)] == ["wrong", "done", "not_started"]
    assert door.store.write_now(lambda tx: acting.start_totp(tx, anna)) is None, "nobody replaces it in passing"
    assert door.come().state is State.NEEDS_TOTP
    assert door.come(code=right).state is State.WRONG, "it was used to confirm"
    answer = door.store.write_now(lambda tx: acting.remove_totp(tx, "anna", actor=PAGE, now=NOW))
    assert answer.key == "done"
    assert door.come().state is State.OK
    assert [row[1] for row in door.log() if "second" in row[1]] == ["add_second_step", "remove_second_step"]


# -- sessions end with the trust they stand on


def test_a_session_is_over_after_signing_out(door: Door) -> None:
    add(door.store, password_hash=HASH)
    token, other = door.come().token, door.come().token
    assert door.store.write_now(lambda tx: acting.sign_out(tx, token, actor=PAGE, now=NOW))
    assert door.who(token) is None
    assert door.who(other) is not None
    assert not door.store.write_now(lambda tx: acting.sign_out(tx, token, actor=PAGE, now=NOW))


@pytest.mark.parametrize(
    ("change", "is_over"),
    [
        (lambda tx: acting.change_account(tx, "anna", role=Role.ADMIN, actor=PAGE, now=NOW), True),
        (lambda tx: acting.change_account(tx, "anna", apps=("spa",), actor=PAGE, now=NOW), True),
        (lambda tx: acting.change_account(tx, "anna", may_read_content=False, actor=PAGE, now=NOW), True),
        (lambda tx: acting.change_account(tx, "anna", shown="Anna Berg", actor=PAGE, now=NOW), False),
        (lambda tx: acting.change_account(tx, "anna", role=Role.SUPPORT, actor=PAGE, now=NOW), False),
        (lambda tx: acting.set_password(tx, "anna", password_hash=OTHER_HASH, actor=PAGE, now=NOW), True),
        (lambda tx: acting.disable_account(tx, "ANNA", actor=PAGE, now=NOW), True),
        (lambda tx: acting.sign_out_everywhere(tx, "anna", actor=PAGE, now=NOW), True),
    ],
    ids=["role", "apps", "content", "shown name", "same role", "password", "disabled", "everywhere"],
)
def test_sessions_end_when_trust_is_taken(door: Door, change: Any, is_over: bool) -> None:
    add(door.store, password_hash=HASH)
    add(door.store, "bob", password_hash=HASH)
    token, bobs = door.come().token, door.come("bob").token
    link = door.link("anna", Purpose.RESET)
    assert link is not None
    assert door.store.write_now(change).is_done
    assert (door.who(token) is None) is is_over
    assert (door.store.read_now(lambda tx: acting.invited(tx, link, now=NOW)) is None) is is_over
    assert door.who(bobs) is not None


def test_an_enabled_account_does_not_get_its_sessions_back(door: Door) -> None:
    add(door.store, password_hash=HASH)
    token = door.come().token
    for change in (acting.disable_account, acting.enable_account):
        door.store.write_now(lambda tx, c=change: c(tx, "anna", actor=PAGE, now=NOW))  # type: ignore[misc]
    assert door.who(token) is None
    assert door.come().state is State.OK


def test_being_seen_keeps_a_session_alive(door: Door) -> None:
    anna = add(door.store, password_hash=HASH)
    token = door.come().token

    def is_due(now: datetime) -> bool:
        found = door.store.read_now(lambda tx: acting.visit(tx, token, now=now))
        assert found is not None
        return found.is_touch_due

    assert [is_due(NOW + 59 * MINUTE / 60), is_due(NOW + MINUTE)] == [False, True]
    late = NOW + 7 * HOUR
    door.store.write_now(lambda tx: acting.touch(tx, token, now=late))
    assert door.who(token, now=NOW + 14 * HOUR) == replace(anna, last_seen_at=late)
    door.store.write_now(lambda tx: acting.touch(tx, token, now=NOW + 30 * HOUR))
    assert door.who(token, now=NOW + 30 * HOUR) is None, "what is over does not come back"


def test_one_session_of_a_list_is_ended_by_its_owner_alone(door: Door) -> None:
    anna, bob = add(door.store, password_hash=HASH), add(door.store, "bob")
    token = door.come().token
    found = door.store.read_now(lambda tx: acting.visit(tx, token, now=NOW))
    assert found is not None
    name = found.session.token_hash

    def end(owner: Account) -> bool:
        return door.store.write_now(lambda tx: acting.end_session(tx, owner, token_hash=name, actor=PAGE, now=NOW))

    assert (end(bob), door.who(token) is not None) == (False, True)
    assert (end(anna), door.who(token)) == (True, None)


# -- accounts


def test_the_last_admin_stays_one(door: Door) -> None:
    add(door.store, "boss", role=Role.ADMIN)
    add(door.store, "old", role=Role.ADMIN, disabled_at=NOW)

    def less() -> list[str]:
        changed = door.store.write_now(
            lambda tx: acting.change_account(tx, "boss", role=Role.OPERATOR, actor=PAGE, now=NOW)
        )
        return [
            changed.key,
            door.store.write_now(lambda tx: acting.disable_account(tx, "boss", actor=PAGE, now=NOW)).key,
        ]

    assert less() == ["last_admin", "last_admin"]
    add(door.store, "new", role=Role.ADMIN)
    assert less() == ["done", "done"]
    again = door.store.write_now(lambda tx: acting.disable_account(tx, "new", actor=PAGE, now=NOW))
    assert again.key == "last_admin"


@pytest.mark.parametrize(
    ("name", "apps", "key"),
    [("bob", ("hotel",), "done"), ("Anna", (), "taken"), ("a b", (), "bad_value"), ("bob", ("a b",), "bad_value")],
)
def test_making_an_account(door: Door, name: str, apps: tuple[str, ...], key: str) -> None:
    add(door.store)
    answer = door.store.write_now(
        lambda tx: acting.create_account(tx, name, role=Role.VIEWER, apps=apps, actor=PAGE, now=NOW)
    )
    assert answer.key == key
    assert answer.is_done is (key == "done")
    wanted = [("boss", "add_account", "bob", "viewer, only hotel")] if answer.is_done else []
    assert door.log() == wanted


@pytest.mark.parametrize("name", ["nobody", "a b", "\x00"])
def test_what_there_is_not_cannot_be_changed(door: Door, name: str) -> None:
    values: dict[str, Any] = {"actor": PAGE, "now": NOW}
    for act in (acting.change_account, acting.disable_account, acting.enable_account, acting.remove_totp):
        assert door.store.write_now(lambda tx, a=act: a(tx, name, **values)).key == "not_found"  # type: ignore[misc]
    assert (
        door.store.write_now(lambda tx: acting.set_password(tx, name, password_hash="x", **values)).key == "not_found"
    )
    assert door.link(name, Purpose.RESET) is None
    assert door.log() == []


def test_preferences_are_ones_own(door: Door) -> None:
    anna = add(door.store, role=Role.VIEWER)
    wanted = replace(anna, language="fi", zone="Europe/Helsinki", theme="dark", keys_off=True, role=Role.ADMIN)
    door.store.write_now(lambda tx: acting.prefer(tx, wanted, actor=PAGE, now=NOW))
    assert door.store.read_now(lambda tx: accounts.named(tx, "anna")) == replace(wanted, role=Role.VIEWER)


# -- links


@pytest.mark.parametrize(("purpose", "lasts"), [(Purpose.WELCOME, 7 * DAY), (Purpose.RESET, DAY)])
def test_a_link_sets_a_password_once_and_signs_in(door: Door, purpose: Purpose, lasts: timedelta) -> None:
    add(door.store, password_hash=OTHER_HASH)
    old = door.come(password="battery staple").token
    token = door.link("anna", purpose)
    assert token is not None
    late = NOW + lasts
    assert door.use(token, password_hash=HASH, now=late).state is State.WRONG
    assert door.use(token).state is State.WRONG, "a password is needed, and the link is kept"
    result = door.use(token, password_hash=HASH)
    assert result.state is State.OK
    assert door.who(result.token) is not None
    assert door.who(old) is None
    assert door.use(token, password_hash=OTHER_HASH).state is State.WRONG
    assert door.come().state is State.OK
    assert [row[:2] for row in door.log()[1:5]] == [
        ("boss", "make_link"),
        ("anna", "set_password"),
        ("anna", "use_link"),
        ("anna", "sign_in"),
    ]


def test_a_newer_link_ends_the_one_before(door: Door) -> None:
    add(door.store)
    first, second = door.link("anna", Purpose.WELCOME), door.link("anna", Purpose.RESET)
    assert first is not None
    assert second is not None
    assert door.use(first, password_hash=HASH).state is State.WRONG
    assert door.use(second, password_hash=HASH).state is State.OK


def test_a_link_does_not_take_the_place_of_the_second_step(door: Door) -> None:
    with_code(door.store)
    token = door.link("anna", Purpose.RESET)
    assert token is not None
    asked = door.use(token, password_hash=OTHER_HASH)
    assert (asked.state, asked.token) == (State.NEEDS_TOTP, "")
    assert door.step(asked.ticket, code_at(NOW)).state is State.OK


def test_a_ticket_is_no_link_and_a_link_no_ticket(door: Door) -> None:
    with_code(door.store)
    ticket = door.come().ticket
    assert door.store.read_now(lambda tx: acting.invited(tx, ticket, now=NOW)) is None
    assert door.use(ticket, password_hash=OTHER_HASH).state is State.WRONG
    link = door.link("anna", Purpose.DEMO)
    assert link is not None
    assert door.step(link, code_at(NOW)).state is State.WRONG


@pytest.mark.parametrize("purpose", [Purpose.SECOND_STEP, Purpose.FIRST_ADMIN])
def test_no_link_is_made_for_what_is_no_link_of_an_account(door: Door, purpose: Purpose) -> None:
    add(door.store)
    assert door.link("anna", purpose) is None


def test_a_demo_link_needs_no_password(door: Door) -> None:
    add(door.store, "demo", role=Role.ADMIN)
    token = door.link("demo", Purpose.DEMO)
    assert token is not None
    assert door.use(token).state is State.OK
    assert door.use(token).state is State.WRONG


def test_a_disabled_account_gets_no_link(door: Door) -> None:
    add(door.store, disabled_at=NOW)
    assert door.link("anna", Purpose.RESET) is None


# -- the first start


def first(door: Door) -> str | None:
    return door.store.write_now(lambda tx: acting.first_link(tx, now=NOW))


def test_the_first_admin_is_made_once_through_the_newest_link(door: Door) -> None:
    older, newest = first(door), first(door)
    assert older is not None
    assert newest is not None
    made: dict[str, Any] = {"password_hash": HASH, "shown": "The Boss"}
    assert door.use(older, name="boss", **made).state is State.WRONG
    assert door.use(newest, name="the boss", **made).state is State.WRONG, "a bad name leaves the link as it was"
    result = door.use(newest, name="Boss", **made)
    assert result.account is not None
    assert (result.state, result.account.role, result.account.title) == (State.OK, Role.ADMIN, "The Boss")
    assert door.use(newest, name="second", **made).state is State.WRONG
    assert first(door) is None
    assert door.come("boss").state is State.OK


def test_a_first_link_is_worth_nothing_once_there_is_an_account(door: Door) -> None:
    token = first(door)
    assert token is not None
    add(door.store, role=Role.VIEWER)
    assert door.store.read_now(lambda tx: acting.invited(tx, token, now=NOW)) is None
    assert door.use(token, name="boss", password_hash=HASH).state is State.WRONG
    assert [one.name for one in door.store.read_now(accounts.every)] == ["anna"]


# -- tokens


def test_a_token_is_shown_once_and_known_until_it_is_revoked(door: Door) -> None:
    secret = door.store.write_now(
        lambda tx: acting.add_token(tx, "shop", role=Role.VIEWER, apps=("hotel",), actor=PAGE, now=NOW)
    )
    assert isinstance(secret, str)
    token = door.store.read_now(lambda tx: acting.bearer(tx, secret))
    assert token is not None
    assert (token.name, token.role, token.by, token.sees("hotel"), token.sees("spa")) == (
        "shop", Role.VIEWER, "boss", True, False,
    )  # fmt: skip
    assert secret.startswith(token.prefix)
    assert len(secret) - len(token.prefix) > 30
    kept = str(door.store.read_now(lambda tx: tx.compose("SELECT * FROM token", {}))) + str(door.log())
    assert secret not in kept
    for wrong in ("", "wb_", secret[:-1], "Bearer " + secret, "wb_\x00"):
        assert door.store.read_now(lambda tx, w=wrong: acting.bearer(tx, w)) is None  # type: ignore[misc]
    assert door.store.write_now(lambda tx: acting.touch_token(tx, secret, now=NOW))
    answer = door.store.write_now(lambda tx: acting.revoke_token(tx, "SHOP", actor=PAGE, now=NOW))
    assert answer.is_done
    assert door.store.read_now(lambda tx: acting.bearer(tx, secret)) is None
    assert [row[1:3] for row in door.log()] == [("add_token", "shop"), ("revoke_token", "shop")]


@pytest.mark.parametrize(("name", "key"), [("SHOP", "taken"), ("a b", "bad_value"), ("", "bad_value")])
def test_a_token_has_a_name_of_its_own(door: Door, name: str, key: str) -> None:
    def make(name: str) -> object:
        return door.store.write_now(lambda tx: acting.add_token(tx, name, role=Role.VIEWER, actor=PAGE, now=NOW))

    make("shop")
    answer = make(name)
    assert getattr(answer, "key", None) == key
