"""Entries of the audit log: pure functions."""
