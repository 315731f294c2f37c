"""Fuzzers guided by coverage, for hours rather than for every run."""
