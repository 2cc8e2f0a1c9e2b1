"""All receiving sites this process has met, each with the limits the configuration gives it.

The limits are those of [delivery.site], capped by what is known of the provider (providers.py). `[[site]] match` names
an MX host (then it holds for the whole site) or a recipient domain (then that domain alone gets limits of its own,
apart from others at the same hosts); "*.example.com" is everything below. Hosts win over domains, and the first match
in the file wins; the keys that it gives count, whatever the provider is.

Mail that must leave from source addresses of its app's choice has a site of its own: providers count connections, and
hold grudges, by address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relay.delivery.contract import Route
from relay.delivery.gates import Gates
from relay.delivery.providers import Provider
from relay.delivery.share import Share
from relay.delivery.site import Site
from relay.delivery.site_keys import is_below, site_key
from relay.settings import SiteLimits, SiteOverride
from relay.store.sites import SiteRow


class Sites:
    """All sites this process has met, by key, with the configured exceptions applied."""

    def __init__(
        self,
        defaults: SiteLimits,
        overrides: Sequence[SiteOverride],
        *,
        providers: Sequence[Provider] = (),
        gates: Gates | None = None,
    ) -> None:
        self._defaults = defaults
        self._overrides = tuple(overrides)
        self._providers = providers
        self._gates = gates or Gates()
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
        hosts = [host.name for host in route.hosts]
        for override in self._overrides:
            if any(is_below(override.match, host) for host in hosts):
                return self._get(route, override)
        for override in self._overrides:
            if is_below(override.match, domain):
                return self._get(route, override, pattern=override.match)
        return self._get(route, None)

    def _get(self, route: Route, override: SiteOverride | None, *, pattern: str = "") -> Site:
        key = site_key(route.site, pattern=pattern, sources=route.sources)
        site = self._sites.get(key)
        if site is None:
            limits = self._whole[key] = self._limits(route, override)
            site = self._sites[key] = Site(key, self._share.of(limits, key=key), gates=self._gates)
            if key in self._records:
                site.restore(self._records.pop(key))
        return site

    def _limits(self, route: Route, override: SiteOverride | None) -> SiteLimits:
        hosts = [host.name for host in route.hosts]
        provider = next((each for each in self._providers if each.serves(hosts)), None)
        limits = provider.cap(self._defaults) if provider is not None else self._defaults
        return _merged(limits, override) if override is not None else limits

    def forget_quiet(self) -> None:
        """Drop healthy sites with nothing to do, so that memory follows the traffic."""
        quiet = [key for key, site in self._sites.items() if site.is_quiet]
        for key in quiet:
            del self._sites[key], self._whole[key]


def _merged(defaults: SiteLimits, override: SiteOverride) -> SiteLimits:
    # Not model_dump, which would turn the rate into a dict.
    given = {name: value for name, value in override if name != "match" and value is not None}
    return defaults.model_copy(update=given)
