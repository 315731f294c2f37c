"""Measurements of what the blueprint promises, on real servers: `python -m bench`."""
