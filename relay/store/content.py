"""The raw mail at rest: compressed when that helps, with a checksum, in a table of its own.

Policy: zlib level 1 when it saves at least an eighth; small mail stays as it is, because compressing it costs more
than the page it saves. A content whose checksum does not fit is never given out. It is dropped only when every
delivery of its message has ended, and then only for apps that ask for it; retention is not done here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from relay.errors import StoreError
from relay.model import DeliveryId, MessageId
from relay.store import rows
from relay.store.protocols import Row, Tx

_SMALL = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A content as it is stored."""

    encoding: str  #: zlib | identity
    checksum: int  #: CRC-32 of the content itself
    raw: bytes


def pack(content: bytes) -> Packed:
    """Make a content ready to be stored; may run in any thread, outside the transaction."""
    checksum = zlib.crc32(content)
    if len(content) >= _SMALL:
        raw = zlib.compress(content, 1)
        if len(raw) <= len(content) - len(content) // 8:
            return Packed(encoding="zlib", checksum=checksum, raw=raw)
    return Packed(encoding="identity", checksum=checksum, raw=content)


def put(tx: Tx, content_id: str, packed: Packed) -> None:
    """Store a content under its message's id, or under the id of a resend that changed it."""
    tx.later(
        "spool.put_content",
        {"id": content_id, "encoding": packed.encoding, "checksum": packed.checksum, "raw": packed.raw},
    )


def load(tx: Tx, message_id: MessageId, *, delivery_id: DeliveryId | None = None) -> bytes | None:
    """Read the raw mail: the one of this resend if it has its own, else the message's; None when it is gone.

    Raises:
        StoreError: what is stored is damaged; it must not be sent.
    """
    row = tx.one("spool.content", {"id": delivery_id}) if delivery_id else None
    row = row or tx.one("spool.content", {"id": message_id})
    return None if row is None else unpack(row)


def stored(tx: Tx, ids: Iterable[str]) -> dict[str, Row]:
    """Read many contents in one look, each under its id and still as it is stored; `unpack` makes mail of it."""
    return {row["id"]: row for row in tx.rows("spool.contents", {"ids": rows.ids_param(ids)})}


def unpack(row: Row) -> bytes:
    """Give the raw mail of a stored content.

    Raises:
        StoreError: what is stored is damaged; it must not be sent.
    """
    try:
        content: bytes = zlib.decompress(row["raw"]) if row["encoding"] == "zlib" else bytes(row["raw"])
    except zlib.error as error:
        raise StoreError(f"the stored content of {row['id']} is damaged") from error
    if zlib.crc32(content) != row["checksum"]:
        raise StoreError(f"the stored content of {row['id']} is damaged")
    return content


def is_kept(tx: Tx, message_id: MessageId) -> bool:
    """Tell whether a message's content is there."""
    return tx.one("spool.has_content", {"id": message_id}) is not None


def drop_if_ended(tx: Tx, message_id: MessageId) -> int:
    """Drop the content when nothing of the message is open any more."""
    tx.later("spool.lock_message", {"message_id": message_id})
    return tx.run("spool.drop_content", {"message_id": message_id})
