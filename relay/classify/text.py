"""Reduce the words of a reply to a plain list, so that rules are written once for many spellings.

"<a@b.example>: Recipient address was rejected -- User UNKNOWN (in table)" becomes recipient, address, rejected, user,
unknown, table: lower case, no accents, no punctuation, no e-mail addresses, no numbers, no filler words. Our own sender
address becomes the word `senderaddress`, because a reply that names it is about us. The phrases of rules.toml go
through the same reduction. Every step is linear in the text, which is cut at MAX_CHARACTERS first.
"""

from __future__ import annotations

import re
import unicodedata

#: A reply is understood from its first words; what follows is not read.
MAX_CHARACTERS = 2000

#: What stands in the words for the address we sent from.
SENDER_WORD = "senderaddress"

#: Words that carry no meaning here; with them gone "the mailbox is full" and "mailbox full" are one phrase.
_FILLER_WORDS = """
a an the this that these is are was were be been being has have had it its our their of to in on at and or currently
please sorry very s le la les l de du des d un une est der die das dem den ein eine ist el los il lo os o
"""
_FILLERS = frozenset(_FILLER_WORDS.split())

_WORD = re.compile(r"[^\W\d_][^\W_]*")
_ASCII_WORD = re.compile(r"[a-z][a-z0-9]*")
_MARKS = re.compile(r"[\u0300-\u036f\u3099\u309a]+")
_CHUNK = re.compile(r"[^\s<>()\[\]{}\"',;:]+")

#: Letters that Unicode does not decompose into a plain one and a mark.
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "ı": "i"})


def fold(text: str) -> str:
    """Cut, lower the case and take the accents off."""
    text = text[:MAX_CHARACTERS].lower()
    if text.isascii():
        return text
    # NFD, not NFKD: a compatibility form may become 18 characters, a canonical one at most four.
    plain = unicodedata.normalize("NFD", text).translate(_LETTERS)
    return _MARKS.sub("", plain)[:MAX_CHARACTERS]


def words(folded: str, *, sender: str = "") -> list[str]:
    """Split a folded text into the words that mean something."""
    if "@" in folded:
        if sender:
            folded = folded.replace(sender, f" {SENDER_WORD} ")
        folded = " ".join([chunk for chunk in _CHUNK.findall(folded.replace("...", " ")) if "@" not in chunk])
    found = (_ASCII_WORD if folded.isascii() else _WORD).findall(folded)
    return [word for word in found if word not in _FILLERS]
