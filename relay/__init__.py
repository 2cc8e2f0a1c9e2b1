"""Waybill: a self-hosted SMTP relay with a delivery log."""

__version__ = "0.1.0"
