"""Measure Waybill beside other mail servers on one machine; `make bench` runs it."""
