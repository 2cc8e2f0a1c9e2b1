"""The house's provider over HTTP, by Authlib: where it is, its keys, the code for a token, and whether that is genuine.

Policy. What the provider publishes about itself and its keys is fetched when first needed and kept for an hour; a key
that is not known has them fetched again at once, and while the provider is silent the old ones stay good. Nothing is
asked but over https, or http where the issuer itself is on this machine, no redirect is followed, no proxy taken from
the environment, no answer may take longer than ten seconds, and what is published may not be longer than 1 MiB. A
provider that just was silent is not asked again for five seconds, so that a queue of people does not wait ten seconds
each.

A token counts when a published key signed it by RSA or an elliptic curve, and issuer, audience, time and nonce are
right (OpenID Connect Core 3.1.3.7). Only this module knows Authlib, and only a configured provider has it imported.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from dashboard.single_sign_on import Flow, Unreachable, Unusable
from relay.errors import ConfigError
from relay.settings import Oidc

_KEPT = 3600.0  #: seconds
_REST = 5.0  #: seconds after a failure
_PATIENCE = 10.0  #: seconds for one exchange
_BYTES = 1024 * 1024
_LEEWAY = 60  #: seconds that two clocks may differ

#: Signatures by a key that only the provider has; never one that our own secret could have made.
_SIGNATURES = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"})

Claims = dict[str, object]

#: What a library raises over JSON of another shape than it expects.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class HttpProvider:
    """One provider, for as long as the pages run."""

    def __init__(self, settings: Oidc, *, return_to: str, secret: Callable[[], str | None]) -> None:
        self._settings = settings
        self._return_to = return_to
        self._secret = secret
        self._known: dict[str, tuple[float, Claims]] = {}  #: address -> when it was fetched, and what it said
        self._rests_until = 0.0
        self._turn = asyncio.Lock()

    async def address(self, flow: Flow) -> str:
        """Give the page at which somebody signs in there."""
        about = await self._about()
        async with self._client(about) as client:
            address, _ = client.create_authorization_url(
                self._endpoint(about, "authorization_endpoint"),
                state=flow.state,
                nonce=flow.nonce,
                code_verifier=flow.verifier,
            )
        return str(address)

    async def claims(self, code: str, flow: Flow) -> Claims:
        """Take the code for what the provider says of the person, checked."""
        about = await self._about()
        async with _answering(), self._client(about) as client:
            token: Mapping[str, Any] = await client.fetch_token(
                self._endpoint(about, "token_endpoint"),
                grant_type="authorization_code",
                code=code,
                code_verifier=flow.verifier,
            )
        claims = await self._genuine(about, token, flow)
        return await self._with_groups(about, token, claims)

    @asynccontextmanager
    async def _client(self, about: Claims) -> AsyncIterator[Any]:
        try:
            secret = self._secret()
        except ConfigError as error:
            raise Unusable(f"our own secret cannot be read: {error}") from error
        # What says nothing of it takes the first (OpenID Connect Discovery 3).
        offered = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        is_basic = isinstance(offered, list) and "client_secret_basic" in offered
        async with AsyncOAuth2Client(
            client_id=self._settings.client_id,
            client_secret=secret,
            token_endpoint_auth_method="none" if not secret else f"client_secret_{'basic' if is_basic else 'post'}",
            scope=" ".join(self._settings.scopes),
            redirect_uri=self._return_to,
            code_challenge_method="S256",
            timeout=_PATIENCE,
            trust_env=False,
        ) as client:
            yield client

    async def _genuine(self, about: Claims, token: Mapping[str, Any], flow: Flow) -> Claims:
        text = token.get("id_token")
        if not isinstance(text, str):
            raise Unusable("the answer has no id_token")
        try:
            found = await self._decoded(about, text)
            options = {
                "iss": {"essential": True, "value": self._settings.issuer},
                "aud": {"essential": True, "value": self._settings.client_id},
            }
            params = {"nonce": flow.nonce, "client_id": self._settings.client_id}
            params["access_token"] = str(token.get("access_token") or "")
            claims = CodeIDToken(found.claims, found.header, options, params)
            claims.validate(leeway=_LEEWAY)
        except (JoseError, *_UNREADABLE) as error:
            raise Unusable(f"the id_token is not genuine: {error}") from error
        return dict(claims)

    async def _decoded(self, about: Claims, text: str) -> jwt.Token:
        offered = about.get("id_token_signing_alg_values_supported")
        taken = sorted(_SIGNATURES & set(offered if isinstance(offered, list) else ["RS256"]))
        if not taken:
            raise Unusable("it signs in no way that proves anything")
        registry = JWSRegistry(algorithms=taken, strict_check_header=False)
        address = self._endpoint(about, "jwks_uri")
        try:
            return jwt.decode(text, await self._keys(address), registry=registry)
        except JoseError:  # signed with a key that is newer than what we know
            return jwt.decode(text, await self._keys(address, is_fresh=True), registry=registry)

    async def _keys(self, address: str, *, is_fresh: bool = False) -> KeySet:
        return KeySet.import_key_set(cast(Any, await self._fetch(address, is_fresh=is_fresh)))

    async def _with_groups(self, about: Claims, token: Mapping[str, Any], claims: Claims) -> Claims:
        """Ask for what some providers do not write into the token: the groups."""
        first = self._settings.groups_claim.split(".")[0]
        if {self._settings.groups_claim, first} & claims.keys() or "userinfo_endpoint" not in about:
            return claims
        headers = {"Authorization": f"Bearer {token.get('access_token')}"}
        more = await self._get(self._endpoint(about, "userinfo_endpoint"), headers=headers)
        if more.get("sub") != claims["sub"]:  # OpenID Connect Core 5.3.2
            raise Unusable("userinfo speaks of somebody else")
        return more | claims

    # -- what it publishes

    async def _about(self) -> Claims:
        about = await self._fetch(self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if about.get("issuer") != self._settings.issuer:
            raise Unusable(f"it calls itself {about.get('issuer')!r}; write that as the issuer, or ask whoever runs it")
        return about

    def _endpoint(self, about: Claims, name: str) -> str:
        address = about.get(name)
        wanted = {"https", urlsplit(self._settings.issuer).scheme}
        if not isinstance(address, str) or urlsplit(address).scheme not in wanted:
            raise Unusable(f"its {name} is no address over https")
        return address

    async def _fetch(self, address: str, *, is_fresh: bool = False) -> Claims:
        asked_at = time.monotonic()
        async with self._turn:
            fetched_at, known = self._known.get(address, (0.0, None))
            if known is not None and fetched_at > (asked_at if is_fresh else asked_at - _KEPT):
                return known
            try:
                found = await self._asked(address)
            except (Unreachable, Unusable):
                if known is None or is_fresh:
                    raise
                return known
            self._known[address] = time.monotonic(), found
            return found

    async def _asked(self, address: str) -> Claims:
        if time.monotonic() < self._rests_until:
            raise Unreachable("it was silent a moment ago")
        try:
            return await self._get(address)
        except (Unreachable, Unusable):
            self._rests_until = time.monotonic() + _REST
            raise

    async def _get(self, address: str, *, headers: Mapping[str, str] | None = None) -> Claims:
        body = b""
        async with _answering(), httpx2.AsyncClient(timeout=_PATIENCE, trust_env=False) as client:
            async with client.stream("GET", address, headers=dict(headers or {})) as answer:
                if answer.status_code != 200:
                    raise Unreachable(f"{address} answers {answer.status_code}")
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _BYTES:
                        raise Unusable(f"{address} answers without end")
            found = json.loads(body)
        if not isinstance(found, dict):
            raise Unusable(f"{address} answers something else than an object")
        return found


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Say in our own words what went wrong with an answer, and wait for none too long."""
    try:
        async with asyncio.timeout(_PATIENCE):
            yield
    except OAuthError as error:
        raise Unusable(f"it refuses the code: {error}") from error
    except (httpx2.HTTPError, OSError, TimeoutError) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    except (httpx2.InvalidURL, *_UNREADABLE) as error:
        raise Unusable(f"its answer cannot be read: {error}") from error
