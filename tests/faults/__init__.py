"""Faults at every phase of the protocol: whoever dies, whatever breaks, the same things hold."""
