"""Setup: intake runs without the other processes, and its store lies outside data_dir.

Test: mail is taken although nothing made data_dir: the disk watched for free space is that of the store.

    app ──SMTP──▶ intake ──▶ elsewhere/waybill.db
"""

from __future__ import annotations

import smtplib
from pathlib import Path

from tests.support.process import ConfigFile, config_file, running

STORE = {"store": {"url": "sqlite:elsewhere/waybill.db"}}


def _send(config: ConfigFile) -> None:
    with smtplib.SMTP(config.smtp.host, config.smtp.port, timeout=20) as client:
        client.sendmail("desk@hotel.example", ["guest@example.com"], "Subject: x\r\n\r\nHello\r\n")


def test_intake_alone_takes_mail_into_a_store_elsewhere(tmp_path: Path) -> None:
    config = config_file(tmp_path, more=STORE)
    with running(config, command="intake"):
        _send(config)
    assert (tmp_path / "elsewhere" / "waybill.db").exists()
