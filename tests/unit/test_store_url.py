"""A store's URL in the configuration: which are good, and what is shown of them."""

from __future__ import annotations

import pytest

from relay.config import effective_lines
from relay.settings import Config


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("sqlite:data/waybill.db", "sqlite:data/waybill.db"),
        ("postgresql://waybill@db.example/mail", "postgresql://waybill@db.example/mail"),
        ("postgresql://waybill:s3cret@db.example/mail", "postgresql://waybill:********@db.example/mail"),
        ("postgresql:///mail?password=s3cret&sslmode=require", "postgresql:///mail?password=********&sslmode=require"),
        ("postgresql://a:5432,b:5433/mail", "postgresql://a:5432,b:5433/mail"),
    ],
)
def test_a_password_in_the_url_is_not_shown(url: str, want: str) -> None:
    lines = effective_lines(Config.model_validate({"store": {"url": url}}))
    assert [line for line in lines if line.startswith("store.url=")] == [f'store.url="{want}"']
