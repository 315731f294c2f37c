"""Django's PostgreSQL backend, whose test database is there already and stays."""

from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.creation import DatabaseCreation


class _Creation(DatabaseCreation):
    def _create_test_db(self, *_: Any, **__: Any) -> str:
        return str(self.connection.settings_dict["NAME"])

    def _destroy_test_db(self, *_: Any, **__: Any) -> None:
        return


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection as Django makes it, with that kind of test database."""

    creation_class = _Creation
