"""Classify relations and columns: tag them, or say that somebody looked and found nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from daypass.audit.entry import EntryKind, Json
from daypass.domain.catalog import Catalog, ColumnName, RelationName, Tags
from daypass.domain.errors import Invalid
from daypass.domain.ids import DatabaseId
from daypass.domain.principal import Actor, Capability, DaypassRole
from daypass.operations.context import Context, require_capability
from daypass.operations.database_facts import load_facts
from daypass.operations.database_owner import managed_database, require_owner
from daypass.operations.entry_by import entry_by
from daypass.operations.facts_changed import facts_changed
from daypass.operations.tag_file import TAG_FORM, DatabaseTags, RelationTags, read_tag_file
from daypass.policy.document import Place
from daypass.policy.fields import did_you_mean
from daypass.store import databases, entries, tags
from daypass.store.database import Tx


@dataclass(frozen=True, slots=True)
class TagChange:
    """The tags a relation, or one column of it, has from now on.

    With `column` None all present columns of the relation count as classified. `forget` takes a
    column's (or all columns') classification back: nobody has looked at it.
    """

    relation: RelationName
    column: str | None = None
    tags: frozenset[str] = frozenset()
    forget: bool = False


@dataclass(frozen=True, slots=True)
class TagDifference:
    """What happened to one relation or column."""

    name: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    classified: bool | None = None
    """True when it counts as classified now and did not before, False for the reverse."""


@dataclass(frozen=True, slots=True)
class TagOutcome:
    """What applying tags did to one database, or would do."""

    database_id: DatabaseId
    path: str
    facts_revision: int
    differences: tuple[TagDifference, ...]
    applied: bool


@dataclass(slots=True)
class _Wanted:
    relations: dict[RelationName, frozenset[str]] = field(default_factory=dict)
    columns: dict[ColumnName, frozenset[str]] = field(default_factory=dict)
    classify: set[ColumnName] = field(default_factory=set)
    declassify: set[ColumnName] = field(default_factory=set)


async def apply_tags(
    ctx: Context,
    actor: Actor,
    database_id: DatabaseId,
    changes: Sequence[TagChange],
    *,
    preview: bool = False,
) -> TagOutcome:
    """Apply changes to one database, all or none; with `preview` only say what they would do.

    Raises `Invalid` for a relation or column the catalog has not, with the nearest names it has.
    """
    async with ctx.store.transaction() as tx:
        await _authorized(tx, actor, database_id)
        facts = await load_facts(tx, database_id)
        _raise_problems([p for each in changes for p in _change_problems(facts.catalog, each)])
        wanted = _Wanted()
        for change in changes:
            _want_change(wanted, facts.catalog, change)
        return await _record(tx, actor, database_id, wanted, preview=preview)


async def apply_tag_file(
    ctx: Context, actor: Actor, name: str, text: str, *, preview: bool = False
) -> tuple[TagOutcome, ...]:
    """Apply a file of tags, all of it or nothing; with `preview` only say what it would do.

    Every relation the file names is classified wholly: tags it does not list are taken away.
    Raises `Invalid` with every problem and its file, line and column.
    """
    require_capability(actor, Capability.MANAGE)
    file = read_tag_file(name, text)
    async with ctx.store.transaction() as tx:
        found: dict[DatabaseId, DatabaseTags] = {}
        for of_database in file.databases:
            database_id = await databases.find_database(tx, of_database.path)
            if database_id is None:
                known = [d.path for d in await databases.list_databases(tx)]
                near = did_you_mean(of_database.path, known)
                file.problems.add(
                    of_database.place, f"there is no database {of_database.path}{near}"
                )
            else:
                found[database_id] = of_database
        outcomes = []
        # In order of number, so that two files never wait for each other.
        for database_id, of_database in sorted(found.items()):
            await _authorized(tx, actor, database_id)
            facts = await load_facts(tx, database_id)
            for place, problem in _file_problems(facts.catalog, of_database.relations):
                file.problems.add(place, problem)
            if len(file.problems):
                continue
            wanted = _Wanted()
            for relation in of_database.relations:
                _want_relation(wanted, facts.catalog, relation)
            outcomes.append(await _record(tx, actor, database_id, wanted, preview=preview))
        file.problems.raise_if_any("the tags were not applied")
        return tuple(outcomes)


async def _authorized(tx: Tx, actor: Actor, database_id: DatabaseId) -> None:
    database = await managed_database(tx, database_id)
    require_owner(actor, database, DaypassRole.ADMIN, DaypassRole.POLICY_EDITOR)


def _want_change(wanted: _Wanted, catalog: Catalog, change: TagChange) -> None:
    columns = (
        _columns(catalog, change.relation)
        if change.column is None
        else (ColumnName(change.relation, change.column),)
    )
    if change.forget:
        wanted.declassify.update(columns)
        wanted.classify.difference_update(columns)
        wanted.columns.update(dict.fromkeys(columns, frozenset()))
        if change.column is None:
            wanted.relations[change.relation] = frozenset()
        return
    wanted.classify.update(columns)
    wanted.declassify.difference_update(columns)
    if change.column is None:
        wanted.relations[change.relation] = change.tags
    else:
        wanted.columns[columns[0]] = change.tags


def _want_relation(wanted: _Wanted, catalog: Catalog, relation: RelationTags) -> None:
    columns = _columns(catalog, relation.name)
    wanted.relations[relation.name] = relation.tags
    wanted.classify.update(columns)
    wanted.columns.update(dict.fromkeys(columns, frozenset()))
    wanted.columns.update({ColumnName(relation.name, c.name): c.tags for c in relation.columns})


async def _record(
    tx: Tx, actor: Actor, database_id: DatabaseId, wanted: _Wanted, *, preview: bool
) -> TagOutcome:
    database = await databases.get_database(tx, database_id)
    if database is None:
        raise RuntimeError(f"there is no database {database_id}")
    before = await tags.get_tags(tx, database_id)
    differences = tuple(_differences(before, wanted))
    if preview or not differences:
        return TagOutcome(
            database_id, database.path, database.facts_revision, differences, applied=not preview
        )
    for relation, names in wanted.relations.items():
        if names != before.relations.get(relation, frozenset()):
            await tags.set_relation_tags(tx, database_id, relation, names)
    for column, names in wanted.columns.items():
        if names != before.columns.get(column, frozenset()):
            await tags.set_column_tags(tx, database_id, column, names)
    await tags.classify(tx, database_id, wanted.classify)
    await tags.declassify(tx, database_id, wanted.declassify)
    revision = await facts_changed(tx, database_id)
    changes: list[Json] = [
        {
            "name": d.name,
            "added": list(d.added),
            "removed": list(d.removed),
            "classified": d.classified,
        }
        for d in differences
    ]
    await entries.append(
        tx, entry_by(actor, EntryKind.TAGS_CHANGED, database_id=database_id, changes=changes)
    )
    return TagOutcome(database_id, database.path, revision, differences, applied=True)


def _differences(before: Tags, wanted: _Wanted) -> Iterable[TagDifference]:
    for relation, names in sorted(wanted.relations.items()):
        had = before.relations.get(relation, frozenset())
        if names != had:
            yield TagDifference(str(relation), _sorted(names - had), _sorted(had - names))
    for column in sorted(wanted.columns.keys() | wanted.classify | wanted.declassify):
        had = before.columns.get(column, frozenset())
        names = wanted.columns.get(column, had)
        classified = None
        if column in wanted.classify and column not in before.classified:
            classified = True
        elif column in wanted.declassify and column in before.classified:
            classified = False
        if names != had or classified is not None:
            yield TagDifference(str(column), _sorted(names - had), _sorted(had - names), classified)


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _columns(catalog: Catalog, name: RelationName) -> tuple[ColumnName, ...]:
    relation = catalog.relation(name)
    return tuple(ColumnName(name, c.name) for c in relation.columns) if relation else ()


def _change_problems(catalog: Catalog, change: TagChange) -> Iterable[tuple[str, str]]:
    place = f"{change.relation}.{change.column}" if change.column else str(change.relation)
    for tag in sorted(change.tags):
        if not TAG_FORM.fullmatch(tag):
            yield place, f"{tag!r} is no tag: lower-case letters, digits, . _ - and at most 63"
    problem = _relation_problem(catalog, change.relation)
    if problem is None and change.column is not None:
        problem = _column_problem(catalog, change.relation, change.column)
    # What is gone may still be forgotten.
    if problem is not None and not change.forget:
        yield place, problem


def _file_problems(
    catalog: Catalog, relations: Iterable[RelationTags]
) -> Iterable[tuple[Place, str]]:
    for relation in relations:
        if problem := _relation_problem(catalog, relation.name):
            yield relation.place, problem
        for column in relation.columns:
            if problem := _column_problem(catalog, relation.name, column.name):
                yield column.place, problem


def _relation_problem(catalog: Catalog, name: RelationName) -> str | None:
    if catalog.relation(name) is not None:
        return None
    known = [str(r.name) for r in catalog.relations]
    elsewhere = [str(r.name) for r in catalog.relations if r.name.name == name.name]
    near = f"; did you mean {elsewhere[0]}?" if elsewhere else did_you_mean(str(name), known)
    return f"there is no relation {name}{near}"


def _column_problem(catalog: Catalog, name: RelationName, column: str) -> str | None:
    relation = catalog.relation(name)
    if relation is None or relation.column(column) is not None:
        return None
    near = did_you_mean(column, [c.name for c in relation.columns])
    return f"{name} has no column {column}{near}"


def _raise_problems(problems: Sequence[tuple[str, str]]) -> None:
    if not problems:
        return
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    raise Invalid(
        f"{problems[0][1]}{more}",
        problems=tuple(problems),
        next_step="correct the names; nothing was applied",
        code="unknown_place",
    )
