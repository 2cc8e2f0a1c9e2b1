"""Sign in with the house's provider (OpenID Connect): go there, and come back.

Going is a link and not a form: the page's own policy (form-action) would forbid every redirect that the provider makes
on the way. Coming back counts when the browser that left brings its cookie, and once. What the provider says is checked
by dashboard/provider.py, and what it means is decided by relay/actions/accounts/outside.py.
"""

from __future__ import annotations

import logging

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboard.desk import Desk, local_path
from dashboard.guard import at
from dashboard.single_sign_on import BACK, LASTS, Flow, Provider, Unreachable, Unusable, flow_cookie
from dashboard.views import sign_in
from relay.actions import accounts
from relay.actions.accounts import Caller, Refusal, State
from relay.oidc import guest_of
from relay.settings import Oidc

log = logging.getLogger(__name__)

#: What the page says about each refusal; the audit log says more.
_SAID = {
    Refusal.NO_ACCOUNT: "no_account",
    Refusal.NO_NAME: "no_account",
    Refusal.TAKEN: "no_account",
    Refusal.NO_ROLE: "no_role",
    Refusal.LAST_ADMIN: "no_role",
    Refusal.DISABLED: "disabled",
}


async def go(desk: Desk) -> Response:
    """Send the browser to the provider, with a cookie to be known by when it comes back."""
    goes_to = local_path(desk.asked("next") or "/")
    provider, _ = _configured(desk)
    if provider is None:
        return await desk.missing()
    if desk.is_signed_in:
        return desk.go(goes_to)
    flow = Flow.begin(goes_to)
    try:
        address = await provider.address(flow)
    except (Unreachable, Unusable) as error:
        return await _failed(desk, error, goes_to)
    answer = RedirectResponse(address, status_code=303)
    is_https = desk.request.app.state.is_https
    answer.set_cookie(
        flow_cookie(is_https=is_https),
        flow.cookie,
        max_age=int(LASTS.total_seconds()),
        path="/",
        httponly=True,
        secure=is_https,
        samesite="lax",
    )
    return answer


async def come_back(desk: Desk) -> Response:
    """Take the provider's answer, and begin the session."""
    provider, settings = _configured(desk)
    if provider is None or settings is None:
        return await desk.missing()
    answer = await _answered(desk, provider, settings)
    is_https = desk.request.app.state.is_https
    answer.delete_cookie(flow_cookie(is_https=is_https), path="/", httponly=True, secure=is_https, samesite="lax")
    return answer


async def _answered(desk: Desk, provider: Provider, settings: Oidc) -> Response:
    asked = desk.request.query_params
    flow = Flow.of_cookie(desk.request.cookies.get(flow_cookie(is_https=desk.request.app.state.is_https), ""))
    if flow is None or not flow.is_answered_by(asked, issuer=settings.issuer):
        return await sign_in.show(desk, goes_to="/", status=400, state="again")
    if not await desk.read(lambda tx: accounts.may_come(tx, ip=desk.ip, now=desk.now)):
        return await sign_in.show(desk, goes_to=flow.goes_to, status=429, state="outside_throttled")
    code = asked.get("code", "")
    if not code:  # the person turned back at the provider's page
        log.info("event=sso_not_finished error=%r", asked.get("error", "")[:100])
        return await sign_in.show(desk, goes_to=flow.goes_to, status=400, state="again")
    try:
        guest = guest_of(await provider.claims(code, flow), settings)
        if guest is None:
            raise Unusable("it names nobody")
    except (Unreachable, Unusable) as error:
        return await _failed(desk, error, flow.goes_to)
    caller = Caller(ip=desk.ip, agent=desk.request.headers.get("user-agent", ""))
    result = await desk.store.write(
        lambda tx: accounts.enter_outside(tx, guest, settings, answer=flow.state, caller=caller, now=desk.now)
    )
    if isinstance(result, Refusal):
        return await sign_in.show(desk, goes_to=flow.goes_to, status=403, state=_SAID[result])
    if result.state is not State.OK:
        return await sign_in.show(desk, goes_to=flow.goes_to, status=400, state="again")
    return sign_in.let_in(desk, result.token, flow.goes_to)


async def _failed(desk: Desk, error: Unreachable | Unusable, goes_to: str) -> Response:
    """Say that the provider is at fault, and log what an operator needs; what somebody may have forged is counted."""
    if isinstance(error, Unreachable):
        log.warning("event=sso_failed reason=unreachable error=%r", str(error))
        return await sign_in.show(desk, goes_to=goes_to, status=503, state="unreachable")
    log.warning("event=sso_failed reason=unusable error=%r", str(error))
    if desk.request.url.path == BACK:
        reason = f"unusable: {error}"
        await desk.store.write(lambda tx: accounts.fail_outside(tx, reason, ip=desk.ip, now=desk.now))
    return await sign_in.show(desk, goes_to=goes_to, status=502, state="unusable")


def _configured(desk: Desk) -> tuple[Provider | None, Oidc | None]:
    return desk.request.app.state.provider, desk.config.dashboard.oidc


ROUTES: list[Route] = [
    at("/sign-in/outside", go, need=None),
    at(BACK, come_back, need=None),
]
