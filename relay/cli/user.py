"""`user`: who may sign in to the pages, what they may do there, and how they get in again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from relay.accounts import Account, Role, fault_of_name, fault_of_password, link_of
from relay.actions import Answer
from relay.actions import accounts as acting
from relay.cli.acting import perform, report
from relay.cli.context import configured, opened
from relay.cli.output import print_columns, print_json, safe, shown_time
from relay.cli.passwords import ask_password
from relay.cli.rights import RoleName, read_apps, shown_apps, this_person
from relay.cli.times import utc_now
from relay.settings import Config
from relay.store import accounts
from relay.store.invitations import Purpose
from relay.store.protocols import Store


@click.group(short_help="Who may sign in to the pages.")
def user() -> None:
    """List, add and change the accounts of people who sign in to the pages.

    A role includes every one before it: viewer (sees what became of mail), support (sends again, corrects, blocks),
    operator (queue, incidents, audit log), admin (accounts, erasing).
    """


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_users(config_path: Path | None, as_json: bool) -> int:
    """List the accounts, the disabled ones too."""
    config, _ = configured(config_path)
    with opened(config) as store:
        found = store.read_now(accounts.every)
    if as_json:
        for one in found:
            print_json(_as_json(one))
    elif not found:
        click.echo("Nobody can sign in yet: waybill user add NAME --role admin")
    else:
        headings = ("NAME", "FULL NAME", "ROLE", "APPS", "READS MAIL", "CODE", "LAST SEEN", "STATE")
        print_columns(headings, [_columns(one) for one in found])
    return 0


@user.command("add", short_help="Make an account.")
@click.argument("name")
@click.option("--role", type=RoleName(), default=Role.VIEWER.value, help="What it may do; viewer if not given.")
@click.option("--apps", metavar="NAME,…", default="all", help="See mail of these apps alone; all if not given.")
@click.option("--no-content", is_flag=True, help="See what became of mail, but not what it says.")
@click.option("--full-name", default="", metavar="TEXT", help="How colleagues know the person.")
@click.option("--link", is_flag=True, help="Ask for no password; print a one-time link to choose one.")
@click.pass_obj
def add(
    config_path: Path | None, name: str, role: Role, apps: str, no_content: bool, full_name: str, link: bool
) -> int:
    """Make an account. Asks for the password, or reads it as one line from stdin."""
    config, _ = configured(config_path)
    chosen = read_apps(config, apps)
    if (fault := fault_of_name(name)) is not None:
        raise click.UsageError(fault)
    password_hash = "" if link else _new_hash(name)
    with opened(config) as store:
        answer = store.write_now(
            lambda tx: acting.create_account(
                tx,
                name,
                role=role,
                apps=chosen,
                may_read_content=not no_content,
                shown=full_name,
                password_hash=password_hash,
                actor=this_person(),
                now=utc_now(),
            )
        )
        code = report(answer)
        return _print_link(store, config, name, Purpose.WELCOME) if link and answer.is_done else code


@user.command("change", short_help="Change what an account may do.")
@click.argument("name")
@click.option("--role", type=RoleName(), help="What it may do.")
@click.option("--apps", metavar="NAME,…", help='See mail of these apps alone; "all" for every app.')
@click.option("--content/--no-content", default=None, help="Whether it sees what mail says.")
@click.option("--full-name", metavar="TEXT", help="How colleagues know the person.")
@click.pass_obj
def change(
    config_path: Path | None,
    name: str,
    role: Role | None,
    apps: str | None,
    content: bool | None,
    full_name: str | None,
) -> int:
    """Change what is given; with other rights the person has to sign in again."""
    config, _ = configured(config_path)
    chosen = None if apps is None else read_apps(config, apps)
    with opened(config) as store:
        return perform(
            store,
            lambda tx: acting.change_account(
                tx,
                name,
                role=role,
                apps=chosen,
                may_read_content=content,
                shown=full_name,
                actor=this_person(),
                now=utc_now(),
            ),
        )


@user.command("password", short_help="Give an account another password.")
@click.argument("name")
@click.option("--link", is_flag=True, help="Ask for no password; print a one-time link to choose one.")
@click.pass_obj
def password(config_path: Path | None, name: str, link: bool) -> int:
    """Give an account another password: asked for, or one line from stdin. The person is signed out everywhere."""
    config, _ = configured(config_path)
    with opened(config) as store:
        if store.read_now(lambda tx: accounts.named(tx, name)) is None:
            click.echo(safe(f"There is no account {name}."), err=True)
            return 1
        if link:
            return _print_link(store, config, name, Purpose.RESET)
        made = _new_hash(name)
        return perform(
            store,
            lambda tx: acting.set_password(tx, name, password_hash=made, actor=this_person(), now=utc_now()),
        )


@user.command("disable", short_help="Let somebody sign in no more.")
@click.argument("name")
@click.pass_obj
def disable(config_path: Path | None, name: str) -> int:
    """Let somebody sign in no more, and end what is signed in. What the person did stays in the log."""
    return _act(config_path, name, acting.disable_account)


@user.command("enable", short_help="Let a disabled account sign in again.")
@click.argument("name")
@click.pass_obj
def enable(config_path: Path | None, name: str) -> int:
    """Let a disabled account sign in again, with the password it had."""
    return _act(config_path, name, acting.enable_account)


@user.command("signout", short_help="Sign an account out everywhere.")
@click.argument("name")
@click.pass_obj
def signout(config_path: Path | None, name: str) -> int:
    """End every session of an account, and its unused links."""
    return _act(config_path, name, acting.sign_out_everywhere)


@user.command("reset-code", short_help="Let somebody in who lost the telephone.")
@click.argument("name")
@click.pass_obj
def reset_code(config_path: Path | None, name: str) -> int:
    """Let an account sign in without the code of its telephone, until its owner sets that up anew."""
    return _act(config_path, name, acting.remove_totp)


@user.command("connect", short_help="Let the provider vouch for an account.")
@click.argument("name")
@click.argument("subject")
@click.pass_obj
def connect(config_path: Path | None, name: str, subject: str) -> int:
    """Let an account be entered through the provider of [dashboard.oidc] alone; its password and code go.

    SUBJECT is what the provider calls the person ("sub"); after a refused sign-in it stands in the audit log.
    """
    config, _ = configured(config_path)
    if config.dashboard.oidc is None:
        raise click.UsageError("the configuration names no provider: write [dashboard.oidc]")
    issuer = config.dashboard.oidc.issuer
    with opened(config) as store:
        return perform(
            store,
            lambda tx: acting.connect_account(
                tx, name, issuer=issuer, subject=subject, actor=this_person(), now=utc_now()
            ),
        )


@user.command("disconnect", short_help="Make an account local again.")
@click.argument("name")
@click.pass_obj
def disconnect(config_path: Path | None, name: str) -> int:
    """Let no provider vouch for an account any more; it needs a password then (user password)."""
    return _act(config_path, name, acting.disconnect_account)


def _act(config_path: Path | None, name: str, action: Callable[..., Answer]) -> int:
    config, _ = configured(config_path)
    with opened(config) as store:
        return perform(store, lambda tx: action(tx, name, actor=this_person(), now=utc_now()))


def _new_hash(name: str) -> str:
    given = ask_password()
    fault = fault_of_password(given, name=name)
    if fault is not None:
        raise click.UsageError(fault)
    return acting.make_hash(given)


def _print_link(store: Store, config: Config, name: str, purpose: Purpose) -> int:
    """Print a link, alone on stdout, so that a script can pass it on."""
    actor = this_person()
    token = store.write_now(lambda tx: acting.make_invitation(tx, name, purpose, actor=actor, now=utc_now()))
    if token is None:
        click.echo(safe(f"{name} is disabled, or signs in with the provider; enable or disconnect it first."), err=True)
        return 1
    click.echo("waybill: this link works once; give it to nobody else", err=True)
    click.echo(link_of(config.dashboard.url, token))
    return 0


def _columns(one: Account) -> tuple[str, ...]:
    state = "active" if one.password_hash else "provider" if one.is_connected else "no password yet"
    seen = shown_time(one.last_seen_at) if one.last_seen_at else "never"
    reads, code = ("yes" if yes else "no" for yes in (one.may_read_content, one.has_second_step))
    shown = "disabled" if one.is_disabled else state
    return (one.name, one.shown, one.role, shown_apps(one.apps), reads, code, seen, shown)


def _as_json(one: Account) -> dict[str, object]:
    return {
        "name": one.name,
        "full_name": one.shown,
        "role": one.role,
        "apps": list(one.apps),
        "may_read_content": one.may_read_content,
        "has_password": bool(one.password_hash),
        "has_second_step": one.has_second_step,
        "issuer": one.issuer,
        "subject": one.subject,
        "created_at": one.created_at,
        "disabled_at": one.disabled_at,
        "last_seen_at": one.last_seen_at,
    }
