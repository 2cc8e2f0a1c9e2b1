"""Guessing the domain that was meant: right on the slips people make, silent about real domains however rare."""

from __future__ import annotations

import pytest

from relay.suggest import PROVIDERS, Relative, domain_guesses, relative_guess, slips, with_domain

#: typed, meant, when DNS knows no mail service there
GONE = [
    line.split()
    for line in """
gmial.com gmail.com
gmai.com gmail.com
gmal.com gmail.com
gmil.com gmail.com
gamil.com gmail.com
gmaill.com gmail.com
gmaul.com gmail.com
gmaik.com gmail.com
gnail.com gmail.com
hmail.com gmail.com
fmail.com gmail.com
gmsil.com gmail.com
gmqil.com gmail.com
ggmail.com gmail.com
gmaiil.com gmail.com
gmail.con gmail.com
gmail.cmo gmail.com
gmail.comm gmail.com
gmail.vom gmail.com
gmail.xom gmail.com
gmail.ocm gmail.com
gmail.cpm gmail.com
gmail.cim gmail.com
gmail.coom gmail.com
gmail.co gmail.com
gmail.cm gmail.com
gmail.om gmail.com
gmail.c gmail.com
gmailcom gmail.com
gmail gmail.com
gmail.com.com gmail.com
gmail.com.fi gmail.com
www.gmail.com gmail.com
gmail.fi gmail.com
gmail.fr gmail.com
gmail.de gmail.com
gmail.co.uk gmail.com
gmial.con gmail.com
gmali.con gmail.com
gmailc.om gmail.com
homtail.com hotmail.com
hotmial.com hotmail.com
hotmil.com hotmail.com
hotnail.com hotmail.com
hormail.com hotmail.com
hotmaill.com hotmail.com
hotamil.com hotmail.com
hotmail.con hotmail.com
hitmail.com hotmail.com
htomail.com hotmail.com
hotmal.fr hotmail.fr
hotmial.fr hotmail.fr
hotmail.ft hotmail.fr
hotmail.frr hotmail.fr
hotmail.couk hotmail.co.uk
hotmail.co.ukk hotmail.co.uk
outlok.com outlook.com
outllok.com outlook.com
outloook.com outlook.com
oulook.com outlook.com
otlook.com outlook.com
outlool.com outlook.com
outlook.con outlook.com
putlook.com outlook.com
yaho.com yahoo.com
yahooo.com yahoo.com
yhaoo.com yahoo.com
yahho.com yahoo.com
tahoo.com yahoo.com
yahoo.cm yahoo.com
yahoo.cmo yahoo.com
yaho.fr yahoo.fr
iclod.com icloud.com
icoud.com icloud.com
iclould.com icloud.com
icloud.con icloud.com
icloud.de icloud.com
iclowd.com icloud.com
orage.fr orange.fr
ornage.fr orange.fr
orange.ft orange.fr
oragne.fr orange.fr
wandoo.fr wanadoo.fr
wanado.fr wanadoo.fr
wanaddo.fr wanadoo.fr
laposte.ney laposte.net
lapste.net laposte.net
freee.fr free.fr
fre.fr free.fr
gmx.dee gmx.de
gmc.de gmx.de
gmx.ded gmx.de
wbe.de web.de
web.dee web.de
t-onlne.de t-online.de
t-online.dd t-online.de
tonline.de t-online.de
freenet.dr freenet.de
ziggo.nll ziggo.nl
zigo.nl ziggo.nl
kpnmial.nl kpnmail.nl
telnet.be telenet.be
skynet.bee skynet.be
luuku.com luukku.com
lukku.com luukku.com
kolumbus.fii kolumbus.fi
saunalhti.fi saunalahti.fi
libreo.it libero.it
livero.it libero.it
seznma.cz seznam.cz
interia.lp interia.pl
protonmial.com protonmail.com
btinternt.com btinternet.com
comcats.net comcast.net
aol.con aol.com
live.con live.com
bergmann-hotel.con bergmann-hotel.com
nordwind-reisen.cmo nordwind-reisen.com
""".strip().splitlines()
]

#: typed, meant, where somebody has a server but not this mailbox
TAKEN = [
    line.split()
    for line in """
gmial.com gmail.com
gmal.com gmail.com
gamil.com gmail.com
gmail.co gmail.com
gmail.cm gmail.com
gmail.fr gmail.com
hotmial.com hotmail.com
hotmal.com hotmail.com
hotmai.com hotmail.com
outlok.com outlook.com
outloo.com outlook.com
yaho.com yahoo.com
yahooo.com yahoo.com
iclod.com icloud.com
orang.fr orange.fr
wandoo.fr wanadoo.fr
""".strip().splitlines()
]

#: Real, some of them rare; with a mail server, but not this mailbox.
REAL = """
mail.com email.com ymail.com gmx.at gmx.ch gmx.net gmx.li gmx.us live.no live.nl live.dk hotmail.fi hotmail.it web.de
me.com mac.com wp.pl op.pl o2.pl vp.pl sky.com bk.ru ya.ru i.ua pt.lu voo.be home.nl free.fr sfr.fr neuf.fr bbox.fr
tin.it iol.it ono.com hot.ee pm.me tuta.com duck.com usa.com post.cz inbox.lv yahoo.ro yahoo.gr outlook.cz outlook.dk
mail.be post.at post.fi mail.ch imail.ch emailn.de firemail.de mein.gmx posteo.net mailo.com netcourrier.com
telecom.fr oranje.nl organic.fr range.com hotel.com hotels.nl wallmail.se webb.se wed.de weby.fr freed.fr sfo.fr
fortum.com helsinki.fi aalto.fi uni-bonn.de tum.de ethz.ch epfl.ch cern.ch kth.se lu.se ku.dk uio.no rug.nl ugent.be
nokia.com kone.com elisa.fi dna.fi telia.fi outokumpu.com siemens.de basf.com bosch.de sap.com total.fr lvmh.fr
kpn.com ing.nl abnamro.nl shell.com philips.nl unilever.com delhaize.be colruyt.be belfius.be harbour-hotel.com
maison-rouge.fr gasthof-adler.at pension-sonne.de hostel.is villa-rosa.it casa-azul.es quinta.pt dom.pl hotelli.fi
amail.com bmail.fr cmail.nl vmail.com umail.se zmail.ru gmx-topmail.de hotmart.com lookout.com outlast.com cloud.com
loud.com yahya.com yoho.com hoo.com live.life love.com line.com five.com olive.com alive.com
"""


@pytest.mark.parametrize(("typed", "meant"), [tuple(row) for row in GONE])
def test_the_slips_people_make_are_undone_where_the_domain_does_not_exist(typed: str, meant: str) -> None:
    assert domain_guesses(typed, proven=(), is_gone=True)[:1] == (meant,)


@pytest.mark.parametrize(("typed", "meant"), [tuple(row) for row in TAKEN])
def test_a_slip_of_a_big_provider_is_seen_even_where_somebody_owns_it(typed: str, meant: str) -> None:
    assert domain_guesses(typed, proven=(), is_gone=False)[:1] == (meant,)


@pytest.mark.parametrize("domain", REAL.split())
def test_a_real_domain_gets_no_guess(domain: str) -> None:
    assert domain_guesses(domain, proven=(), is_gone=False) == ()


@pytest.mark.parametrize("domain", PROVIDERS)
def test_a_provider_is_never_taken_for_a_slip_of_another(domain: str) -> None:
    assert domain_guesses(domain, proven=PROVIDERS, is_gone=True) == ()


@pytest.mark.parametrize(
    ("typed", "proven", "want"),
    [
        ("harbourhotl.fi", {"harbourhotel.fi"}, ("harbourhotel.fi",)),
        ("harbuorhotel.fi", {"harbourhotel.fi"}, ("harbourhotel.fi",)),
        ("harbourhotel.fo", {"harbourhotel.fi"}, ("harbourhotel.fi",)),
        ("harbourhotelfi", {"harbourhotel.fi"}, ("harbourhotel.fi",)),
        ("harbourhotl.fi", set(), ()),
        ("ab.fi", {"abb.fi"}, ("abb.fi",)),
        ("hotelanna.se", {"hotelanna.fi"}, ()),
        ("hotel1.fi", {"hotel2.fi"}, ("hotel2.fi",)),
        ("annas.fi", {"annas.se", "anna.fi", "hannas.fi"}, ("anna.fi", "hannas.fi")),
    ],
)
def test_our_own_deliveries_are_the_best_list_of_domains(typed: str, proven: set[str], want: tuple[str, ...]) -> None:
    assert domain_guesses(typed, proven=proven, is_gone=True) == want


@pytest.mark.parametrize(
    ("typed", "proven"), [("live.nk", set()), ("hotel1.fi", {"hotel2.fi", "hotel.fi"}), ("ab.fi", {"abb.fi", "a-b.fi"})]
)
def test_two_guesses_as_good_as_each_other_are_none(typed: str, proven: set[str]) -> None:
    assert domain_guesses(typed, proven=proven, is_gone=True) == ()


def test_of_two_guesses_the_one_that_took_mail_of_ours_wins() -> None:
    assert domain_guesses("live.nk", proven={"live.no"}, is_gone=True)[:1] == ("live.no",)


def test_a_domain_that_took_mail_of_ours_is_not_doubted() -> None:
    assert domain_guesses("gmial.com", proven={"gmial.com"}, is_gone=False) == ()


def test_two_similar_firms_are_two_firms() -> None:
    assert domain_guesses("bergman.de", proven={"bergmann.de"}, is_gone=False) == ()


@pytest.mark.parametrize("domain", ["", "x", "xn--gml-hoa.com", "päivä.fi", "." * 3, "a" * 250 + ".com"])
def test_odd_domains_get_an_answer(domain: str) -> None:
    assert domain_guesses(domain, proven=(), is_gone=True) == ()


def test_a_slip_is_listed_once_with_its_least_cost_and_never_the_domain_itself() -> None:
    found = slips("gmail.com")
    assert "gmail.com" not in found
    assert found["gmial.com"] == 1.0
    assert len(found) < 1500


def test_only_the_part_behind_the_at_changes() -> None:
    assert with_domain('"a@b"@gmial.com', "gmail.com") == '"a@b"@gmail.com'


def relative(address: str, *, name: str = "", is_same_customer: bool = False) -> Relative:
    return Relative(address=address, name=name, is_same_customer=is_same_customer, sender_domain="hotel.example")


@pytest.mark.parametrize(
    ("relatives", "want"),
    [
        ([relative("sari.virtanen@work.example", is_same_customer=True)], "sari.virtanen@work.example"),
        ([relative("sari.virtanen@gmail.example")], "sari.virtanen@gmail.example"),
        ([relative("other@gmail.example")], None),
        ([relative("other@gmail.example", name="Sari Virtanen")], "other@gmail.example"),
        ([relative("desk@hotel.example", is_same_customer=True)], None),
        ([], None),
    ],
)
def test_another_address_of_the_same_person_is_a_guess(relatives: list[Relative], want: str | None) -> None:
    assert relative_guess("sari.virtanen@gmial.example", "Sari Virtanen", relatives) == want
