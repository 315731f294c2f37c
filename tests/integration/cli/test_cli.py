"""The command line against a real demo: what is printed, exit codes, and JSON."""

import csv
import io
from pathlib import Path

import pytest

from tests.demos import RunningDemo, Terminal

pytestmark = pytest.mark.timeout(240)

ONCALL = ("request", "prod/shop", "--profile", "oncall-read", "--ticket", "INC-42", "-r", "slow")


@pytest.fixture(scope="module")
def ada_grant(terminal: Terminal) -> int:
    """Return a live grant of Ada's to read the shop, masked."""
    return int(terminal.run("--as", "ada", *ONCALL, "--json").json["grant_id"])


def test_a_login_is_kept_for_its_owner_alone(terminal: Terminal) -> None:
    file = terminal.config / "daypass" / "credentials.json"
    assert file.stat().st_mode & 0o777 == 0o600
    ended = terminal.run("whoami", "--all", "--json")
    assert {each["email"] for each in ended.json["items"]} >= {"ada@example.com", "ben@example.com"}
    assert "dpt_" not in ended.out


def test_a_wrong_password_is_not_a_login(terminal: Terminal, tmp_path: Path) -> None:
    other = Terminal(tmp_path, terminal.server)
    ended = other.run("login", "-e", "fay@example.com", "--password-stdin", typed="wrong\n")
    assert ended.exit_code == 8
    assert "wrong" in ended.err
    assert not (tmp_path / "daypass").exists()


def test_logging_out_ends_the_access_token(running_demo: RunningDemo, tmp_path: Path) -> None:
    other = Terminal(tmp_path)
    login = ("login", running_demo.url, "-e", "fay@example.com", "--password-stdin")
    first = other.run(*login, typed=running_demo.password)
    assert first.exit_code == 0
    assert "earlier login" not in first.err
    earlier = _token_of(tmp_path)
    again = other.run(*login, typed=running_demo.password)
    assert "the earlier login as fay@example.com from here has ended" in " ".join(again.err.split())
    old = other.run("whoami", DAYPASS_SERVER=running_demo.url, DAYPASS_TOKEN=earlier)
    assert old.exit_code == 8
    token = _token_of(tmp_path)
    assert other.run("whoami", DAYPASS_SERVER=running_demo.url, DAYPASS_TOKEN=token).exit_code == 0
    assert other.run("logout").exit_code == 0
    ended = other.run("whoami", DAYPASS_SERVER=running_demo.url, DAYPASS_TOKEN=token)
    assert ended.exit_code == 8
    assert other.run("whoami").exit_code == 8


def _token_of(config: Path) -> str:
    import json

    document = json.loads((config / "daypass" / "credentials.json").read_text())
    return str(document["logins"][0]["token"])


def test_nobody_there_is_7(tmp_path: Path) -> None:
    ended = Terminal(tmp_path, "http://127.0.0.1:1").run("whoami", DAYPASS_TOKEN="dpt_1_x")
    assert ended.exit_code == 7
    assert "cannot be reached" in ended.err


def test_a_denial_ends_with_the_command_that_is_allowed(terminal: Terminal) -> None:
    ended = terminal.run("--as", "ada", *ONCALL[:-4], "-r", "slow", "--for", "9h")
    assert ended.exit_code == 3
    last = ended.err.splitlines()[-1]
    assert last.startswith("→ daypass --as ada request prod/shop --profile oncall-read")
    assert last.endswith("--for 2h --ticket INC-42")
    words = ("--as", "ada", *ONCALL[:-4], "-r", "slow", "--for", "2h", "--ticket", "INC-42")
    assert terminal.run(*words, "--dry-run").exit_code == 0


def test_a_misspelt_relation_is_2_and_says_which_was_meant(terminal: Terminal) -> None:
    ended = terminal.run("--as", "ada", "request", "prod/shop", "-t", "sales.custmers", "-r", "x")
    assert ended.exit_code == 2
    assert "--relation sales.customers" in ended.err.splitlines()[-1]


def test_what_would_open_nothing_is_3_and_never_hinted_at(terminal: Terminal) -> None:
    useless = ("--as", "ada", *ONCALL[:2], "-t", "sales.open_orders", *ONCALL[-4:])
    for more in ((), ("--dry-run",)):
        ended = terminal.run(*useless, *more)
        assert ended.exit_code == 3
        text = ended.out + ended.err
        assert "sales.open_orders is left out: " in text
        assert "ask for the relations it is made of" in text


def test_what_is_blocked_is_4_and_says_by_what(terminal: Terminal) -> None:
    ask = ("--as", "ben", "request", "prod/metrics", "--direct", "-r", "a test")
    dry = terminal.run(*ask, "--dry-run")
    filed = terminal.run(*ask)
    as_json = terminal.run(*ask, "--json")
    assert [dry.exit_code, filed.exit_code, as_json.exit_code] == [4, 4, 4]
    assert "public_grant:public.page_views" in [each["key"] for each in as_json.json["blocked"]]
    for text in (dry.out, filed.out):
        assert "Blocked now: public.page_views is granted to PUBLIC" in text
        assert "daypass exposure accept prod/metrics public_grant:public.page_views" in text
    assert "nothing of prod/metrics opens while it is blocked" in filed.out
    assert "opens prod/metrics" not in filed.out
    assert "daypass credential" not in filed.out


def test_with_json_an_error_is_the_problem(terminal: Terminal) -> None:
    ended = terminal.run("--as", "ada", "request", "prod/shopp", "-r", "x", "--json")
    assert ended.exit_code == 3
    assert ended.problem["status"] == 403
    assert ended.out == ""


def test_what_needs_approval_is_4_until_two_others_said_yes(terminal: Terminal) -> None:
    filed = terminal.run(
        *("--as", "ben", "request", "prod/shop", "-t", "sales.customers"),
        *("--unmask", "sales.customers.email", "-r", "mails bounce", "--json"),
    )
    assert filed.exit_code == 4
    number = str(filed.json["request_id"])
    assert terminal.run("--as", "ben", "approve", number).exit_code == 3
    assert terminal.run("--as", "ben", "show", number, "--wait", "1s").exit_code == 4
    waiting = terminal.run("--as", "dana", "requests", "--to-decide", "--json").json["items"]
    assert int(number) in [each["id"] for each in waiting]
    assert terminal.run("--as", "dana", "approve", number).exit_code == 0
    twice = terminal.run("--as", "dana", "approve", number)
    assert twice.exit_code == 3
    assert f"request {number} waits for no further vote of yours" in twice.err
    assert "not approved by you" not in twice.err
    assert terminal.run("--as", "samira", "approve", number).exit_code == 0
    opened = terminal.run("--as", "ben", "show", number, "--wait", "5s")
    assert opened.exit_code == 0
    shown = terminal.run(
        *("--as", "ben", "query", "prod/shop"),
        *("select email, phone from sales.customers where phone is not null limit 1", "--json"),
    ).json
    assert shown["masked"] == ["phone"]
    assert "***" in shown["rows"][0][1]
    assert "***" not in shown["rows"][0][0]


def test_a_request_is_denied_with_a_reason_or_withdrawn(terminal: Terminal) -> None:
    ask = ("--as", "ben", "request", "prod/shop", "-t", "sales.orders", "-r", "x", "--json")
    first = str(terminal.run(*ask).json["request_id"])
    assert terminal.run("--as", "dmitri", "deny", first).exit_code == 2
    assert terminal.run("--as", "dmitri", "deny", first, "-r", "use staging").exit_code == 0
    told = terminal.run("--as", "ben", "show", first, "--wait", "1s")
    assert told.exit_code == 3
    assert "use staging" in told.err
    second = str(terminal.run(*ask).json["request_id"])
    assert terminal.run("--as", "ben", "withdraw", second).exit_code == 0
    assert terminal.run("--as", "ben", "withdraw", second).exit_code == 6


def test_masked_columns_are_marked_and_the_rule_named(terminal: Terminal, ada_grant: int) -> None:
    ended = terminal.run(
        *("--as", "ada", "query", "prod/shop", "-g", str(ada_grant)),
        "select id, email from sales.customers order by id limit 2",
    )
    assert ended.exit_code == 0
    assert "▒ email" in ended.out.splitlines()[0]
    assert "by rule 'e-mail addresses'" in ended.err
    assert f"under grant {ada_grant}" in ended.out
    # What ended says how; its text is that of the entry it began with.
    newest = ("audit", "list", "--kind", "statement.ended", "--grant", str(ada_grant))
    (entry,) = terminal.run("--as", "ada", *newest, "--limit", "1", "--json").json["items"]
    told = terminal.run("--as", "ada", "audit", "show", str(entry["id"]))
    assert "select id, email from sales.customers order by id limit 2" in told.out


def test_csv_is_read_back(terminal: Terminal, ada_grant: int) -> None:
    ended = terminal.run(
        *("--as", "ada", "query", "prod/shop", "-g", str(ada_grant), "--csv"),
        typed="select id, 'a,\"b\"' as x, null as y from sales.orders order by id limit 2",
    )
    rows = list(csv.reader(io.StringIO(ended.out)))
    assert rows[0] == ["id", "x", "y"]
    assert rows[1][1:] == ['a,"b"', ""]
    assert len(rows) == 3


def test_an_error_of_the_database_points_at_its_place(terminal: Terminal, ada_grant: int) -> None:
    assert ada_grant
    ended = terminal.run(
        "--as", "ada", "query", "prod/shop", "select id,\n  nme\nfrom sales.orders"
    )
    assert ended.exit_code == 1
    lines = ended.err.splitlines()
    assert "42703" in lines[0]
    assert lines[1].endswith("line 2:   nme")
    assert lines[2].index("^") == lines[1].index("nme")


def test_what_a_grant_lacks_is_3_and_says_how_to_ask(terminal: Terminal, ada_grant: int) -> None:
    assert ada_grant
    ended = terminal.run("--as", "ada", "query", "prod/shop", "delete from sales.orders")
    assert ended.exit_code == 3
    assert "daypass --as ada request prod/shop --class delete --relation sales.orders" in ended.err


def test_extend_shorten_release_and_the_receipt(terminal: Terminal) -> None:
    number = str(terminal.run("--as", "ada", *ONCALL, "--json").json["grant_id"])
    more = ("--as", "ada", "extend", number, "--for", "30m", "--ticket", "INC-42", "-r", "more")
    assert terminal.run(*more).exit_code == 0
    assert terminal.run("--as", "ada", "shorten", number, "--to", "10m").exit_code == 0
    assert terminal.run("--as", "ada", "shorten", number, "--to", "3h").exit_code == 2
    assert terminal.run("--as", "ada", "receipt", number).exit_code == 5
    assert terminal.run("--as", "ada", "release", number).exit_code == 0
    proof = terminal.run("--as", "ada", "receipt", number, "--wait", "--json")
    assert proof.exit_code == 0
    assert proof.json["lag_s"] < 5
    assert terminal.run("--as", "ada", "release", number).exit_code == 6


def test_revoking_takes_a_reason_and_the_right(terminal: Terminal) -> None:
    number = str(terminal.run("--as", "ada", *ONCALL, "--json").json["grant_id"])
    assert terminal.run("--as", "robin", "revoke", number).exit_code == 2
    assert terminal.run("--as", "samira", "revoke", number, "-r", "x").exit_code == 5
    assert terminal.run("--as", "robin", "revoke", number, "-r", "no longer needed").exit_code == 0
    shown = terminal.run("--as", "ada", "grant", number)
    assert "no longer needed" in shown.out


def test_doctor_ends_by_the_gravest(terminal: Terminal) -> None:
    ended = terminal.run("--as", "robin", "doctor", "prod/metrics", "--json")
    assert (ended.exit_code, ended.json["worst"]) == (12, "high")
    text = terminal.run("--as", "robin", "doctor", "prod/metrics")
    assert text.exit_code == 12
    assert "public_grant:public.page_views" in text.out
    assert "revoke" in text.out


def test_scan_counts_and_drafts(terminal: Terminal, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    ended = terminal.run("--as", "robin", "scan", "prod", "--draft-policy", str(draft))
    assert ended.out.splitlines()[0] == "zero standing privileges: 3 of 3 logins to go"
    assert terminal.run("--as", "samira", "policy", "check", str(draft)).exit_code == 0
    again = terminal.run("--as", "robin", "scan", "prod", "--draft-policy", str(draft))
    assert again.exit_code == 2
    assert terminal.run("--as", "ben", "scan", "prod").exit_code == 3


def test_a_policy_with_errors_changes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    shown = terminal.run("--as", "samira", "policy", "show", "--json").json
    for name, text in shown["files"].items():
        (tmp_path / name).write_text(text.replace("requester.groups", "requester.grups", 1))
    checked = terminal.run("--as", "samira", "policy", "check", str(tmp_path))
    assert checked.exit_code == 1
    assert "error: " in checked.out
    ended = terminal.run("--as", "samira", "policy", "apply", str(tmp_path))
    assert ended.exit_code == 1
    assert "policy.yaml:" in ended.err
    after = terminal.run("--as", "samira", "policy", "show", "--json").json
    assert after["version"] == shown["version"]
    assert terminal.run("--as", "ben", "policy", "show").exit_code == 3


def test_people_groups_and_tokens(terminal: Terminal) -> None:
    new = "nora@example.com"
    added = terminal.run("--as", "robin", "people", "add", new, "-n", "Nora", "-g", "developers")
    assert added.exit_code == 0
    assert terminal.run("--as", "robin", "people", "add", new).exit_code == 6
    link = terminal.run("--as", "robin", "people", "link", new, "--json").json
    assert "/choose-password?token=" in link["url"]
    assert terminal.run("--as", "robin", "groups", "put", "dba", new).exit_code == 0
    assert terminal.run("--as", "robin", "groups", "take", "dba", new).exit_code == 0
    shown = terminal.run("--as", "robin", "people", "show", new, "--json").json
    assert shown["groups"] == ["developers"]
    left = terminal.run("--as", "robin", "people", "leave", new, "-r", "moved on")
    assert left.exit_code == 0


def test_an_access_token_that_outlives_the_login_takes_the_password(
    terminal: Terminal, running_demo: RunningDemo
) -> None:
    issue = ("--as", "ada", "tokens", "issue", "laptop", "--may", "read")
    assert terminal.run(*issue).exit_code == 2
    ended = terminal.run(*issue, "--password-stdin", "--json", typed=running_demo.password)
    issued = ended.json
    asked = terminal.run(
        *("request", "prod/shop", "-r", "x"),
        DAYPASS_TOKEN=issued["token"],
    )
    assert asked.exit_code == 3
    assert "may not be used to request" in asked.err
    assert terminal.run("--as", "ada", "tokens", "revoke", str(issued["id"])).exit_code == 0


def test_lists_are_printed_for_people(terminal: Terminal) -> None:
    for words in (
        ("databases",),
        ("database", "relations", "prod/shop"),
        ("database", "relations", "prod/shop", "sales.customers"),
        ("instance", "list"),
        ("instance", "show", "prod"),
        ("tag", "list", "prod/metrics"),
        ("tag", "suggest", "prod/shop", "--list", "proposed"),
        ("exposure", "list", "prod/shop"),
        ("requests",),
        ("grants", "--all"),
        ("people", "list"),
        ("groups", "list"),
        ("tokens", "list"),
        ("delegate", "list"),
        ("audit", "list"),
        ("policy", "history"),
    ):
        ended = terminal.run("--as", "robin", *words)
        assert (ended.exit_code, ended.err) == (0, ""), words
        assert ended.out.strip(), words


def test_tags_are_suggested_anew_and_applied_by_a_yes_alone(terminal: Terminal) -> None:
    dana = ("--as", "dana")
    forget = terminal.run(*dana, "tag", "set", "prod/shop", "sales.customers.phone", "--forget")
    assert forget.exit_code == 0
    looked = terminal.run(*dana, "tag", "suggest", "prod/shop", "--relation", "sales.customers")
    assert looked.exit_code == 0
    assert looked.out.startswith("Looked at 1 relation, at values of 1: 1 new suggestion.")
    assert "pii.phone" in looked.out
    words = ("tag", "suggest", "prod/shop", "--list", "proposed", "--json")
    (proposed,) = terminal.run(*dana, *words).json["items"]
    assert proposed["column"] == "sales.customers.phone"
    shown = terminal.run(*dana, "tag", "list", "prod/shop", "--json").json
    assert "sales.customers.phone" in shown["unclassified"]
    accepted = terminal.run(*dana, "tag", "accept", "prod/shop", str(proposed["id"]))
    assert accepted.out.strip() == "sales.customers.phone is now pii.phone."
    shown = terminal.run(*dana, "tag", "list", "prod/shop", "--json").json
    assert "sales.customers.phone" not in shown["unclassified"]
    both = terminal.run(*dana, "tag", "suggest", "prod/shop", "--relation", "x.y", "--list", "x")
    assert both.exit_code == 2
