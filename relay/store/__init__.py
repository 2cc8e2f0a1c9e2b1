"""The store: the only place with SQL. See protocols.py for the contract."""
