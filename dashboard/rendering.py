"""Templates: the one Jinja environment, its filters, and what every page is given.

Everything is escaped, in every kind of template; a name that does not exist is an error and no empty text.
`_("…")` and `ngettext` translate into the language of the page that is being made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import jinja2
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from dashboard import blocks, causes, labels, links, static
from dashboard.tongue import Tongue
from dashboard.values import said
from relay.model import Event
from relay.moments import json_time


@cache
def environment() -> jinja2.Environment:
    """Make the environment; templates are package data."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("dashboard", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    env.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    env.filters |= {
        "when": when,
        "clock": clock,
        "ago": ago,
        "words": words,
        "told": told,
        "in_words": in_words,
        "said": value,
        "mailbox": mailbox,
    }
    env.globals |= {"static": static.url, "labels": labels, "links": links, "blocks": blocks}
    return env


def render(template: str, context: dict[str, Any]) -> str:
    """Fill a template; `context` has `tongue` and `now`."""
    return environment().get_template(template).render(context)


def _tongue(context: Context) -> Tongue:
    found = context["tongue"]
    assert isinstance(found, Tongue)
    return found


@pass_context
def _gettext(context: Context, source: str) -> str:
    return _tongue(context).text(source)


@pass_context
def _ngettext(context: Context, one: str, many: str, n: int) -> str:
    return _tongue(context).plural(one, many, n)


@pass_context
def words(context: Context, source: str) -> str:
    """Translate a text that comes from a table, not from the template."""
    return _tongue(context).text(source)


@pass_context
def told(context: Context, said: str) -> str:
    """Translate what the relay said: the answer of an action, the text of an event, a finding."""
    return _tongue(context).told(said)


@pass_context
def value(context: Context, what: object) -> str:
    """Say a setting's value with its unit."""
    return said(what, _tongue(context))


@pass_context
def in_words(context: Context, event: Event) -> str:
    """Say what an event says, with the words of labels for those of the programs."""
    tongue = _tongue(context)
    return tongue.told(causes.in_words(event.kind, event.text, tongue))


def mailbox(address: str) -> Markup:
    """Let a long address break behind its @ before it breaks anywhere else."""
    local, at, domain = address.rpartition("@")
    return Markup("{}{}<wbr>{}").format(local, at, domain) if at else escape(address)


def _time(when: datetime, text: str) -> Markup:
    exact = f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(json_time(when), exact, escape(text))


@pass_context
def when(context: Context, moment: datetime) -> Markup:
    """Show date and time on the reader's clock."""
    return _time(moment, _tongue(context).moment(moment, now=context["now"]))


@pass_context
def clock(context: Context, moment: datetime) -> Markup:
    """Show the time of day to the second."""
    return _time(moment, _tongue(context).clock(moment))


@pass_context
def ago(context: Context, moment: datetime) -> Markup:
    """Show how long ago."""
    return _time(moment, _tongue(context).ago(moment, context["now"]))
