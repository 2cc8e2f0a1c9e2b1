"""Delivery: claim what is due, find its server, speak SMTP to it, record the answer. See contract.py."""
