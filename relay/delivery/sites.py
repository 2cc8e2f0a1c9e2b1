"""All receiving sites this process has met, each with the limits the configuration gives it.

`[[site]] match` names an MX host (then it holds for the whole site) or a recipient domain (then that domain alone gets
limits of its own, apart from others at the same hosts); "*.example.com" is everything below. Hosts win over domains,
and the first match in the file wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relay.delivery.contract import Route
from relay.delivery.share import Share
from relay.delivery.site import Site
from relay.settings import SiteLimits, SiteOverride
from relay.store.sites import SiteRow


class Sites:
    """All sites this process has met, by key, with the configured exceptions applied."""

    def __init__(self, defaults: SiteLimits, overrides: Sequence[SiteOverride]) -> None:
        self._defaults = defaults
        self._overrides = tuple(overrides)
        self._sites: dict[str, Site] = {}
        self._records: dict[str, SiteRow] = {}
        self._whole: dict[str, SiteLimits] = {}  #: what all processes together must keep to
        self._share = Share()

    def __iter__(self) -> Iterator[Site]:
        return iter(list(self._sites.values()))

    def load(self, records: Sequence[SiteRow]) -> None:
        """Remember stored back-offs for when their sites are met again."""
        self._records = {record.key: record for record in records if record.step > 0}

    def divide(self, share: Share) -> list[Site]:
        """Take our share of all limits from now on; return the sites of which we have none."""
        if share != self._share:
            self._share = share
            for key, site in self._sites.items():
                site.limit_to(share.of(self._whole[key], key=key))
        return [site for site in self if site.limits.connections == 0]

    def adopt(self, records: Sequence[SiteRow]) -> list[Site]:
        """Heed what other processes found out; return the sites that back off now."""
        begun = []
        for record in records:
            site = self._sites.get(record.key)
            if site is None:
                self._records[record.key] = record
            elif site.adopt(record):
                begun.append(site)
        return begun

    def of(self, route: Route, *, domain: str) -> Site:
        """Return the site of a route; a domain with limits of its own is a site of its own."""
        if not self._overrides:
            return self._get(route.site, self._defaults)
        for override in self._overrides:
            if any(_matches(override.match, host.name) for host in route.hosts):
                return self._get(route.site, _merged(self._defaults, override))
        for override in self._overrides:
            if _matches(override.match, domain):
                return self._get(f"{route.site} {override.match}", _merged(self._defaults, override))
        return self._get(route.site, self._defaults)

    def _get(self, key: str, limits: SiteLimits) -> Site:
        site = self._sites.get(key)
        if site is None:
            self._whole[key] = limits
            site = self._sites[key] = Site(key, self._share.of(limits, key=key))
            if key in self._records:
                site.restore(self._records.pop(key))
        return site

    def forget_quiet(self) -> None:
        """Drop healthy sites with nothing to do, so that memory follows the traffic."""
        quiet = [key for key, site in self._sites.items() if site.is_quiet]
        for key in quiet:
            del self._sites[key], self._whole[key]


def _matches(pattern: str, name: str) -> bool:
    pattern = pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return name.lower().endswith(pattern[1:])
    return name.lower() == pattern


def _merged(defaults: SiteLimits, override: SiteOverride) -> SiteLimits:
    # Not model_dump, which would turn the rate into a dict.
    given = {name: value for name, value in override if name != "match" and value is not None}
    return defaults.model_copy(update=given)
