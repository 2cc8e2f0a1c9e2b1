"""The guests in the past of the demo: who they are, in five languages, and where their mail goes.

Names are invented; the domains end in .example, the telephone numbers are from the British, French and German ranges
kept for fiction. Nothing is random here: a number gives the same guest for ever.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who books."""

    name: str
    address: str
    language: str
    customer: str  #: number
    phone: str

    @property
    def domain(self) -> str:
        """Where the mail goes."""
        return self.address.rpartition("@")[2]


#: language -> first names, surnames, domains (the most used first), telephone numbers.
_PEOPLE: Mapping[str, tuple[str, str, str, str]] = {
    "en": (
        "Imogen Rupert Winifred Percy Mabel Tobias Hester Clement Beatrice Edmund Florence Hugo",
        "Hartley Ashdown Fenwick Wainwright Thorne Rowe Quill Pemberton Larkin Ellery Marsh Ingram",
        "letters.example post-office.example quickmail.example",
        "+44 1632 960 {:03}",
    ),
    "fi": (
        "Aino Väinö Sanna Oskari Helmi Eero Lempi Toivo Kerttu Ilmari Saara Onni",
        "Mäkelä Koskela Hyökki Laine Rautio Salonen Aaltonen Niskala Ylinen Virtanen Lehtonen Kivelä",
        "kirje.example posti.example luukku.example",
        "+44 1632 961 {:03}",
    ),
    "fr": (
        "Élodie Bastien Capucine Théo Noé Maxence Solène Inès Jules Rose Sacha Jean-Baptiste",
        "Marchand Lormeau Vasseur Garrigue Belcourt Doré Aubry Delacroix Rivière Chevalier Morel Lefèvre",
        "courriel.example boite-aux-lettres.example",
        "+33 1 99 00 {:02} 17",
    ),
    "nl": (
        "Anneke Pieter Lotte Daan Femke Bram Anouk Thijs Iris Joost Maaike Sanne",
        "Jansen Visser Dekker Brouwer Kuipers Dijkstra Bakker Mulder Hoekstra Postma Smit Verhoeven",
        "postbus.example brievenbus.example",
        "+44 1632 962 {:03}",
    ),
    "de": (
        "Wolfgang Greta Jürgen Ursula Björn Anke Heike Lukas Käthe Jörg Birgit Moritz",
        "Müller Schäfer Krüger Vogel Götz Richter Brandt Lindemann Fuchs Winter Hagedorn Böhme",
        "briefkasten.example postfach.example",
        "+49 30 23125 {:03}",
    ),
}

LANGUAGES = tuple(_PEOPLE)

#: Where all of them take mail; the name server of the demo has to know these.
DOMAINS = tuple(domain for _, _, domains, _ in _PEOPLE.values() for domain in domains.split())


def person(number: int) -> Person:
    """Make the guest of this number; languages take turns."""
    language = LANGUAGES[number % len(LANGUAGES)]
    first_names, surnames, domains, phone = (each.split(" ") for each in _PEOPLE[language])
    turn = number // len(LANGUAGES)
    first, last = first_names[turn % len(first_names)], surnames[(turn * 7 + turn // 12) % len(surnames)]
    domain = domains[(turn * turn) % 7 % len(domains)]
    return Person(
        name=f"{first} {last}",
        address=f"{_plain(first)}.{_plain(last)}{'' if turn < 144 else turn}@{domain}",
        language=language,
        customer=f"C-{4100 + number}",
        phone=" ".join(phone).format(turn % 90 + 10),
    )


def _plain(name: str) -> str:
    spelt = name.lower().replace("ö", "oe").replace("ü", "ue") if name[-1:] != "i" else name.lower()
    return unicodedata.normalize("NFKD", spelt).encode("ascii", "ignore").decode()
