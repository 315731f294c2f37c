"""What goes wrong when a PostgreSQL server is started or stopped here."""


class EmbeddedError(Exception):
    """Say in one message what failed and, where it is known, what to do."""
