"""Read from a reply how long its server asks us to wait: "try again in 5 minutes", in the languages we meet; pure.

Policy: a length of time counts only beside a word that asks to come back, within one sentence, and not as the window of
a limit ("100 messages per 10 minutes"). What is not sure is None: the retry ladder decides then. How far a server is
believed is the caller's business; `heeded` is the rule that both back-off and retries keep to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta

#: Seconds of a unit, and how servers write it; a unit of one letter must end the word.
_UNITS: tuple[tuple[int, str], ...] = (
    (1, r"s|secs?|seconds?|sek\w*|secondes?|segundos?|second[oi]|sekunt\w*|saniye\w*|másodperc\w*|сек\w*|秒|초"),
    (60, r"m|mins?|minut\w*|minuut\w*|minüt\w*|dakika\w*|perc\w*|мин\w*|分钟?|分鐘|分間|분"),
    (3600, r"h|hrs?|hours?|std|stunden?|heures?|horas?|or[ae]|uur|uren|timm\w+|timer|tun\w{2,4}|godz\w*|hodin\w*"),
    (3600, r"óra|saat\w*|час\w*|小时|小時|時間|시간"),
    (86400, r"d|days?|tage?n?|jours?|d[ií]as?|giorn[oi]|dage?n?|dage?r?|päiv\w+|dni|день|дн\w+|天|日間|일"),
)

#: What asks to come back, or says how long we are kept out.
_CUE = re.compile(
    r"again|retry|come back|wait|gr[ea]ylist|deferred for|blocked for|delayed for|"
    r"erneut|nochmal|wieder|warten|réessa|reessa|nouveau|patient|attend|nuevo|intent|espere|riprov|nuovamente|attend|"
    r"novamente|tente|aguarde|opnieuw|wacht|försök|igen|vänta|prøv|vent|uudelleen|yrit|odota|ponow|spróbuj|znovu|zkus|"
    r"снова|повтор|попробуйте|újra|próbál|tekrar|再|稍后|稍後|다시",
    re.IGNORECASE,
)

#: What stands before the window of a limit, or before a time that has passed.
_WINDOW = re.compile(
    r"(?:/|\b(?:per|each|every|within|last|past|than|pro|je|par|por|cada|ogni|letzten|dernières?|últim[oa]s|ultimi))\s*$",
    re.IGNORECASE,
)

_CLOCK = re.compile(r"(?<![\d:])(\d{1,2}):(\d{2}):(\d{2})(?![\d:])")
_AMOUNT = re.compile(
    r"(?<![\w.:])(\d{1,6})\s*-?\s*(?:" + "|".join(f"({words})(?![a-zà-ÿ])" for _, words in _UNITS) + ")",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?;](?:\s|$)")
_NEAR = 60  #: characters between the cue and the amount
_LONGEST = timedelta(days=30)  #: beyond that it is some other number


def asked_wait(text: str) -> timedelta | None:
    """Return how long the server asks us to wait, None when it does not say."""
    text = " ".join(text.split())
    for match in _AMOUNT.finditer(text):
        wait = _length(match)
        if wait and wait <= _LONGEST and _is_asked(text, match):
            return wait
    for match in _CLOCK.finditer(text):
        hours, minutes, seconds = (int(part) for part in match.groups())
        if (hours or minutes or seconds) and _is_asked(text, match):
            return timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return None


def heeded(text: str, *, ladder: Sequence[timedelta], random: Callable[[], float]) -> timedelta:
    """Return how long to stay away because a reply asks for it; zero when it does not.

    At most the ladder's last step, so that no server keeps mail waiting for days; up to a tenth later than asked, so
    that what was sent away together does not return together, and never earlier.
    """
    wait = asked_wait(text)
    return min(wait, ladder[-1]) * (1 + 0.1 * random()) if wait is not None else timedelta(0)


def _length(match: re.Match[str]) -> timedelta:
    number = int(match[1])
    unit = next(seconds for (seconds, _), found in zip(_UNITS, match.groups()[1:], strict=True) if found)
    return timedelta(seconds=number * unit)


def _is_asked(text: str, match: re.Match[str]) -> bool:
    before, after = text[max(0, match.start() - _NEAR) : match.start()], text[match.end() : match.end() + _NEAR]
    if _WINDOW.search(before):
        return False
    before = _SENTENCE_END.split(before)[-1]
    after = _SENTENCE_END.split(after)[0]
    return bool(_CUE.search(before) or _CUE.search(after))
