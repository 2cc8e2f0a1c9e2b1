"""A little OpenID Connect provider on loopback: real keys, real HTTP, and every fault that a test asks for.

It signs in whoever comes, without a question. `person` is what it says of them, `spoil` changes claims of the next
tokens, `key` what they are signed with; it checks redirect address, secret and PKCE as a strict provider does.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "waybill", "a secret of the provider's"


def new_key(kid: str = "one") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


@dataclass
class LittleProvider:
    """The provider, and what it is asked to do wrong."""

    issuer: str
    return_to: str
    key: RSAKey = field(default_factory=new_key)
    shown_keys: list[RSAKey] = field(default_factory=list)  #: what it publishes; none = its key
    person: dict[str, Any] = field(default_factory=dict)
    in_userinfo: dict[str, Any] = field(default_factory=dict)
    spoil: dict[str, Any] = field(default_factory=dict)  #: claims of the token that are different; None = left out
    about: dict[str, Any] = field(default_factory=dict)  #: the same for what it publishes about itself
    header: dict[str, Any] = field(default_factory=dict)
    forge: Callable[[dict[str, Any]], str] | None = None  #: makes the token in its place
    instead: dict[str, str] = field(default_factory=dict)  #: what a path answers in place of the right thing
    is_broken: bool = False  #: answers 500
    asked: list[str] = field(default_factory=list)  #: every path that was asked for
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        pages = {
            "/.well-known/openid-configuration": self._discovery,
            "/keys": self._keys,
            "/authorize": self._authorize,
            "/userinfo": self._userinfo,
        }
        routes = [Route(path, self._counted(page)) for path, page in pages.items()]
        return Starlette(routes=[*routes, Route("/token", self._counted(self._token), methods=["POST"])])

    def _counted(self, page: Any) -> Any:
        async def counted(request: Request) -> Response:
            self.asked.append(request.url.path)
            if self.is_broken:
                return Response("out of order", status_code=500)
            if request.url.path in self.instead:
                return Response(self.instead[request.url.path], media_type="application/json")
            answer: Response = await page(request)
            return answer

        return counted

    async def _discovery(self, request: Request) -> Response:
        about = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }
        return JSONResponse(_changed(about, self.about))

    async def _keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.shown_keys or [self.key]]})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        is_known = (asked["client_id"], asked["redirect_uri"]) == (CLIENT, self.return_to)
        if not is_known or asked["code_challenge_method"] != "S256" or "openid" not in asked["scope"].split():
            return Response("I do not know you", status_code=400)
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return RedirectResponse(f"{self.return_to}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        asked = self.codes.pop(str(form.get("code")), None)
        given = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form.get("code_verifier")).encode()).digest())
        if given != f"{CLIENT}:{SECRET}":
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        is_right = asked is not None and challenge.decode().rstrip("=") == asked["code_challenge"]
        if not is_right or asked is None or form.get("redirect_uri") != self.return_to:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": asked["nonce"]}
        claims = _changed(claims | self.person, self.spoil)
        header = {"alg": "RS256", "kid": self.key.kid} | self.header
        token = self.forge(claims) if self.forge else jwt.encode(header, claims, self.key, algorithms=["RS256"])
        return JSONResponse({"access_token": "for userinfo", "token_type": "Bearer", "id_token": token})

    async def _userinfo(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer for userinfo":
            return Response(status_code=401)
        return JSONResponse({"sub": self.person.get("sub")} | self.in_userinfo)


def _changed(claims: dict[str, Any], by: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (claims | by).items() if value is not None}


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:  # signals are the tests' business
        pass


@contextmanager
def little_provider(return_to: str) -> Iterator[LittleProvider]:
    """Run a provider on a free port until the test ends."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        provider = LittleProvider(f"http://127.0.0.1:{listening.getsockname()[1]}", return_to)
        config = uvicorn.Config(provider.app(), log_config=None, lifespan="off", ws="none", access_log=False)
        server = _Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()
