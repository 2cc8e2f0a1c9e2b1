"""Where log lines go: standard output, gathered for a moment, as text for journald or as one JSON object a line.

Lines are kept for at most a fifth of a second and written together, so that a busy relay does not pay a system call
for each; a line of WARNING or above is written at once with all before it. A log that cannot be written (a full disk,
a closed pipe) never stops the mail: the lines are dropped.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping

from relay.settings import Log

#: journald reads a leading <N> as the priority (sd-daemon(3)).
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

_GATHER_SECONDS = 0.2


def set_up(settings: Log, *, process: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send all lines of this process to standard output in the configured form."""
    handler = GatheringHandler(sys.stdout.fileno())
    under_journald = "JOURNAL_STREAM" in environ
    handler.setFormatter(JsonLines(process) if settings.format == "json" else TextLines(process, under_journald))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd says every command at INFO
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.captureWarnings(True)


class TextLines(logging.Formatter):
    """`2026-11-21T16:02:09Z delivery INFO attempt id=…`; under journald the time is journald's."""

    converter = staticmethod(time.gmtime)

    def __init__(self, process: str, under_journald: bool) -> None:
        head = "" if under_journald else "%(asctime)s "
        super().__init__(f"{head}{process} %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ")
        self._under_journald = under_journald

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not self._under_journald:
            return text
        prefix = f"<{_PRIORITY.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in text.split("\n"))


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "process": self._process,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class GatheringHandler(logging.Handler):
    """Writes gathered lines to a descriptor; a thread of its own flushes what is left over."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: list[str] = []
        self._has_lines = threading.Event()
        threading.Thread(target=self._flush_regularly, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record))
        except Exception:  # a log line must never hurt its caller; handleError says it on stderr
            self.handleError(record)
            return
        if record.levelno >= logging.WARNING:
            self.flush()
        elif len(self._lines) == 1:
            self._has_lines.set()

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        if not lines:
            return
        data = memoryview(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            return

    def _flush_regularly(self) -> None:
        while True:
            self._has_lines.wait()
            self._has_lines.clear()
            time.sleep(_GATHER_SECONDS)
            with self.lock or threading.RLock():
                self.flush()
