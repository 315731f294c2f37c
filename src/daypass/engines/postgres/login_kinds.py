"""What kind of owner a login seems to have, going by its name alone: pure."""

from __future__ import annotations

import re
from typing import Final

from daypass.policy.given_names import GIVEN_NAMES

_SYSTEM: Final = re.compile(
    r"postgres|rdsadmin|rds_superuser|rdsrepladmin|rdstopmgr|cloudsqladmin|cloudsqlagent"
    r"|cloudsqlreplica|cloudsqlimportexport|cloudsqlsuperuser|azuresu|azure_superuser"
    r"|azure_pg_admin|alloydbadmin|alloydbagent|neon_superuser|cloud_admin|supabase_admin"
    r"|enterprisedb|barman|streaming_barman|pgbouncer"
)
_PROGRAM_WORDS_TEXT: Final = """
admin agent airflow analytics api app application backend backup batch bi bot ci client
collector connector consumer cron daemon dashboard datadog db dbt debezium deploy dev dwh etl
export exporter fivetran gateway grafana hasura hook import importer ingest integration job jobs
keycloak loader looker mailer metabase migration migrations migrator monitor monitoring nightly
node owner pgwatch pipeline poller portal prod production prometheus proxy queue read reader
readonly redash replica replication replicator report reporting reports ro robot rw scheduler
scraper script server service shop sidekiq site sql staging super superset svc sync system
tableau task tasks terraform test tool user usr web webapp webhook worker write writer zabbix
"""
_PROGRAM_WORDS: Final = frozenset(_PROGRAM_WORDS_TEXT.split())
_PERSON: Final = re.compile(r"[^\W\d_]{2,}(?:[._-][^\W\d_]{1,}){1,2}\d{0,2}")
_SHORT_PERSON: Final = re.compile(r"[^\W\d_]\.?[^\W\d_]{3,}")


def login_kind(name: str, *, superuser: bool = False) -> str:
    """Return `system`, `program` or `human`; what cannot be told is a program's.

    A superuser that is nobody's by name is the server's own kind of login, an `admin`.
    """
    lower = name.lower()
    if _SYSTEM.fullmatch(lower):
        return "system"
    words = [word for word in re.split(r"[^\w]|[_\d]+", lower) if word]
    if "@" in lower and not _PROGRAM_WORDS.intersection(words[:1]):
        return "human"
    if _PROGRAM_WORDS.intersection(words):
        return "admin" if superuser else "program"
    if any(word in GIVEN_NAMES for word in words) or _PERSON.fullmatch(lower):
        return "human"
    # The first letter of a given name and a family name: jsmith.
    if _SHORT_PERSON.fullmatch(lower) and "." in lower:
        return "human"
    return "admin" if superuser else "program"
