"""Engines: one contract, one folder each."""
