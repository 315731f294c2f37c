"""What each kind of statement is, in Daypass's classes.

`docs/statements.md` is the table for people; the corpus of tests holds both to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from daypass.domain.catalog import RelationName
from daypass.domain.statement_class import StatementClass
from daypass.engines.contract import StatementFacts
from daypass.engines.postgres.command_tags import command_tag
from daypass.engines.postgres.parsing import (
    Node,
    RawStatement,
    child,
    fingerprint_of,
    integer,
    items,
    parse_text,
    string,
    strings,
    too_deep,
    unwrap,
)
from daypass.engines.postgres.session_guards import (
    OWN_ROLE_GUARD,
    OWN_ROLES,
    PROGRAM_GUARD,
    STATEMENT_GUARDS,
    TWO_PHASE_GUARD,
)
from daypass.engines.postgres.statement_kinds import (
    ADMIN_OBJECTS,
    CLASS_OF_KIND,
    NO_WRITE,
    RELATION_OBJECTS,
    SYSTEM_SCHEMAS,
    TWO_PHASE,
    classes_named,
    names_own_role,
    runs_its_statement,
)
from daypass.engines.postgres.statement_walk import (
    StatementWalk,
    Use,
    is_temporary,
    literal_values,
    relation_of,
)


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything a decision needs to know of one statement.

    `uses` are relations with the class needed on each, `bare` classes needed whatever the
    relations. `plan_only` is an EXPLAIN that runs nothing, `analyzes` one that does. `executes` and
    `prepares` name prepared statements, `made` temporary tables it makes, `variables` what it sets.
    `qualified` says that it has names a splice may change; `copies` is what a COPY without a query
    is from or to. `path` says why the search path stays, where it would be moved. `schemas` are
    changed or dropped with all that is in them.
    """

    facts: StatementFacts
    uses: frozenset[Use]
    bare: frozenset[StatementClass]
    plan_only: bool
    analyzes: bool
    executes: str
    prepares: str
    made: frozenset[str]
    variables: frozenset[str]
    qualified: bool
    copies: RelationName | None
    path: str
    schemas: frozenset[str]


class _Classifier:
    """Classifies one statement; `walk` gathers, the rest are facts about the statement itself."""

    __slots__ = ("analyzes", "copies", "executes", "plan_only", "prepares", "schemas", "walk")

    def __init__(self) -> None:
        self.walk = StatementWalk()
        self.plan_only = False
        self.analyzes = False
        self.executes = ""
        self.prepares = ""
        self.copies: RelationName | None = None
        self.schemas: set[str] = set()

    def classify(self, kind: str, node: Node) -> None:
        """Read a statement of any kind; unknown kinds are `admin`."""
        reason = STATEMENT_GUARDS.get(kind)
        if reason is not None:
            self.walk.object_to(reason)
        handle = _KINDS.get(kind)
        if handle is not None:
            handle(self, kind, node)
        else:
            self.define(kind, node, CLASS_OF_KIND.get(kind, StatementClass.ADMIN))

    def query(self, kind: str, node: Node) -> None:
        """Read SELECT, VALUES, TABLE or a write."""
        self.walk.splicing = True
        if kind == "SelectStmt":
            self.walk.bare.add(StatementClass.SELECT)
        self.walk.visit({kind: node})
        self.walk.splicing = False

    def define(self, kind: str, node: Node, statement_class: StatementClass) -> None:
        """Read a definition; nothing in it is spliced."""
        self.walk.bare.add(statement_class)
        self.walk.visit_definition(node, statement_class)
        if kind in _GIVES_FUNCTIONS_NAMES:
            # An operator calls its function wherever it stands, under a name that tells nothing.
            self.walk.bare.update(classes_named(node))
        if names_own_role(node):
            self.walk.object_to(OWN_ROLE_GUARD)

    def function(self, kind: str, node: Node) -> None:
        """Read CREATE FUNCTION; code outside the database's control is an `admin` matter.

        What a body that is a string does cannot be seen, no more than that of DO.
        """
        self.define(kind, node, StatementClass.DDL)
        for option in items(node, "options"):
            element = child(option, "DefElem") or {}
            if element.get("defname") == "as":
                self.walk.bare.add(StatementClass.CALL)
            language = string(child(child(element, "arg") or {}, "String") or {}, "sval")
            if element.get("defname") == "language" and (
                language in {"c", "internal"} or language.endswith("u")
            ):
                self.walk.bare.add(StatementClass.ADMIN)

    def nothing(self, _kind: str, _node: Node) -> None:
        """Read session control: it needs no class."""

    def inner(self, kind: str, node: Node) -> None:
        """Read what DECLARE CURSOR or PREPARE holds."""
        if kind == "PrepareStmt":
            self.prepares = string(node, "name")
        self.classify(*unwrap(child(node, "query") or {}))

    def execute(self, _kind: str, node: Node) -> None:
        """Read EXECUTE: its class was asked for when it was prepared."""
        self.executes = string(node, "name")
        self.walk.visit(node.get("params"))

    def explain(self, _kind: str, node: Node) -> None:
        """Read EXPLAIN: without ANALYZE nothing runs, with it everything does."""
        kind, inner = unwrap(child(node, "query") or {})
        self.classify(kind, inner)
        if runs_its_statement(items(node, "options")):
            self.analyzes = True
        else:
            self.plan_only = True
            self.walk.only_explain(keep_targets=kind == "RefreshMatViewStmt")
        self.walk.bare.add(StatementClass.EXPLAIN)

    def create_table_as(self, kind: str, node: Node) -> None:
        """Read CREATE TABLE AS; a temporary table is no more than the query it keeps."""
        query, inner = unwrap(child(node, "query") or {})
        if node.get("objtype") == "OBJECT_MATVIEW":
            self.define(kind, node, StatementClass.DDL)
            self.walk.bare.add(StatementClass.SELECT)
            return
        self.classify(query, inner)
        self.walk.bare.add(StatementClass.SELECT)
        self.walk.into(child(node, "into") or {})

    def create_object(self, kind: str, node: Node) -> None:
        """Read CREATE TABLE or SEQUENCE; a temporary one asks for `select`."""
        made = child(node, "relation") or child(node, "sequence") or {}
        if not is_temporary(made):
            self.define(kind, node, StatementClass.DDL)
            return
        self.walk.bare.add(StatementClass.SELECT)
        self.walk.made.add(string(made, "relname"))
        for key, value in node.items():
            if key not in {"relation", "sequence"}:
                # What it inherits from has one more child from then on.
                changes = key == "inhRelations"
                needed = StatementClass.DDL if changes else StatementClass.SELECT
                self.walk.visit_definition(value, needed)

    def alter_relation(self, _kind: str, node: Node) -> None:
        """Read a change to one relation; who owns or may see it is an `admin` matter."""
        self.walk.visit_definition(node, StatementClass.DDL)
        for command in items(node, "cmds"):
            subtype = string(child(command, "AlterTableCmd") or {}, "subtype")
            if subtype == "AT_ChangeOwner" or subtype.endswith("RowSecurity"):
                self.walk.bare.add(StatementClass.ADMIN)

    def drop(self, kind: str, node: Node) -> None:
        """Read DROP of anything but roles and databases."""
        removed = string(node, "removeType")
        if removed in ADMIN_OBJECTS:
            self.define(kind, node, StatementClass.ADMIN)
        elif removed in RELATION_OBJECTS:
            for each in items(node, "objects"):
                parts = strings(items(child(each, "List") or {}, "items"))
                if parts:
                    name = RelationName(parts[-2] if len(parts) > 1 else "", parts[-1])
                    self.walk.uses.add((name, StatementClass.DDL))
        else:
            self.walk.bare.add(StatementClass.DDL)
            if removed == "OBJECT_SCHEMA":
                self.schemas.update(strings(items(node, "objects")))
            if removed in {"OBJECT_TRIGGER", "OBJECT_RULE"}:
                for each in items(node, "objects"):
                    self._on_relation(strings(items(child(each, "List") or {}, "items"))[:-1])

    def comment(self, kind: str, node: Node) -> None:
        """Read COMMENT or SECURITY LABEL."""
        found = StatementClass.DDL if kind == "CommentStmt" else StatementClass.ADMIN
        self.walk.bare.add(found)
        parts = strings(items(child(child(node, "object") or {}, "List") or {}, "items"))
        match node.get("objtype"):
            case "OBJECT_COLUMN" | "OBJECT_TRIGGER" | "OBJECT_RULE" | "OBJECT_TABCONSTRAINT":
                self._on_relation(parts[:-1])
            case objtype if objtype in RELATION_OBJECTS:
                self._on_relation(parts)

    def _on_relation(self, parts: tuple[str, ...]) -> None:
        if parts:
            name = RelationName(parts[-2] if len(parts) > 1 else "", parts[-1])
            self.walk.uses.add((name, StatementClass.DDL))

    def rename(self, kind: str, node: Node) -> None:
        """Read RENAME, SET SCHEMA and OWNER TO."""
        renamed = string(node, "renameType") or string(node, "objectType")
        admin = kind == "AlterOwnerStmt" or renamed in ADMIN_OBJECTS
        self.define(kind, node, StatementClass.ADMIN if admin else StatementClass.DDL)
        if renamed == "OBJECT_SCHEMA":
            self.schemas.add(string(node, "subname"))
        if renamed == "OBJECT_ROLE" and string(node, "subname").startswith(OWN_ROLES):
            self.walk.object_to(OWN_ROLE_GUARD)

    def truncate(self, _kind: str, node: Node) -> None:
        """Read TRUNCATE."""
        self.walk.visit_definition(node, StatementClass.TRUNCATE)

    def lock(self, _kind: str, node: Node) -> None:
        """Read LOCK: ACCESS SHARE asks for `select`, what keeps others out for `update`."""
        shared = integer(node, "mode") == 1
        self.walk.splicing = True
        for each in items(node, "relations"):
            target = child(each, "RangeVar")
            if target is not None:
                if shared:
                    self.walk.use(target, StatementClass.SELECT)
                else:
                    self.walk.locked.add(relation_of(target))
                self.walk.splice_target(target)
        self.walk.splicing = False

    def copy(self, _kind: str, node: Node) -> None:
        """Read COPY: in, out, and what goes through the server's files and programs."""
        if node.get("is_program"):
            self.walk.object_to(PROGRAM_GUARD)
        if node.get("filename"):
            self.walk.bare.add(StatementClass.ADMIN)
        query = child(node, "query")
        if query is not None:
            self.query(*unwrap(query))
            self.walk.bare.discard(StatementClass.SELECT)
            self.walk.bare.add(StatementClass.EXPORT)
            self.walk.uses = {
                (name, StatementClass.EXPORT if each is StatementClass.SELECT else each)
                for name, each in self.walk.uses
            }
            return
        target = child(node, "relation") or {}
        incoming = bool(node.get("is_from"))
        needed = StatementClass.COPY_IN if incoming else StatementClass.EXPORT
        self.copies = relation_of(target)
        self.walk.use(target, needed)
        self.walk.visit(node.get("whereClause"))

    def call(self, kind: str, node: Node) -> None:
        """Read CALL or DO: what they run cannot be seen from here."""
        self.walk.bare.add(StatementClass.CALL)
        if kind == "CallStmt":
            self.walk.visit({"FuncCall": child(node, "funccall") or {}})

    def trigger(self, kind: str, node: Node) -> None:
        """Read CREATE TRIGGER, whose function is a name without arguments."""
        self.define(kind, node, StatementClass.DDL)
        self.walk.functions.add(".".join(strings(items(node, "funcname"))))

    def variable(self, _kind: str, node: Node) -> None:
        """Read SET and RESET."""
        if node.get("kind") in {"VAR_RESET_ALL", "VAR_SET_MULTI"}:
            return
        name = string(node, "name").lower()
        self.walk.variables.add(name)
        if node.get("kind") in {"VAR_RESET", "VAR_SET_DEFAULT"}:
            # What Daypass sets stands in a session's startup message: that is what it goes back to.
            return
        self.walk.set_variable(name, literal_values(items(node, "args")))

    def transaction(self, _kind: str, node: Node) -> None:
        """Read transaction control; what outlives the session is not allowed."""
        if string(node, "kind") in TWO_PHASE:
            self.walk.bare.add(StatementClass.ADMIN)
            self.walk.object_to(TWO_PHASE_GUARD)

    def create_schema(self, _kind: str, node: Node) -> None:
        """Read CREATE SCHEMA with the statements inside it."""
        self.walk.bare.add(StatementClass.DDL)
        for each in items(node, "schemaElts"):
            self.classify(*unwrap(each))


def analyze_text(text: str) -> tuple[Analysis, ...]:
    """Analyze every statement of a text. Raises `Invalid` for one that cannot be read."""
    source, statements = parse_text(text)
    try:
        return tuple(_analyze(each, source) for each in statements)
    except RecursionError as error:
        raise too_deep() from error


def splice_points(statement: RawStatement) -> list[Node]:
    """Return the nodes that hold names a splice may change. Raises `Invalid` when too deep."""
    classifier = _Classifier()
    try:
        classifier.classify(statement.kind, statement.node)
    except RecursionError as error:
        raise too_deep() from error
    return classifier.walk.points


def _analyze(statement: RawStatement, source: bytes) -> Analysis:
    classifier = _Classifier()
    classifier.classify(statement.kind, statement.node)
    walk = classifier.walk
    if any(each not in NO_WRITE and _of_the_system(name) for name, each in walk.uses):
        walk.bare.add(StatementClass.ADMIN)
    uses = walk.uses | {(name, StatementClass.UPDATE) for name in walk.locked}
    piece = source[statement.start : statement.end].decode("utf-8")
    facts = StatementFacts(
        text=piece,
        classes=frozenset(walk.bare).union(each for _, each in uses),
        read=frozenset(name for name, each in walk.uses if each in NO_WRITE),
        written=frozenset(name for name, each in walk.uses if each not in NO_WRITE),
        functions=frozenset(walk.functions),
        command=command_tag(statement.kind, statement.node),
        fingerprint=fingerprint_of(piece),
        unsafe=walk.guard or walk.path,
    )
    return Analysis(
        facts=facts,
        uses=frozenset(uses),
        bare=frozenset(walk.bare),
        plan_only=classifier.plan_only,
        analyzes=classifier.analyzes,
        executes=classifier.executes,
        prepares=classifier.prepares,
        made=frozenset(walk.made),
        variables=frozenset(walk.variables),
        qualified=bool(walk.points),
        copies=classifier.copies,
        path=walk.path,
        schemas=frozenset(classifier.schemas),
    )


def _of_the_system(name: RelationName) -> bool:
    # pg_catalog comes first on every path, written out or not.
    return name.schema in SYSTEM_SCHEMAS or (not name.schema and name.name.startswith("pg_"))


_GIVES_FUNCTIONS_NAMES: Final = frozenset(
    {"CreateCastStmt", "CreateConversionStmt", "CreateOpClassStmt", "CreateRangeStmt", "DefineStmt"}
)

_KINDS: Final[dict[str, Callable[[_Classifier, str, Node], None]]] = {
    "AlterObjectSchemaStmt": _Classifier.rename,
    "AlterOwnerStmt": _Classifier.rename,
    "AlterTableStmt": _Classifier.alter_relation,
    "CallStmt": _Classifier.call,
    "ClosePortalStmt": _Classifier.nothing,
    "CommentStmt": _Classifier.comment,
    "ConstraintsSetStmt": _Classifier.nothing,
    "CopyStmt": _Classifier.copy,
    "CreateFunctionStmt": _Classifier.function,
    "CreateSchemaStmt": _Classifier.create_schema,
    "CreateSeqStmt": _Classifier.create_object,
    "CreateStmt": _Classifier.create_object,
    "CreateTableAsStmt": _Classifier.create_table_as,
    "CreateTrigStmt": _Classifier.trigger,
    "DeallocateStmt": _Classifier.nothing,
    "DeclareCursorStmt": _Classifier.inner,
    "DeleteStmt": _Classifier.query,
    "DiscardStmt": _Classifier.nothing,
    "DoStmt": _Classifier.call,
    "DropStmt": _Classifier.drop,
    "ExecuteStmt": _Classifier.execute,
    "ExplainStmt": _Classifier.explain,
    "FetchStmt": _Classifier.nothing,
    "IndexStmt": _Classifier.alter_relation,
    "InsertStmt": _Classifier.query,
    "ListenStmt": _Classifier.nothing,
    "LockStmt": _Classifier.lock,
    "MergeStmt": _Classifier.query,
    "NotifyStmt": _Classifier.nothing,
    "PrepareStmt": _Classifier.inner,
    "RenameStmt": _Classifier.rename,
    "SecLabelStmt": _Classifier.comment,
    "SelectStmt": _Classifier.query,
    "TransactionStmt": _Classifier.transaction,
    "TruncateStmt": _Classifier.truncate,
    "UnlistenStmt": _Classifier.nothing,
    "UpdateStmt": _Classifier.query,
    "VariableSetStmt": _Classifier.variable,
    "VariableShowStmt": _Classifier.nothing,
}
