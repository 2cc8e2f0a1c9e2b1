"""The doctor: what is wrong around the relay, with the record or command that mends it.

Modules that judge are pure and named after what they judge (sender_spf, sender_dkim, dns_sender, identity, reach,
blocklists, local); names, sources, senders, network and machine gather the facts; examination puts both together.
"""

from relay.doctor.examination import examine
from relay.doctor.finding import ORDER, Finding, State, worst
from relay.doctor.local import check_settings, store_fault

__all__ = ["ORDER", "Finding", "State", "check_settings", "examine", "store_fault", "worst"]
