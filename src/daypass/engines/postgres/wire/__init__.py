"""PostgreSQL's protocol, 3.0 to 3.2, without I/O: bytes in, bytes and events out.

No clock and no chance either: nonces are handed in.
Section numbers in comments are those of the protocol chapter of PostgreSQL's documentation.
"""
