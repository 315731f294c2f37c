"""The words of Daypass as types and state tables: no I/O, no clock."""
