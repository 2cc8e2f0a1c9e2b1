"""relay/config.py: every fault at once, each with its line; safe defaults; secrets from files only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relay.config import (
    defaults,
    effective_lines,
    file_problems,
    find_config,
    load,
    load_text,
    read_secret,
    warnings,
)
from relay.errors import ConfigError
from relay.settings import HostPort, Timeouts
from relay.toml_lines import line_numbers

RETURNED = '[returned]\ndomain = "bounce.example.com"\n[[listener]]\naddress = "0.0.0.0:25"\nkind = "returned"\n'
APP = '[[app]]\nname = "desk"\nnetworks = ["127.0.0.0/8"]\n'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_text(text, base_dir=Path("/srv"))
    return caught.value.problems


HASH = "$scrypt$ln=14,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

FAULTS = [
    ("unknown key", '[node]\nhostnam = "a"', 'config.toml:2: node.hostnam: unknown key - did you mean "hostname"?'),
    ("unknown section", "[deliver]\nport = 25", 'config.toml:1: deliver: unknown key - did you mean "delivery"?'),
    ("unknown without a neighbour", "[zzz]", "config.toml:1: zzz: unknown key"),
    (
        "unknown key of a limit",
        APP + 'limits = { size = "1MiB", rats = 1 }',
        'config.toml:4: app.1.limits.rats: unknown key - did you mean "rate"?',
    ),
    (
        "word that is not allowed",
        '\n[[listener]]\naddress = "127.0.0.1:25"\ntls = "startls"',
        "config.toml:4: listener.1.tls: Input should be 'none', 'starttls' or 'implicit' - did you mean \"starttls\"?",
    ),
    (
        "second table of a list",
        '[[listener]]\naddress = "127.0.0.1:1"\n[[listener]]\naddress = "nowhere"',
        'config.toml:4: listener.2.address: write an address such as "127.0.0.1:2525" or "[::1]:25"',
    ),
    ("missing key", '[[route]]\ndomain = "a.example"', "config.toml:1: route.1.host: this key is required"),
    ("one bracket", '[listener]\naddress = "a:1"', "config.toml:1: listener: write [[listener]] with two brackets: "),
    (
        "element of a list",
        '[delivery]\nretry = [\n  "1m",\n  "soon",\n]',
        'config.toml:4: delivery.retry.2: write a duration such as "30s", "5m", "2h" or "5d"',
    ),
    ("size", APP + 'limits.size = "big"', 'config.toml:4: app.1.limits.size: write a size such as "25MiB"'),
    ("network", '[[app]]\nname = "a"\nnetworks = ["300.0.0.1"]', "config.toml:3: app.1.networks: '300.0.0.1' does not"),
    ("app anybody can be", '[[app]]\nname = "a"', "config.toml:1: app.1: an app needs networks, a username, or both"),
    ("app name", '[[app]]\nname = "a b"\nnetworks = ["::1/128"]', "config.toml:2: app.1.name: write letters, digits"),
    ("number out of range", "[delivery]\nport = 70000", "config.toml:2: delivery.port: Input should be less than"),
    ("environment", '[node]\nhostname = "${HOST}"', "config.toml:2: node.hostname: values never come from the env"),
    ("the loader's own field", 'base_dir = "/"', "config.toml:1: base_dir: unknown key"),
    (
        "auth in clear",
        '[[listener]]\naddress = "0.0.0.0:25"\nauth_without_tls = true',
        "config.toml:1: listener.1: auth",
    ),
    (
        "two listeners on one address",
        '[[listener]]\naddress = "127.0.0.1:25"\n[[listener]]\naddress = "0.0.0.0:25"',
        "config.toml:4: listener.2.address: 0.0.0.0:25 is already taken by listener.1",
    ),
    (
        "dashboard on a listener",
        '[[listener]]\naddress = "127.0.0.1:8025"',
        "config.toml: dashboard.address: 127.0.0.1:8025 is already taken by listener.1",
    ),
    (
        "two apps of one name",
        APP + APP.replace("127", "10"),
        'config.toml:5: app.2.name: "desk" is already used by app.1',
    ),
    (
        "apps that cannot be told apart",
        APP + APP.replace("desk", "shop"),
        'config.toml:1: app: the apps "desk" and "shop" cannot be told apart',
    ),
    (
        "returned listener without a domain",
        '[[listener]]\naddress = "0.0.0.0:25"\nkind = "returned"',
        'config.toml:3: listener.1.kind: kind = "returned" needs returned.domain',
    ),
    (
        "login at a returned listener",
        '[[listener]]\naddress = "127.0.0.1:25"\nkind = "returned"\nauth_without_tls = true',
        "config.toml:1: listener.1: nobody logs in where",
    ),
    (
        "app at a returned listener",
        RETURNED + APP + 'listeners = ["0.0.0.0:25"]',
        "config.toml:9: app.1.listeners.1: 0.0.0.0:25 takes returned mail only",
    ),
    (
        "app called returned",
        RETURNED + APP.replace("desk", "returned"),
        'config.toml:7: app.1.name: "returned" is what',
    ),
    ("returned domain", '[returned]\ndomain = "bounce"', "config.toml:2: returned.domain: write a domain such as"),
    (
        "complaints",
        '[returned]\ndomain = "b.example"\ncomplaints = ["fbl"]',
        "config.toml:3: returned.complaints: write",
    ),
    (
        "complaints without a domain",
        '[returned]\ncomplaints = ["fbl@example.com"]',
        "config.toml:2: returned.complaints: complaints needs returned.domain",
    ),
    (
        "bounces sent on in a circle",
        '[returned]\ndomain = "b.example"\nforward = "a@B.example"',
        "config.toml:3: returned.forward: that would come back here",
    ),
    (
        "bounces sent on to complaints",
        '[returned]\ndomain = "b.example"\ncomplaints = ["a@c.example"]\nforward = "A@c.example"',
        "config.toml:4: returned.forward: that would come back here",
    ),
    ("unknown listener", APP + 'listeners = ["127.0.0.1:9"]', "config.toml:4: app.1.listeners.1: no [[listener]] has"),
    (
        "open relay",
        '[[listener]]\naddress = "0.0.0.0:25"\n[[app]]\nname = "a"\nnetworks = ["10.0.0.0/8", "0.0.0.0/0"]',
        "config.toml:5: app.1.networks: 0.0.0.0/0 without username lets the whole internet send",
    ),
    (
        "open relay in halves",
        '[[listener]]\naddress = "0.0.0.0:25"\n[[app]]\nname = "a"\nnetworks = ["0.0.0.0/1", "128.0.0.0/1"]',
        "config.toml:5: app.1.networks: 0.0.0.0/0 without username lets the whole internet send",
    ),
    (
        "everybody a proxy",
        '[[listener]]\naddress = "0.0.0.0:25"\nproxy_protocol = ["::/0"]',
        "config.toml:3: listener.1.proxy_protocol: with ::/0 anybody can claim to be any client",
    ),
    (
        "password where a hash belongs",
        '[[app]]\nname = "a"\nusername = "a"\npassword_hash = "secret"',
        'config.toml:4: app.1.password_hash: that is no hash we can check; make one with "waybill app password"',
    ),
    (
        "a booking's address without its number",
        APP + 'booking_url = "https://booking.example/b/"',
        "config.toml:4: app.1.booking_url: write {ref} where the number goes",
    ),
    (
        "a booking's number in the host",
        APP + 'booking_url = "https://{ref}.booking.example/"',
        'config.toml:4: app.1.booking_url: write an address such as "https://booking.example/b/{ref}"',
    ),
    (
        "a booking's address that runs",
        APP + 'booking_url = "javascript:alert({ref})"',
        "config.toml:4: app.1.booking_url: write an address such as",
    ),
    (
        "a booking's address with a name we do not know",
        APP + 'booking_url = "https://booking.example/{year}/{ref}"',
        "config.toml:4: app.1.booking_url: the only thing in braces is {ref}",
    ),
    (
        "hash of another kind",
        '[[app]]\nname = "a"\nusername = "a"\npassword_hash = "$2b$12$abcdefghijklmnopqrstuv"',
        "config.toml:4: app.1.password_hash: that is no hash we can check",
    ),
    ("regular expression", APP + 'booking_pattern = "re:("', "config.toml:4: app.1.booking_pattern.1: this regular"),
    ("default sender", APP + 'default_from = "desk"', "config.toml:4: app.1.default_from: write an address"),
    (
        "source address",
        '[delivery]\nsource_addresses = [{ address = "a" }]',
        "config.toml:2: delivery.source_addresses.1",
    ),
    (
        "source address that is not ours",
        APP + 'source_addresses = ["192.0.2.1"]',
        'config.toml:4: app.1.source_addresses.1: "192.0.2.1" is not among delivery.source_addresses',
    ),
    (
        "route to an unknown app",
        '[[route]]\napp = "x"\nhost = "h"',
        "config.toml:2: route.1.app: no [[app]] has the name",
    ),
    (
        "same route twice",
        '[[route]]\ndomain = "a"\nhost = "h"\n[[route]]\ndomain = "A"\nhost = "i"',
        "config.toml:4: route.2: another [[route]] has the same domain and app",
    ),
    (
        "smarthost password in clear",
        '[delivery]\nsmarthost = "smtp.example:25"\nsmarthost_tls = "may"\n'
        'smarthost_username = "u"\nsmarthost_password_file = "p"',
        "config.toml:3: delivery.smarthost_tls: a password must not cross the network in clear",
    ),
    ("store", '[store]\nurl = "mysql://x"', "config.toml:2: store.url: write "),
    ("host name", '[node]\nhostname = "not a name"', 'config.toml:2: node.hostname: "not a name" is no host name'),
]


@pytest.mark.parametrize(("text", "want"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_each_fault_is_one_sentence_with_its_line(text: str, want: str) -> None:
    got = problems(text)
    assert len(got) == 1
    assert got[0].startswith(want)


def test_all_faults_are_said_in_one_go_in_the_order_of_the_file() -> None:
    text = (
        "[[listener]]\n"
        'address = "127.0.0.1:25"\n'
        "[[listener]]\n"
        'address = "127.0.0.1:25"\n'  # a fault between sections
        "[dns]\n"
        'servers = ["1.2.3.4"]\n'  # a bad value
        "[suppression]\n"
        "max_erors = 3\n"  # a typing mistake
        "[log]\n"
        'level = "$LEVEL"\n'
    )
    got = problems(text)
    assert [int(re.match(r"config\.toml:(\d+):", line)[1]) for line in got] == [4, 6, 8, 10]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("[node]\nhostname = ", "config.toml:2: Invalid value (the file ends there)"),
        ("[node\n", "config.toml:1: Expected ']' at the end of a table declaration (column 6)"),
        ('a = "', "config.toml:1: Unterminated string (the file ends there)"),
        ("[a]\n[a]", "config.toml:2: Cannot declare ('a',) twice (column 3)"),
    ],
)
def test_text_that_is_no_toml_is_one_sentence_with_its_line(text: str, want: str) -> None:
    assert problems(text) == [want]


def test_lines_are_found_in_every_form_that_toml_has() -> None:
    text = (
        "# first [x] a = 1\n"
        "top = '''\n"
        "[not.a.table]\n"
        "'''\n"
        "[one]\n"
        'two.three = "a # b"\n'
        '"quo.ted" = { x = 1, y = [1, 2] } # [z]\n'
        "list = [ # one\n"
        "  { k = 'v]' },\n"
        '  { k = """\n'
        'a"]""" },\n'
        "]\n"
        "[[many]]\n"
        "a = 1\n"
        "  [many.inner]\n"
        "  b = 2\n"
        "  [[many]]\n"
        "  a = 2\n"
        "  [many.inner]\n"
        "  b = 3\n"
    )
    lines = line_numbers(text)
    want = {
        ("top",): 2,
        ("one",): 5,
        ("one", "two", "three"): 6,
        ("one", "quo.ted", "y", 1): 7,
        ("one", "list", 0): 9,
        ("one", "list", 1, "k"): 10,
        ("many",): 13,
        ("many", 0): 13,
        ("many", 0, "inner", "b"): 16,
        ("many", 1): 17,
        ("many", 1, "a"): 18,
        ("many", 1, "inner", "b"): 20,
    }
    assert {path: lines.get(path) for path in want} == want


def test_defaults_listen_on_loopback_and_keep_data_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(None)
    assert [listener.address for listener in config.listener] == [HostPort("127.0.0.1", 2525)]
    assert config.dashboard.address == HostPort("127.0.0.1", 8025)
    assert config.data_dir == tmp_path / "data"
    assert config.app == []
    assert config.node.hostname


def test_relative_paths_start_in_the_folder_of_the_file(tmp_path: Path) -> None:
    place = tmp_path / "config.toml"
    place.write_text('[node]\ndata_dir = "store"\n')
    assert load(place).data_dir == tmp_path / "store"


def test_a_file_without_listeners_gets_the_default_one() -> None:
    assert load_text(APP, base_dir=Path("/srv")).listener[0].address == HostPort("127.0.0.1", 2525)


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path, content: bytes | None) -> None:
    place = tmp_path / "config.toml"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(ConfigError):
        load(place)


def test_the_file_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named, env, here = tmp_path / "named.toml", tmp_path / "env.toml", Path("config.toml")
    for place in (named, env, here):
        place.write_text("")
    assert find_config(named, environ={"WAYBILL_CONFIG": str(env)}) == named
    assert find_config(None, environ={"WAYBILL_CONFIG": str(env)}) == env
    assert find_config(None, environ={}) == here


@pytest.mark.parametrize("environ", [{}, {"WAYBILL_CONFIG": "/nowhere/config.toml"}])
def test_a_named_file_that_is_missing_is_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        find_config(None if environ else Path("/nowhere/else.toml"), environ=environ)


def test_a_secret_is_read_from_its_file_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret \n")
    config = load_text("", base_dir=tmp_path)
    assert read_secret(config, Path("secret")) == "s3cret "


def test_a_credential_is_read_from_the_folder_systemd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "smarthost").write_text("pass\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(defaults(), Path("credential:smarthost")) == "pass"


@pytest.mark.parametrize("path", ["credential:x", "credential:../x", "missing", "empty"])
def test_a_secret_that_is_not_there_is_a_config_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError):
        read_secret(load_text("", base_dir=tmp_path), Path(path))


def test_missing_files_and_open_secrets_are_reported(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("secret")
    (tmp_path / "pw").chmod(0o644)
    (tmp_path / "bcrypt").write_text("$2b$12$abcdefghijklmnopqrstuv")
    (tmp_path / "bcrypt").chmod(0o600)
    config = load_text(
        '[node]\nhostname = "r.example.com"\n'
        '[[listener]]\naddress = "10.0.0.1:25"\nauth_without_tls = true\ncert_file = "c.pem"\nkey_file = "k.pem"\n'
        '[[app]]\nname = "a"\nusername = "a"\npassword_file = "pw"\n'
        '[[app]]\nname = "b"\nusername = "b"\npassword_file = "bcrypt"\n'
        '[dashboard]\ncert_file = "credential:d.crt"\nkey_file = "d.key"\n',
        base_dir=tmp_path,
    )
    assert [line.split(":")[0] for line in file_problems(config)] == [
        "app.2.password_file",
        "listener.1.key_file",
        "dashboard.key_file",
        "listener.1.cert_file",
        "dashboard.cert_file",
    ]
    assert [line.split(":")[0] for line in warnings(config)] == ["listener.1.auth_without_tls", "app.1.password_file"]


def test_a_returned_listener_makes_no_open_relay() -> None:
    app = '[[app]]\nname = "a"\nnetworks = ["0.0.0.0/0"]\n'
    inner = '[[listener]]\naddress = "10.0.0.1:2525"\n'
    config = load_text(RETURNED + inner + app, base_dir=Path())
    assert [listener.kind for listener in config.listener] == ["returned", "submission"]


def test_return_paths_that_nobody_here_takes_in_are_warned_of() -> None:
    node = '[node]\nhostname = "r.example.com"\n'
    assert warnings(load_text(node + RETURNED, base_dir=Path())) == []
    without = node + '[returned]\ndomain = "Bounce.Example.COM"\n'
    config = load_text(without, base_dir=Path())
    assert config.returned.domain == "bounce.example.com"
    assert [line.split(":")[0] for line in warnings(config)] == ["returned.domain"]


def test_a_listener_that_makes_smuggling_possible_is_warned_of() -> None:
    text = '[node]\nhostname = "r.example.com"\n[[listener]]\naddress = "%s:2525"\nbare_newline = "legacy"\n'
    assert [w.split(":")[0] for w in warnings(load_text(text % "0.0.0.0", base_dir=Path()))] == [
        "listener.1.bare_newline"
    ]
    assert warnings(load_text(text % "10.0.0.1", base_dir=Path())) == []


def test_the_effective_configuration_hides_secrets_and_stays_on_its_lines() -> None:
    config = load_text(
        f'[[app]]\nname = "a"\nusername = "u"\npassword_hash = "{HASH}"\nkinds = {{ "a\\nb" = "x" }}\n',
        base_dir=Path("/srv"),
    )
    lines = effective_lines(config)
    assert 'app.1.password_hash="********"' in lines
    assert not [line for line in lines if "scrypt" in line or "\n" in line or "base_dir" in line]
    assert "delivery.retry=[60s, 300s, 900s, 3600s, 14400s]" in lines


def test_no_answer_is_waited_for_shorter_than_the_rfc_asks() -> None:
    """RFC 5321 4.5.3.2, in minutes."""
    least = {"greeting": 5, "command": 5, "data": 2, "block": 3, "final": 10}
    ours = {name: getattr(Timeouts(), name).total_seconds() / 60 for name in least}
    assert {name: minutes for name, minutes in ours.items() if minutes < least[name]} == {}


def test_deliveries_keep_a_reserve_on_the_disk() -> None:
    (found,) = problems(f'[intake]\nmin_free_space = "15MiB"\n{APP}')
    assert "intake.min_free_space: at least 16MiB" in found
