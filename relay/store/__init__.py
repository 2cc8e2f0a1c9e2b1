"""The store: the only place with SQL. See protocols.py for the contract."""

from relay.store.locks import exclusive
from relay.store.open import folder_of, is_shared, is_there, migrate, open_store, scrub
from relay.store.sqlite import needs_single_process

__all__ = ["exclusive", "folder_of", "is_shared", "is_there", "migrate", "needs_single_process", "open_store", "scrub"]
