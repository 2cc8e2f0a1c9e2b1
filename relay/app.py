"""The only wiring: which parts make a process, in which order they start, and how they stop.

Each part is an async context manager: it is running when entered and has stopped in order when left. Parts are
entered in the order of the mail's way and left in the opposite one; the store is opened first and closed last.
A part whose background work fails ends the whole process with exit code 1, and the supervisor starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from relay import __version__, logs, systemd
from relay.clock import StoreClock
from relay.settings import Config
from relay.store import exclusive, folder_of, is_shared, open_store
from relay.store.engine import EngineStore
from relay.store.locks import make_folder
from relay.store.nodes import Member

if TYPE_CHECKING:
    from relay.delivery.resolver import Resolver
    from relay.delivery.sts import StsPolicies
    from relay.delivery.tls import TlsContexts
    from relay.housekeeping import Chore
    from relay.intake.returns import Returns
    from relay.verp import ReturnPaths

log = logging.getLogger(__name__)

#: How long open transactions may take to end at a stop; the supervisor kills after 8 s.
_GRACE = timedelta(seconds=6)

#: Pauses between two batches of search indexing: when there is nothing else to do, and when mail is moving.
_INDEX_BATCH = 200
_INDEX_IDLE_SECONDS = 0.02
_INDEX_BUSY_SECONDS = 0.5
_INDEX_LOOK_SECONDS = 1.0

Part = Callable[[Config, EngineStore, asyncio.TaskGroup], contextlib.AbstractAsyncContextManager[None]]


def run_intake(config: Config) -> int:
    """Take mail until SIGTERM; return the exit code."""
    return _run(config, "intake", [intake])


def run_delivery(config: Config) -> int:
    """Deliver until SIGTERM; return the exit code.

    Raises:
        StoreLocked: another delivery process works on this SQLite store.
    """
    if is_shared(config.store.url):
        make_folder(config.data_dir)  # for the socket that intake nudges; with SQLite the lock makes it
        return _run(config, "delivery", [delivery])
    with exclusive(config.data_dir, "deliver"):
        return _run(config, "delivery", [delivery])


def run_dashboard(config: Config) -> int:
    """Show pages until SIGTERM; return the exit code."""
    return _run(config, "dashboard", [dashboard])


def run_all(config: Config) -> int:
    """Run everything in this one process (an SQLite that only one process may write)."""
    with exclusive(config.data_dir, "deliver"):
        return _run(config, "waybill", [delivery, intake, dashboard])


def _run(config: Config, name: str, parts: Sequence[Part]) -> int:
    os.umask(0o077)
    logs.set_up(config.log, process=name)
    with open_store(config.store.url, config.base_dir) as store, asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(_main(config, store, name, parts))


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


async def _main(config: Config, store: EngineStore, name: str, parts: Sequence[Part]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as tasks:
            # A failing store is reopened by itself. Killing delivery meanwhile would forget answers not yet recorded.
            beating = tasks.create_task(systemd.beat(lambda: delivery in parts or store.is_healthy))
            async with contextlib.AsyncExitStack() as running:
                for part in parts:
                    await running.enter_async_context(part(config, store, tasks))
                gc.collect()
                gc.freeze()
                gc.set_threshold(20_000, 20, 50)
                systemd.notify("READY=1")
                log.info("ready process=%s pid=%d", name, os.getpid())
                await stop.wait()
                systemd.notify("STOPPING=1")
                log.info("stopping process=%s", name)
            beating.cancel()
    except BaseExceptionGroup:
        log.critical("a part of %s failed", name, exc_info=True)
        return 1
    return 0


@contextlib.asynccontextmanager
async def intake(config: Config, store: EngineStore, tasks: asyncio.TaskGroup) -> AsyncIterator[None]:
    """Accept mail on the listeners."""
    from relay.intake.acceptor import StoreAcceptor
    from relay.intake.auth import load_hashes
    from relay.intake.listener import serve_listeners
    from relay.intake.reception import FreeSpace, Reception
    from relay.presence import keep_present
    from relay.store import refusals, spool
    from relay.wake import Waker

    waker = Waker(config.data_dir)
    acceptor = StoreAcceptor(store, accept=spool.accept, refuse=refusals.add_all, wake=waker.wake)
    folder = folder_of(config.store.url, config.base_dir)
    named = config.model_copy(update={"node": config.node.model_copy(update={"hostname": _hostname(config)})})
    clock = StoreClock(_utc_now)
    reception = Reception(
        named,
        acceptor,
        hashes=load_hashes(config),
        now=clock,
        free_space=FreeSpace(folder),
        returns=await _returns(named, store, wake=waker.wake),
    )
    listeners = await serve_listeners(reception, _sockets(config))
    refusing = tasks.create_task(acceptor.run())
    present = (
        tasks.create_task(keep_present(store, _member(config, "intake"), clock=clock))
        if is_shared(config.store.url)
        else None
    )
    try:
        yield
    finally:
        if present is not None:
            present.cancel()
        await listeners.stop(_GRACE.total_seconds())
        refusing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await refusing
        waker.close()


async def _return_paths(config: Config, store: EngineStore) -> ReturnPaths | None:
    """Give what makes and reads return paths; None when the configuration wants none."""
    from relay.store import meta
    from relay.verp import ReturnPaths

    if config.returned.domain is None:
        return None
    secret = await store.write(lambda tx: meta.secret(tx, "returned"))
    return ReturnPaths(domain=config.returned.domain, secret=secret)


async def _returns(config: Config, store: EngineStore, *, wake: Callable[[], None]) -> Returns | None:
    """Give what takes returned mail; None when the configuration wants none."""
    paths = await _return_paths(config, store)
    if paths is None:
        return None
    from relay.classify.report import read_report
    from relay.intake.returns import StoreReturns

    return StoreReturns(store, config, paths=paths, read=read_report, wake=wake)


def _member(config: Config, role: str, *, sources: Sequence[str] = ()) -> Member:
    """What this process is called among those of its store; the random part outlives a pid that comes again."""
    name = _hostname(config)
    return Member(
        owner=f"{name}/{os.getpid()}/{secrets.token_hex(4)}",
        node=name,
        role=role,
        version=__version__,
        sources=" ".join(sources),
    )


def _hostname(config: Config) -> str:
    return config.node.hostname or socket.gethostname()


def _sockets(config: Config) -> list[tuple[Any, socket.socket]]:
    """Take over the sockets we were given, and open the rest ourselves."""
    from relay.intake.listener import bind

    pairs, missing = systemd.match_listeners(config.listener, systemd.given_sockets())
    return [*pairs, *bind(config.model_copy(update={"listener": missing}))]


@contextlib.asynccontextmanager
async def delivery(config: Config, store: EngineStore, tasks: asyncio.TaskGroup) -> AsyncIterator[None]:
    """Deliver what is due, and keep the search index up to date."""
    from relay.classify import classify
    from relay.config import read_secret
    from relay.delivery.connector import SmtpConnector
    from relay.delivery.dkim_keys import load_keys, signer, unchanged
    from relay.delivery.mx import MxRouter
    from relay.delivery.own_addresses import OwnAddresses, tell_sources
    from relay.delivery.protection import Protections
    from relay.delivery.resolver import Resolver
    from relay.delivery.return_path import as_given
    from relay.delivery.scheduler import Scheduler
    from relay.delivery.steering import Detours, Steering
    from relay.delivery.tls import TlsContexts
    from relay.dsn_sending import Teller, Telling
    from relay.housekeeping import Housekeeper
    from relay.wake import WakeListener

    clock = time.monotonic
    resolver = Resolver(
        config.dns.servers,
        timeout=config.dns.timeout.total_seconds(),
        lifetime=config.dns.lifetime.total_seconds(),
        clock=clock,
        trusted=config.dns.trusted,
    )
    contexts = TlsContexts.build(ca_file=config.path(config.tls.ca_file) if config.tls.ca_file else None)
    policies = _sts_policies(config, store, resolver, contexts) if config.tls.mta_sts else None
    own_addresses = OwnAddresses(clock=clock)
    member = _member(config, "delivery", sources=tell_sources(config.delivery.source_addresses, own_addresses))
    router = MxRouter(
        config,
        resolver=resolver,
        read_secret=partial(read_secret, config),
        rng=random.Random(),
        has_address=own_addresses.has,
        protections=Protections(config.tls, resolver=resolver, policies=policies),
    )
    connector = SmtpConnector(
        config,
        contexts=contexts,
        own_addresses=own_addresses,
        now=_utc_now,
        clock=clock,
    )
    paths = await _return_paths(config, store)
    keys = load_keys(config)
    steering = Steering()
    scheduler = Scheduler(
        store,
        Detours(router, steering, clock=_utc_now),
        connector=connector,
        classify=classify,
        config=config,
        clock=_utc_now,
        random=random.random,
        steering=steering,
        owner=member.owner,
        is_alone=not is_shared(config.store.url),
        member=member if is_shared(config.store.url) else None,
        return_path=paths.of if paths is not None else as_given,
        prepare=signer(keys) if keys else unchanged,
    )
    listener = WakeListener(config.data_dir, scheduler.wake)
    listener.start(asyncio.get_running_loop())
    running = tasks.create_task(scheduler.run())
    indexing = tasks.create_task(_index(store, lambda: scheduler.in_memory > 0))
    telling = tasks.create_task(Telling(store, Teller.of(config, hostname=_hostname(config)), clock=_utc_now).run())
    keeping_house = tasks.create_task(
        Housekeeper(store, _chores(config, store, resolver, policies), owner=member.owner, clock=_utc_now).run()
    )
    try:
        yield
    finally:
        indexing.cancel()
        telling.cancel()
        keeping_house.cancel()
        await scheduler.stop(_GRACE)
        await running
        if policies is not None:
            await policies.close()
        await resolver.close()
        listener.close()


async def _index(store: EngineStore, is_busy: Callable[[], bool]) -> None:
    """Bring new deliveries into the search index, a batch at a time, slower while mail is moving."""
    from relay.errors import StoreError
    from relay.store import log as delivery_log

    while True:
        try:
            count = await store.write(lambda tx: delivery_log.index_pending(tx, limit=_INDEX_BATCH))
        except StoreError as error:
            log.warning("the search index waits for the store: %s", error)
            count = 0
        if count < _INDEX_BATCH:
            await asyncio.sleep(_INDEX_LOOK_SECONDS)
        else:
            await asyncio.sleep(_INDEX_BUSY_SECONDS if is_busy() else _INDEX_IDLE_SECONDS)


def _sts_policies(config: Config, store: EngineStore, resolver: Resolver, contexts: TlsContexts) -> StsPolicies:
    """What finds the MTA-STS policies of recipients' domains."""
    from relay.delivery.guard import is_private
    from relay.delivery.sts import StsPolicies
    from relay.delivery.sts_fetch import PolicyFetcher, finder

    fetcher = PolicyFetcher(
        finder(resolver),
        may_connect=lambda ip: config.delivery.allow_private_addresses or not is_private(ip),
        context=contexts.checked,
    )
    return StsPolicies(resolver, fetcher, store=store, clock=_utc_now)


def _chores(config: Config, store: EngineStore, resolver: Resolver, policies: StsPolicies | None) -> list[Chore]:
    """What the delivery process does from time to time."""
    from relay.deadline_watch import DeadlineWatch
    from relay.delivery.mail_service import takes_mail
    from relay.housekeeping import Chore
    from relay.incident_watch import IncidentWatch
    from relay.pruning import prune
    from relay.suggesting import suggest_missing
    from relay.watching import RateWatch

    async def forget(now: datetime) -> None:
        done = await prune(store, config.retention, now=now)
        if done.contents or done.messages:
            log.info("event=pruned contents=%d messages=%d", done.contents, done.messages)

    async def suggest(now: datetime) -> None:
        await suggest_missing(store, partial(takes_mail, resolver), now=now)

    refreshing = [Chore(name="MTA-STS policies", every=timedelta(minutes=10), run=policies.refresh)] if policies else []
    return [
        *refreshing,
        Chore(name="suggestions", every=timedelta(seconds=20), run=suggest),
        Chore(
            name="deadlines",
            every=timedelta(seconds=20),
            run=DeadlineWatch(store, notice=config.delivery.deadline_notice).look,
        ),
        Chore(name="incidents", every=timedelta(seconds=20), run=IncidentWatch(store).look),
        Chore(name="delivery rate", every=timedelta(minutes=10), run=RateWatch(store).look),
        Chore(name="pruning", every=timedelta(hours=1), run=forget),
    ]


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def _tell_first_link(config: Config, store: EngineStore) -> None:
    """While there is no account, say by which link the first one is made; each start makes another link."""
    from relay.accounts import link_of
    from relay.actions import accounts

    token = await store.write(lambda tx: accounts.first_link(tx, now=_utc_now()))
    if token is not None:
        log.warning(
            "There is no account yet. Make the first one here, within a day: %s", link_of(config.dashboard.url, token)
        )


@contextlib.asynccontextmanager
async def dashboard(config: Config, store: EngineStore, tasks: asyncio.TaskGroup) -> AsyncIterator[None]:
    """Serve the pages."""
    import uvicorn

    from dashboard.app import build, warm
    from dashboard.gate import StoreGate, record
    from relay.classify.rules import load_rules
    from relay.config import secret_path
    from relay.wake import Waker

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            yield  # signals are the process's business

    await _tell_first_link(config, store)
    waker, given = Waker(config.data_dir), config.dashboard
    app = build(config, store, gate=StoreGate(store), audit=record, nudge=waker.wake)
    settings = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        timeout_keep_alive=5,
        proxy_headers=bool(given.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in given.trusted_proxies],
        ssl_certfile=secret_path(config, given.cert_file) if given.cert_file else None,
        ssl_keyfile=str(secret_path(config, given.key_file)) if given.key_file else None,
    )
    family = socket.AF_INET6 if ":" in config.dashboard.address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((config.dashboard.address.host, config.dashboard.address.port))
        listening.listen(128)
        server = Server(settings)
        serving = tasks.create_task(server.serve(sockets=[listening]))
        # What the first reader would wait for.
        reading = [tasks.create_task(asyncio.to_thread(read)) for read in (warm, load_rules)]
        warming = tasks.create_task(app.state.counts.warm(store, now=_utc_now()))
        try:
            yield
        finally:
            warming.cancel()
            for each in reading:
                each.cancel()
            server.should_exit = True
            await serving
            waker.close()
