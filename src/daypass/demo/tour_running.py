"""The tour's last chapters: policy changed safely, the audit log, and nothing left behind."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from daypass.demo.tour_asking import SESSION_LOGINS
from daypass.demo.tour_stage import Stage

_RULE = "  - name: on-call reads production by itself"


def policy(stage: Stage) -> None:
    """Check, compare, test, apply and roll back a change of policy."""
    folder = _policy_folder(stage.folder / "policy")
    file = folder / "policy.yaml"
    original = file.read_text(encoding="utf-8")
    with stage.step("A typo in policy is found where it stands, and nothing is applied"):
        file.write_text(original.replace("requester.groups", "requester.grups", 1), "utf-8")
        ran = stage.run("samira", "policy", "apply", str(folder), expect=1)
        stage.proves("file, line and column are named", "policy.yaml:" in ran.said)
        version = stage.peek("samira", "/policy")["version"]
        stage.proves("version 1 is still in force", version == 1)
    with stage.step("A change: on-call for one hour at most"):
        before, rule, after = original.partition(_RULE)
        file.write_text(
            before + rule + after.replace("max_duration: 2h", "max_duration: 1h", 1), "utf-8"
        )
        stage.run("samira", "policy", "check", str(folder))
        ran = stage.run("samira", "policy", "diff", str(folder))
        stage.proves("the difference is what was changed", "2h → 1h" in ran.said)
        ran = stage.run("samira", "policy", "test", str(folder))
        stage.proves("every case of the company's still holds", "hold" in ran.said)
        stage.run("samira", "policy", "apply", str(folder), "--note", "on-call: one hour")
        ask = ("prod/shop", "--profile", "oncall-read", "--ticket", "INC-43", "-r", "again")
        ran = stage.run("ada", "request", *ask, "--for", "2h", expect=3)
        stage.proves("it counts at once", "at most 1h" in ran.said)
    with stage.step("And back again"):
        stage.run("samira", "policy", "rollback", "1", "--note", "two hours after all")
        stage.run("samira", "policy", "history")
        ran = stage.run("ada", "request", *ask, "--for", "2h", "--dry-run", expect=0, show=False)
        stage.proves("two hours are allowed again", ran.exit_code == 0)


def the_end(stage: Stage) -> None:
    """Read the log, end what is open, and look for anything left."""
    with stage.step("Nothing was unrecorded: the auditor reads one grant's story"):
        number = stage.peek("anton", "/grants", database="prod/metrics", limit=1)["items"][0]["id"]
        stage.run("anton", "audit", "list", "--grant", str(number))
        entries = stage.peek("anton", "/entries", grant_id=number, limit=200)["items"]
        kinds = {each["kind"] for each in entries}
        stage.proves(
            "made, used, shortened, ended, and its receipt",
            kinds
            >= {
                "grant.made",
                "credential.issued",
                "grant.shortened",
                "grant.ended",
                "receipt.issued",
            },
        )
        stage.run("anton", "audit", "list", "--kind", "access.denied", "-n", "5")
    with stage.step("Whatever is still open is ended"):
        live = stage.peek("robin", "/grants", state=["scheduled", "active"])["items"]
        for grant in live:
            stage.run("robin", "revoke", str(grant["id"]), "-r", "the tour is over")
        for grant in live:
            stage.run("robin", "receipt", str(grant["id"]), "--wait", show=False)
        stage.run("robin", "grants")
        stage.proves(
            "no login of a session is left on the server",
            stage.probe("postgres", SESSION_LOGINS) == [],
        )
        roles = stage.probe("postgres", r"select rolname from pg_roles where rolname ~ '^dp_g_'")
        stage.proves("nor any role of one", roles == [])


def _policy_folder(folder: Path) -> Path:
    """Copy the sample company's policy, its cases too, to work on."""
    folder.mkdir()
    for item in (resources.files("daypass.demo") / "policy").iterdir():
        (folder / item.name).write_text(item.read_text(encoding="utf-8"), "utf-8")
    return folder
