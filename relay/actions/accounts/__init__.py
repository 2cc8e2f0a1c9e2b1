"""People who sign in: their accounts, sessions, links and second step, and the tokens of programs.

Every change writes its row of the audit log in the same transaction. Whatever takes trust from an account (a new
password, another role, fewer apps, being disabled) ends its sessions and links with it; a page that changes the
password of whoever is signed in begins a new session for them (`begin_session`), so that the cookie changes.

**Signing in** has three steps, because checking a password costs 50 ms of CPU and must hold up no transaction::

    seen = await store.read(lambda tx: accounts.look(tx, name, ip=ip, now=now))
    async with two_at_a_time:
        is_right = await asyncio.to_thread(accounts.verify, seen, password)
    result = await store.write(
        lambda tx: accounts.settle(tx, seen, is_right=is_right, code=code, agent=agent, now=now)
    )

`result.state` is ok (`result.token` goes into the cookie), wrong, throttled or needs_totp: then the page asks for the
code and calls `second_step(tx, result.ticket, code, …)`. An account that is unknown, disabled or without a password
gives the same answer after the same time as a wrong password. `settle` counts again what others failed meanwhile, and
takes nothing for granted that `look` saw, so that many tries at once are not more than five.

**Each request** reads `visit(tx, token, now=now)` (or `who`, for the account alone), and when `is_touch_due` writes
`touch(tx, token, now=now)`.

**Asking again** for the password of whoever is signed in (before a new one, or before the second step goes): `look`,
`verify`, `confirm`.

**With a provider** (OpenID Connect) the page asks `may_come`, has the answer checked outside every transaction, and
then calls `enter_outside`, which gives a sign-in (wrong: this answer was used before) or the reason against one; what
proves nothing goes to `fail_outside`.

**New passwords** are looked over by relay/accounts.py's fault_of_password and hashed by `make_hash` in a thread;
`set_password` and `use_invitation` take the hash.
"""

from relay.actions.accounts.entering import (
    Look,
    SignIn,
    State,
    begin_session,
    confirm,
    look,
    make_hash,
    second_step,
    settle,
    verify,
)
from relay.actions.accounts.links import Invited, first_link, invited, make_invitation, use_invitation
from relay.actions.accounts.noting import Action
from relay.actions.accounts.outside import (
    Caller,
    Refusal,
    connect_account,
    disconnect_account,
    enter_outside,
    fail_outside,
    may_come,
)
from relay.actions.accounts.people import (
    change_account,
    create_account,
    disable_account,
    enable_account,
    prefer,
    set_password,
)
from relay.actions.accounts.programs import add_token, bearer, revoke_token, touch_token
from relay.actions.accounts.steps import confirm_totp, remove_totp, start_totp
from relay.actions.accounts.visits import Visit, end_session, sign_out, sign_out_everywhere, touch, visit, who

__all__ = [
    "Action",
    "Caller",
    "Invited",
    "Look",
    "Refusal",
    "SignIn",
    "State",
    "Visit",
    "add_token",
    "bearer",
    "begin_session",
    "change_account",
    "confirm",
    "confirm_totp",
    "connect_account",
    "create_account",
    "disable_account",
    "disconnect_account",
    "enable_account",
    "end_session",
    "enter_outside",
    "fail_outside",
    "first_link",
    "invited",
    "look",
    "make_hash",
    "make_invitation",
    "may_come",
    "prefer",
    "remove_totp",
    "revoke_token",
    "second_step",
    "set_password",
    "settle",
    "sign_out",
    "sign_out_everywhere",
    "start_totp",
    "touch",
    "touch_token",
    "use_invitation",
    "verify",
    "visit",
    "who",
]
