"""The doctor: what is wrong around the relay, with the record or command that mends it.

Modules that judge are pure and named after what they judge (sender_spf, sender_dkim, dns_sender, identity, reach,
blocklists, local); names, sources, senders, network and machine gather the facts; examination puts both together;
kept remembers the last of them.
"""

from relay.doctor.examination import examine
from relay.doctor.finding import ORDER, Finding, State, worst
from relay.doctor.kept import Examination, every, load, save
from relay.doctor.local import check_settings, store_fault
from relay.doctor.senders import configured_domains

__all__ = [
    "ORDER",
    "Examination",
    "Finding",
    "State",
    "check_settings",
    "configured_domains",
    "every",
    "examine",
    "load",
    "save",
    "store_fault",
    "worst",
]
