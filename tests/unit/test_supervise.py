"""The supervisor with real child processes: small Python scripts that do what the relay's processes may do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from relay.children import Limits, Spec, Supervisor

# The script beside the supervisor is a thread, which the real supervisor does not have.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

READY = """
import os, signal, socket, sys, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(text, "\\0" + os.environ["NOTIFY_SOCKET"][1:])
def note(word):
    with open(sys.argv[1], "a") as file:
        file.write(f"{word} {os.getpid()}\\n")
"""
WELL = READY + "note('start'); say(b'READY=1'); signal.pause()"
STUBBORN = READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN); note('start'); say(b'READY=1'); time.sleep(600)"
SILENT = READY + "note('start'); say(b'READY=1\\nWATCHDOG=1'); time.sleep(600)"
REFUSING = READY + "note('start'); sys.exit(3)"
FALLING = READY + "note('start'); sys.exit(1)"

QUICK = Limits(first_delay=0.01, longest_delay=0.02, steady=60, silence=30, stop=8, replace=8)


class Scene:
    """A supervisor under test, what its children wrote, and what it told systemd."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ours, self.theirs = socket.socketpair()
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"waybill-test-{os.getpid()}-{os.urandom(4).hex()}"
        self.systemd.bind("\0" + name)
        self.systemd.settimeout(20)
        self.environ = {**os.environ, "NOTIFY_SOCKET": "@" + name}
        self.heard: list[str] = []
        self.all_heard: list[str] = []

    def spec(self, name: str, script: str, *, can_overlap: bool = False) -> Spec:
        return Spec(
            name=name, argv=(sys.executable, "-S", "-c", script, str(self.folder / name)), can_overlap=can_overlap
        )

    def notes(self, name: str) -> list[tuple[str, int]]:
        with suppress(FileNotFoundError):
            lines = (self.folder / name).read_text().split("\n")[:-1]
            return [(line.split()[0], int(line.split()[1])) for line in lines]
        return []

    def wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, "it never happened"
            time.sleep(0.005)

    def wait_for_word(self, word: str) -> None:
        while word not in self.heard:
            words = self.systemd.recv(1000).decode().split("\n")
            self.heard += words
            self.all_heard += words
        self.heard = self.heard[self.heard.index(word) + 1 :]

    def send(self, *numbers: signal.Signals) -> None:
        self.ours.send(bytes(numbers))

    def run(
        self,
        specs: Sequence[Spec],
        *,
        script: Callable[[], None],
        limits: Limits = QUICK,
        reload: Callable[[], Sequence[Spec] | None] = lambda: None,
    ) -> int:
        """Run the supervisor here while the script acts beside it; TERM follows the script."""
        failures: list[BaseException] = []

        def act() -> None:
            try:
                script()
            except BaseException as error:  # handed to the test below
                failures.append(error)
            finally:
                self.send(signal.SIGTERM)

        # The supervisor stays on the main thread: children die with the thread that started them.
        actor = threading.Thread(target=act)
        actor.start()
        try:
            code = Supervisor(specs, reload=reload, environ=self.environ, limits=limits).run(self.theirs)
        finally:
            actor.join()
        if failures:
            raise failures[0]
        return code

    def close(self) -> None:
        for sock in (self.ours, self.theirs, self.systemd):
            sock.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_ready_is_said_once_all_children_are_ready_and_term_ends_all(scene: Scene) -> None:
    code = scene.run(
        [scene.spec("intake", WELL), scene.spec("delivery", WELL)], script=lambda: scene.wait_for_word("READY=1")
    )
    assert code == 0
    pids = [scene.notes(name)[0][1] for name in ("intake", "delivery")]
    assert not any(is_alive(pid) for pid in pids)
    scene.wait_for_word("STOPPING=1")


def test_child_that_is_killed_is_started_again(scene: Scene) -> None:
    def script() -> None:
        scene.wait_for_word("READY=1")
        os.kill(scene.notes("intake")[0][1], signal.SIGKILL)
        scene.wait_for(lambda: len(scene.notes("intake")) == 2)

    assert scene.run([scene.spec("intake", WELL)], script=script) == 0


def test_child_that_falls_again_and_again_is_started_for_ever(scene: Scene) -> None:
    def script() -> None:
        scene.wait_for(lambda: len(scene.notes("intake")) > QUICK.refusals * 2)

    assert scene.run([scene.spec("intake", FALLING)], script=script) == 0


def test_child_that_refuses_five_times_ends_serve_with_three(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    def script() -> None:
        scene.wait_for_word("STOPPING=1")

    assert scene.run([scene.spec("delivery", REFUSING), scene.spec("intake", WELL)], script=script) == 3
    assert len(scene.notes("delivery")) == 5
    assert "The delivery process refused to work 5 times in a row" in caplog.text


def test_stubborn_child_is_killed(scene: Scene) -> None:
    limits = Limits(stop=0.05)
    code = scene.run([scene.spec("intake", STUBBORN)], script=lambda: scene.wait_for_word("READY=1"), limits=limits)
    assert code == 0
    assert not is_alive(scene.notes("intake")[0][1])


def test_child_that_stops_answering_is_replaced(scene: Scene) -> None:
    def script() -> None:
        scene.wait_for(lambda: len(scene.notes("delivery")) == 2)

    limits = Limits(first_delay=0.01, silence=0.2)
    assert scene.run([scene.spec("delivery", SILENT)], script=script, limits=limits) == 0


def test_watchdog_is_answered_while_children_answer(scene: Scene) -> None:
    scene.environ["WATCHDOG_USEC"] = "20000"
    assert scene.run([scene.spec("intake", WELL)], script=lambda: scene.wait_for_word("WATCHDOG=1")) == 0


def test_word_of_a_stranger_is_not_believed(scene: Scene) -> None:
    """A child that is never ready by itself; this process says READY=1 in its name."""
    address = scene.folder / "address"
    script_text = (
        READY + f"open({str(address)!r}, 'w').write(os.environ['NOTIFY_SOCKET']); note('start'); signal.pause()"
    )

    def script() -> None:
        scene.wait_for(lambda: len(scene.notes("intake")) == 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as liar:
            liar.sendto(b"READY=1", "\0" + address.read_text()[1:])
        scene.send(signal.SIGHUP)  # whoever has read this has read the lie, which came before
        scene.wait_for_word("RELOADING=1")

    assert scene.run([scene.spec("intake", script_text)], script=script) == 0
    scene.wait_for_word("STOPPING=1")
    assert "READY=1" not in scene.all_heard


def test_reload_starts_the_new_intake_before_the_old_one_ends(scene: Scene) -> None:
    last_words = READY + (
        "signal.signal(signal.SIGTERM, lambda *_: (note('end'), sys.exit(0)));"
        "note('start'); say(b'READY=1')\nwhile True: signal.pause()"
    )
    specs = [scene.spec("intake", last_words, can_overlap=True), scene.spec("delivery", last_words)]

    def script() -> None:
        scene.wait_for_word("READY=1")
        scene.send(signal.SIGHUP)
        scene.wait_for_word("RELOADING=1")
        scene.wait_for_word("READY=1")
        scene.wait_for(lambda: len(scene.notes("intake")) == 3)

    assert scene.run(specs, script=script, reload=lambda: specs) == 0
    assert [word for word, _ in scene.notes("intake")] == ["start", "start", "end", "end"]
    assert [word for word, _ in scene.notes("delivery")] == ["start", "end", "start", "end"]


def test_refused_reload_leaves_the_children_alone(scene: Scene) -> None:
    def script() -> None:
        scene.wait_for_word("READY=1")
        scene.send(signal.SIGHUP)
        scene.wait_for_word("RELOADING=1")
        scene.wait_for_word("READY=1")

    assert scene.run([scene.spec("intake", WELL, can_overlap=True)], script=script) == 0
    assert len(scene.notes("intake")) == 1


def test_children_die_with_the_supervisor(scene: Scene) -> None:
    program = (
        "import socket, sys\nfrom relay.children import Spec, Supervisor\n"
        "ours, theirs = socket.socketpair()\n"
        "Supervisor([Spec(name='intake', argv=tuple(sys.argv[1:]))], reload=lambda: None).run(theirs)"
    )
    spec = scene.spec("intake", STUBBORN)
    with subprocess.Popen([sys.executable, "-c", program, *spec.argv]) as supervisor:
        try:
            scene.wait_for(lambda: len(scene.notes("intake")) == 1)
        finally:
            supervisor.kill()
    scene.wait_for(lambda: not is_alive(scene.notes("intake")[0][1]))
