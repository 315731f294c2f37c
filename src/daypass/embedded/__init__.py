"""PostgreSQL servers that Daypass starts itself, from programs installed beside it."""

from daypass.embedded.addresses import free_port
from daypass.embedded.binaries import Binaries, all_binaries, find_binaries
from daypass.embedded.cluster import Cluster
from daypass.embedded.errors import EmbeddedError

__all__ = ["Binaries", "Cluster", "EmbeddedError", "all_binaries", "find_binaries", "free_port"]
