"""Fetch the policy file of MTA-STS over HTTPS (RFC 8461 3.3).

The certificate must be valid for mta-sts.DOMAIN; no redirect is followed; only 200 with text/plain counts; at most
64 KiB are read and at most SECONDS are waited. The address is checked before it is connected: a domain must not be
able to send us to this machine or a private network. One connection for one file.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import h11
from dns.rdtypes.IN.A import A

from relay.delivery.mta_sts import PolicyFault
from relay.delivery.resolver import Resolver

SECONDS = 20.0
MAX_BYTES = 64 * 1024
_PATH = "/.well-known/mta-sts.txt"
_READ = 16 * 1024


class AddressFinder(Protocol):
    """Gives the addresses of a host name, the best first; an empty list when there are none."""

    async def __call__(self, host: str, /) -> Sequence[str]: ...


def finder(resolver: Resolver) -> AddressFinder:
    """Find addresses with our own resolver, IPv4 first: a web server that has both answers there."""

    async def find(host: str) -> Sequence[str]:
        found = [await resolver.lookup(host, kind) for kind in ("A", "AAAA")]
        return [record.address for each in found for record in cast("tuple[A, ...]", each.records)]

    return find


class PolicyFetcher:
    """Fetches policy files; one per process."""

    def __init__(
        self,
        find_addresses: AddressFinder,
        *,
        may_connect: Callable[[str], bool],
        context: ssl.SSLContext,
        port: int = 443,
    ) -> None:
        self._find_addresses = find_addresses
        self._may_connect = may_connect
        self._context = context
        self._port = port

    async def fetch(self, domain: str) -> bytes:
        """Fetch the file of a domain.

        Raises:
            PolicyFault: there is none to be had; says why.
        """
        host = f"mta-sts.{domain}"
        try:
            async with asyncio.timeout(SECONDS):
                addresses = [ip for ip in await self._find_addresses(host) if self._may_connect(ip)]
                if not addresses:
                    raise PolicyFault(f"{host} has no address that may be used")
                return await self._fetch_from(addresses[0], host)
        except TimeoutError as error:
            raise PolicyFault(f"{host} took longer than {SECONDS:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise PolicyFault(f"the certificate of {host} is not valid: {error.verify_message}") from error
        except (OSError, EOFError, h11.RemoteProtocolError) as error:
            raise PolicyFault(f"{host} could not be read: {type(error).__name__}") from error

    async def _fetch_from(self, ip: str, host: str) -> bytes:
        reader, writer = await asyncio.open_connection(ip, self._port, ssl=self._context, server_hostname=host)
        try:
            http = h11.Connection(h11.CLIENT)
            request = h11.Request(
                method="GET",
                target=_PATH,
                headers=[("Host", host), ("User-Agent", "waybill"), ("Accept", "text/plain"), ("Connection", "close")],
            )
            writer.write(http.send(request) or b"")
            writer.write(http.send(h11.EndOfMessage()) or b"")
            return await _read_answer(http, reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _read_answer(http: h11.Connection, reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_READ))
        elif isinstance(event, h11.Response):
            _check(event)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BYTES:
                raise PolicyFault("the policy file is larger than 64 KiB")
        elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            return body


def _check(response: h11.Response) -> None:
    if response.status_code != 200:
        raise PolicyFault(f"the policy file was answered with {response.status_code}")
    kinds = [value.decode("latin-1") for name, value in response.headers if name == b"content-type"]
    if not kinds or kinds[0].partition(";")[0].strip().lower() != "text/plain":
        raise PolicyFault("the policy file is not text/plain")
