"""Say which columns hold what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daypass.cli.client import Json, database_path
from daypass.cli.commands import group_of
from daypass.cli.connection import connect
from daypass.cli.failure import usage
from daypass.cli.files import read_text
from daypass.cli.options import AsJson, DatabaseName
from daypass.cli.output import plural, say, say_next, show_json, show_table

app = group_of("Tag relations and columns: what they hold decides how they are masked.")

Preview = Annotated[
    bool, typer.Option("--preview", help="Only say what would change; nothing is applied.")
]
Numbers = Annotated[
    list[int] | None, typer.Argument(metavar="NUMBER…", help="As `daypass tag suggest` lists them.")
]


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML: database → relation → tags.")],
    preview: Preview = False,
    as_json: AsJson = False,
) -> None:
    """Apply a file of tags, whole or not at all."""
    answer = connect().post(
        "/tag-files",
        {"name": file.name, "text": read_text(file), "preview": preview},
        so="nothing was tagged",
    )
    if as_json:
        show_json(answer)
        return
    for each in answer["items"]:
        _show_outcome(each)


@app.command("list")
def list_tags(database: DatabaseName, as_json: AsJson = False) -> None:
    """List what is tagged, and what nobody has looked at."""
    answer = connect().get(database_path(database, "/catalog"))
    tagged = [
        (f"{relation['name']}.{column['name']}", column)
        for relation in answer["relations"]
        for column in relation["columns"]
        if column["tags"] or column["inherited_tags"]
    ]
    unseen = [
        f"{relation['name']}.{column['name']}"
        for relation in answer["relations"]
        for column in relation["columns"]
        if not column["classified"]
    ]
    if as_json:
        columns = [
            {"name": n, "tags": c["tags"], "inherited_tags": c["inherited_tags"]} for n, c in tagged
        ]
        relations = {each["name"]: each["tags"] for each in answer["relations"] if each["tags"]}
        show_json({"relations": relations, "columns": columns, "unclassified": unseen})
        return
    show_table(
        ("What", "Tags", "Inherited"),
        [
            *((each["name"], each["tags"], "") for each in answer["relations"] if each["tags"]),
            *((name, column["tags"], column["inherited_tags"]) for name, column in tagged),
        ],
        empty=f"Nothing is tagged on {database}.",
    )
    if unseen:
        say(f"{plural(len(unseen), 'column')} nobody has classified: policy's default masks them.")
        say_next(f"daypass tag suggest {database}")


@app.command("set")
def set_tags(
    database: DatabaseName,
    what: Annotated[
        str, typer.Argument(metavar="SCHEMA.RELATION[.COLUMN]", help="What gets the tags.")
    ],
    tags: Annotated[
        list[str] | None,
        typer.Argument(metavar="TAG…", help="All its tags; none says it is harmless."),
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Make it something nobody has looked at.")
    ] = False,
    preview: Preview = False,
    as_json: AsJson = False,
) -> None:
    """Set the tags of a relation or a column; it counts as classified from then on."""
    parts = what.split(".", 2)
    if len(parts) < 2:
        raise usage(
            f"{what!r} is no relation", next_step="write sales.customers, or sales.customers.email"
        )
    change: Json = {"relation": ".".join(parts[:2]), "tags": tags or [], "forget": forget}
    if len(parts) > 2:
        change["column"] = parts[2]
    answer = connect().post(
        database_path(database, "/tags"),
        {"changes": [change], "preview": preview},
        so="nothing was tagged",
    )
    if as_json:
        show_json(answer)
        return
    _show_outcome(answer)


@app.command()
def suggest(
    database: DatabaseName,
    relation: Annotated[
        list[str] | None,
        typer.Option("--relation", metavar="SCHEMA.RELATION", help="Look only here; repeatable."),
    ] = None,
    known: Annotated[
        str,
        typer.Option(
            "--list",
            metavar="STATE",
            help="Look at nothing, list what is proposed, accepted or dismissed.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Suggest tags from names, types and sampled values; nothing is applied without your yes."""
    path = database_path(database, "/suggestions")
    if known and relation:
        raise usage("--list looks nowhere, so --relation says nothing", next_step="give one")
    if known:
        answer = connect().get(path, state=known)
    else:
        answer = connect().post(
            path, {"relations": relation} if relation else {}, so="nothing was looked at"
        )
    if as_json:
        show_json(answer)
        return
    if not known:
        say(
            f"Looked at {plural(answer['looked_at'], 'relation')}, at values of "
            f"{answer['sampled']}: {plural(answer['new'], 'new suggestion')}."
        )
        if answer["problem"]:
            say(f"Not all could be sampled: {answer['problem']}")
    found = answer["items"]
    state = known or "proposed"
    show_table(
        ("No.", "Column", "Tag", "Sure", "Why"),
        [
            (each["id"], each["column"], each["tag"], f"{each['confidence']:.0%}", each["why"])
            for each in found
        ],
        empty=f"There are no {state} tags for {database}.",
        right=("No.", "Sure"),
        keep=("Tag",),
    )
    if found and state == "proposed":
        say_next(
            f"daypass tag accept {database} {found[0]['id']}",
            f"daypass tag dismiss {database} {found[-1]['id']}",
        )


@app.command()
def accept(
    database: DatabaseName,
    numbers: Numbers = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are proposed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Accept suggested tags."""
    _decide(database, numbers, accept=True, everything=everything, as_json=as_json)


@app.command()
def dismiss(
    database: DatabaseName,
    numbers: Numbers = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are proposed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Dismiss suggested tags: they are not suggested again."""
    _decide(database, numbers, accept=False, everything=everything, as_json=as_json)


def _decide(
    database: str, numbers: list[int] | None, *, accept: bool, everything: bool, as_json: bool
) -> None:
    client = connect()
    path = database_path(database, "/suggestions")
    ids = list(numbers or ())
    if everything:
        ids = [each["id"] for each in client.get(path)["items"]]
    if not ids:
        raise usage("which ones?", next_step=f"daypass tag suggest {database} lists them")
    answer = client.post(f"{path}/decide", {"ids": ids, "accept": accept})
    if as_json:
        show_json(answer)
        return
    for each in answer["items"]:
        done = f"is now {each['tag']}" if accept else f"stays as it is, not {each['tag']}"
        say(f"{each['column']} {done}.")


def _show_outcome(outcome: Json) -> None:
    for each in outcome["differences"]:
        parts = [f"+{tag}" for tag in each["added"]] + [f"-{tag}" for tag in each["removed"]]
        if each["classified"] is not None:
            parts.append("classified" if each["classified"] else "not classified any more")
        say(f"  {each['name']}: {', '.join(parts)}")
    count = plural(len(outcome["differences"]), "change")
    if outcome["applied"]:
        say(f"{outcome['database']}: {count}; live grants follow within seconds.")
    else:
        say(f"{outcome['database']}: {count}, not applied.")
