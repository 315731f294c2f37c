"""Use cases: one module and one transaction each."""
