"""Read config.toml into the frozen objects of settings.py, and say everything that is wrong with it at once.

Policy: default, then file; nothing comes from the environment but the place of the file. Every fault is one sentence
with its line ("config.toml:11: listener.1.tls: ..."; tables of a list are counted from 1), unknown keys get the nearest
known one. A file is used whole or not at all, so a reload can validate the new one and keep the old one.
Without a file: one listener on 127.0.0.1:2525, and with no [[app]] intake serves loopback clients only.

Owns: finding the file, parsing, checks across sections, warnings, the lines that log the effective configuration, and
reading secrets from files or systemd credentials ("credential:NAME"). It opens no store and no socket.
"""

from __future__ import annotations

import copy
import os
import re
import socket
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from relay.config_checks import cross_check
from relay.config_faults import (
    environment_faults,
    in_order,
    independent_faults,
    remove_key,
    syntax_fault,
    validation_faults,
)
from relay.errors import ConfigError
from relay.settings import NO_HASH, Config, HostPort, Listener, is_password_hash, is_private_host
from relay.toml_lines import Location, line_numbers

#: Where the file is looked for when neither -c nor $WAYBILL_CONFIG names one.
PLACES = (Path("config.toml"), Path("/etc/waybill/config.toml"))

_MASKED = frozenset({"password_hash"})
_CREDENTIAL = "credential:"

_OIDC_PACKAGES = ("authlib", "httpx2")
NO_OIDC = "dashboard.oidc: this needs two packages more: pip install 'waybill-relay[oidc]'"


def find_config(explicit: Path | None, *, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Find the configuration file: the one named, $WAYBILL_CONFIG, ./config.toml, /etc/waybill/config.toml.

    Raises:
        ConfigError: a named file does not exist.
    """
    named = explicit or (Path(environ["WAYBILL_CONFIG"]) if environ.get("WAYBILL_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError([f"{named}: there is no such file"])
        return named
    return next((place for place in PLACES if place.is_file()), None)


def load(path: Path | None) -> Config:
    """Read and check the file; None gives the safe defaults.

    Raises:
        ConfigError: it cannot be used; `problems` holds every fault, in the order of the file.
    """
    if path is None:
        return defaults()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: it is not UTF-8 text"]) from error
    return load_text(text, base_dir=path.resolve().parent, name=path.name)


def defaults() -> Config:
    """Give the configuration that holds without a file; relative paths start in the current folder."""
    return _complete(Config(), Path.cwd())


def load_text(text: str, *, base_dir: Path, name: str = "config.toml") -> Config:
    """Check a configuration given as text.

    Raises:
        ConfigError: as for load.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([syntax_fault(name, str(error), text=text)]) from error
    lines = line_numbers(text)
    faults = list(environment_faults(data))
    if "base_dir" in data:  # a field of Config for the loader's own use, not a key
        faults.append((("base_dir",), "unknown key"))
        del data["base_dir"]
    config = None
    try:
        config = _complete(Config.model_validate(data), base_dir)
    except ValidationError as error:
        places = {path for path, _ in faults}
        faults.extend(fault for fault in validation_faults(error, data) if fault[0] not in places)
        partial = _without(data, [path for path, _ in faults])
        if partial is not None:
            faults.extend(independent_faults(cross_check(_complete(partial, base_dir)), faults))
    else:
        faults.extend(independent_faults(cross_check(config), faults))
    if config is None or faults:
        raise ConfigError(in_order(faults, lines, name))
    return config


def _without(data: dict[str, Any], places: list[Location]) -> Config | None:
    """Read what is left when the faulty keys are taken out, so that the other checks can run in the same go."""
    left = copy.deepcopy(data)
    for path in places:
        remove_key(left, path)
    try:
        return Config.model_validate(left)
    except ValidationError:
        return None


def _complete(config: Config, base_dir: Path) -> Config:
    """Fill in what has no constant default: the base folder, a listener, this machine's name.

    What is filled in counts as a default all the same, not as named by the file.
    """
    changes: dict[str, object] = {"base_dir": base_dir}
    if not config.listener:
        changes["listener"] = [Listener(address=HostPort("127.0.0.1", 2525))]
    if not config.node.hostname:
        node = config.node.model_copy(update={"hostname": socket.gethostname()})
        node.model_fields_set.discard("hostname")
        changes["node"] = node
    complete = config.model_copy(update=changes)
    complete.model_fields_set.intersection_update(config.model_fields_set)
    return complete


def secret_path(config: Config, path: Path, *, environ: Mapping[str, str] = os.environ) -> Path:
    """Give the file that holds a secret: "credential:NAME" is one that systemd passed to the service.

    Raises:
        ConfigError: a credential is named, but systemd passed none.
    """
    text = str(path)
    if not text.startswith(_CREDENTIAL):
        return config.path(path)
    folder = environ.get("CREDENTIALS_DIRECTORY")
    name = text.removeprefix(_CREDENTIAL)
    if not folder or not name or "/" in name:
        raise ConfigError([f"{text}: systemd passed no such credential; see LoadCredential= in systemd.exec(5)"])
    return Path(folder) / name


def read_secret(config: Config, path: Path) -> str:
    """Read a secret; one final line end does not belong to it.

    Raises:
        ConfigError: the file is missing, unreadable or empty.
    """
    place = secret_path(config, path)
    try:
        secret = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{place}: the secret cannot be read: {_reason(error)}"]) from error
    secret = secret.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ConfigError([f"{place}: the secret is empty"])
    return secret


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8 text"


def secret_files(config: Config) -> list[tuple[str, Path]]:
    """List the keys that name a secret file, with their values."""
    found = [(f"app.{n}.password_file", app.password_file) for n, app in enumerate(config.app, 1)]
    found += [(f"route.{n}.password_file", route.password_file) for n, route in enumerate(config.route, 1)]
    found += [(f"listener.{n}.key_file", listener.key_file) for n, listener in enumerate(config.listener, 1)]
    found += [(f"dkim.{n}.key_file", key.key_file) for n, key in enumerate(config.dkim, 1)]
    found.append(("delivery.smarthost_password_file", config.delivery.smarthost_password_file))
    found.append(("dashboard.key_file", config.dashboard.key_file))
    if config.dashboard.oidc is not None:
        found.append(("dashboard.oidc.client_secret_file", config.dashboard.oidc.client_secret_file))
    return [(key, path) for key, path in found if path is not None]


def file_problems(config: Config) -> list[str]:
    """Say which files named in the configuration are missing or unreadable."""
    problems: list[str] = []
    for key, path in secret_files(config):
        try:
            secret = read_secret(config, path)
        except ConfigError as error:
            problems.extend(f"{key}: {problem}" for problem in error.problems)
            continue
        # As at a login: what begins like a hash is one, anything else is the password itself.
        if key.startswith("app.") and secret.startswith("$") and not is_password_hash(secret):
            problems.append(f"{key}: {NO_HASH}")
    for number, listener in enumerate(config.listener, 1):
        if listener.cert_file is not None and not config.path(listener.cert_file).is_file():
            problems.append(f"listener.{number}.cert_file: there is no file {config.path(listener.cert_file)}")
    return problems + _pages_problems(config)


def _pages_problems(config: Config) -> list[str]:
    """Say whether the certificate of the pages is there (its key is a secret like the others), and what oidc needs."""
    found = []
    if config.dashboard.oidc is not None and any(find_spec(name) is None for name in _OIDC_PACKAGES):
        found.append(NO_OIDC)
    if config.dashboard.cert_file is None:
        return found
    try:
        place = secret_path(config, config.dashboard.cert_file)
    except ConfigError as error:
        return found + [f"dashboard.cert_file: {problem}" for problem in error.problems]
    return found if place.is_file() else [*found, f"dashboard.cert_file: there is no file {place}"]


def warnings(config: Config) -> list[str]:
    """Say what works but deserves a second look, one sentence each."""
    found = []
    for number, listener in enumerate(config.listener, 1):
        if listener.auth_without_tls:
            found.append(
                f"listener.{number}.auth_without_tls: passwords cross the network in clear text on {listener.address}"
            )
        if listener.bare_newline == "legacy" and not is_private_host(listener.address.host):
            found.append(
                f'listener.{number}.bare_newline: with "legacy" a stranger\'s mail can smuggle in a second one; '
                f"{listener.address} should be a private address"
            )
    if config.returned.domain is not None and all(one.kind != "returned" for one in config.listener):
        found.append(
            f'returned.domain: no [[listener]] here has kind = "returned", so that what comes back to '
            f"{config.returned.domain} must be taken in by another node"
        )
    if "." not in config.node.hostname:
        found.append(
            f'node.hostname: "{config.node.hostname}" is no full name such as relay.example.com; '
            "many servers refuse mail from such a name"
        )
    for key, path in secret_files(config):
        if _is_world_readable(config, path):
            found.append(f"{key}: every user of this machine can read {path}; make it mode 0600")
    return found


def _is_world_readable(config: Config, path: Path) -> bool:
    try:
        return bool(secret_path(config, path).stat().st_mode & stat.S_IROTH)
    except (OSError, ConfigError):
        return False  # missing files are file_problems' business


#: A password inside a store's URL: before the host, or among the parameters.
_URL_PASSWORD = re.compile(r"(://[^:/?@]*:(?=[^/?]*@)|[?&]password=)[^@&]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One value of the configuration in force."""

    key: str  #: "delivery.site.connections", "app.2.name"
    value: object  #: secrets masked; None: not set
    is_default: bool  #: the file does not name it


def effective_lines(config: Config) -> list[str]:
    """Write the configuration in force as key=value lines, secrets masked."""
    return [f"{one.key}={_shown(one.value)}" for one in effective(config) if one.value is not None]


def effective(config: Config) -> list[InForce]:
    """Give every value in force with where it comes from, secrets masked."""
    return list(_flatten(config, "", is_default=False))


def _flatten(value: object, prefix: str, *, is_default: bool) -> Iterator[InForce]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if name == "base_dir":
                continue
            inner = getattr(value, name)
            if name in _MASKED and inner is not None:
                inner = "********"
            elif name == "url" and isinstance(inner, str):
                inner = _URL_PASSWORD.sub(r"\1********", inner)
            is_unset = is_default or name not in value.model_fields_set
            yield from _flatten(inner, f"{prefix}.{name}" if prefix else name, is_default=is_unset)
    elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
        for number, inner in enumerate(value, 1):
            yield from _flatten(inner, f"{prefix}.{number}", is_default=is_default)
    else:
        yield InForce(key=prefix, value=value, is_default=is_default)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(k)} = {_shown(v)}" for k, v in value.items()) + "}"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{text}"'
