"""A small internet on loopback: name server, recipients' servers of every temper, sample booking mails.

`waybill demo` runs the real relay against it; the tests use the same servers as their peers.
"""
