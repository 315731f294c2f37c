"""What kind of owner a login seems to have, going by its name alone: pure."""

from __future__ import annotations

import re
from typing import Final

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
_GIVEN_NAMES_TEXT: Final = """
adam agnes alan alba alex alexander alice alicia amanda amy ana anders andrea andreas andrew
andrzej angela anita ann anna anne antonio arjun arthur astrid barbara bart beata ben benjamin
bernd birgit bob boris brian bruno carla carlos carmen caroline catherine charles chiara chloe
chris christian christine christoph claire clara claudia cristina daan dan daniel daniela dave
david deborah denis diana diego dirk dominik donna edward elena elif elisa elizabeth ella emil
emily emma eric erik eva fatima felix fernando filip florian francesca francesco frank franziska
fred frida gabriel gabriela george giorgia giulia greg guillaume hanna hannah hans heike helen
helena henrik hugo ian ibrahim ines ingrid irene isabel isabelle ivan jack jacob jakob james jan
jana jane jason javier jean jeff jennifer jens jessica jim joanna joao joe johan johanna
johannes john jonas jorge jose joseph juan julia julian julie jun karen karin karl katarzyna
kate katja kevin klaus lars laura lea lena leo leon linda lisa lotte louis luca lucas lucia luis
lukas maja manuel marc marco maria marie mario marta martin mary mateo mats matteo matthew max
mehmet mia michael michal michel miguel mike mohamed mohammed monika nadia natalia nicolas
nicole nils nina noah nora olga oliver olivia omar oscar otto pablo patricia patrick paul paula
pedro peter petra philip philipp pierre piotr priya rachel rafael ralf rebecca ricardo richard
rob robert roberto roman rosa ruth ryan sabine sam samuel sandra sara sarah sebastian sergio
silvia simon sofia sofie sophie stefan stefanie stephen steve susan sven tanja teresa thomas tim
timo tobias tom tomasz ulrich ursula valentina vera victor viktor vincent walter wei werner will
william wojciech yan yuki yusuf zoe
"""
_GIVEN_NAMES: Final = frozenset(_GIVEN_NAMES_TEXT.split())


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
    if any(word in _GIVEN_NAMES for word in words) or _PERSON.fullmatch(lower):
        return "human"
    # The first letter of a given name and a family name: jsmith.
    if _SHORT_PERSON.fullmatch(lower) and "." in lower:
        return "human"
    return "admin" if superuser else "program"
