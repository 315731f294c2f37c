"""The command line; it speaks HTTP."""
