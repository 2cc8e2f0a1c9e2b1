"""Lists of blocked addresses, as other systems export them and as ours are written and read back.

`read` takes the bytes of a file in chunks and gives, for every entry, a block (Found), why it is none (LeftOut), or
what is wrong with its line (Bad). It holds one entry at a time, so that a list of a million lines needs no memory.
`csv_lines` and `json_lines` write our own format, which loses nothing when it is read back. Pure: no I/O, no clock.
"""

from relay.block_lists.entries import Bad, Format, Found, LeftOut, Result, UnknownFormat
from relay.block_lists.reading import read
from relay.block_lists.writing import csv_lines, json_lines

__all__ = ["Bad", "Format", "Found", "LeftOut", "Result", "UnknownFormat", "csv_lines", "json_lines", "read"]
