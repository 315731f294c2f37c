"""Every protection that is taken away, and the test that must notice.

`before` stands exactly once in `file`; without the protection it reads `after`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PG: Final = "src/daypass/engines/postgres/"
OPS: Final = "src/daypass/operations/"
SQL: Final = "src/daypass/store/migrations/versions/"
ENGINE: Final = "tests/integration/engines/postgres/"
STORY: Final = "tests/integration/story/"
IDENTITY: Final = "tests/integration/identity/"
API: Final = "tests/integration/api/"


@dataclass(frozen=True)
class Mutant:
    """One protection taken away."""

    name: str
    file: str
    before: str
    after: str
    test: str


MUTANTS: Final = (
    Mutant(
        "no barrier before a row filter",
        PG + "views.py",
        'sql.SQL(" with (security_barrier)") if relation.filters else sql.SQL("")',
        'sql.SQL("")',
        ENGINE + "test_apply.py::test_filters_are_behind_a_barrier",
    ),
    Mutant(
        "no deadline clause in views",
        PG + "views.py",
        "conditions: list[sql.Composable] = [live(scope_oid)]",
        'conditions: list[sql.Composable] = [sql.SQL("true")]',
        ENGINE + "test_session.py::test_past_the_deadline_every_statement_raises",
    ),
    Mutant(
        "no check option",
        PG + "views.py",
        'sql.SQL(" with cascaded check option")',
        'sql.SQL("")',
        ENGINE + "test_apply.py::test_a_writable_view_keeps_its_deadline_on_insert",
    ),
    Mutant(
        "a deadline that is not looked at",
        PG + "objects.py",
        "select r.rolvaliduntil operator(pg_catalog.>) pg_catalog.clock_timestamp()\n      and ",
        "select ",
        ENGINE + "test_session.py::test_past_the_deadline_every_statement_raises",
    ),
    Mutant(
        "a membership that is not looked at",
        PG + "objects.py",
        "\n      and pg_catalog.pg_has_role(r.oid, live.scope, 'member')",
        "",
        ENGINE + "test_session.py::test_a_revocation_is_seen_inside_a_snapshot",
    ),
    Mutant(
        "views for anybody who is granted them",
        PG + "objects.py",
        "\n      and pg_catalog.starts_with(r.rolname::pg_catalog.text, 'dp_g_')",
        "",
        ENGINE + "test_session.py::test_the_views_raise_for_everybody_else",
    ),
    Mutant(
        "the clock of the transaction",
        PG + "objects.py",
        "pg_catalog.clock_timestamp()",
        "pg_catalog.now()",
        STORY + "test_deadline.py",
    ),
    Mutant(
        "a login that stays after dialling",
        PG + "accounts.py",
        'sql.SQL("{}; alter role {} nologin password null").format(',
        'sql.SQL("{}; alter role {} connection limit 1").format(',
        ENGINE + "test_session.py::test_a_session_has_no_login_once_it_is_open",
    ),
    Mutant(
        "intruders overlooked",
        PG + "dial.py",
        "if set(await self._admin.work(database, shut)) - {session.backend_id}:",
        "if not await self._admin.work(database, shut):",
        ENGINE + "test_session.py::test_an_intruder_is_ended_and_told_of",
    ),
    Mutant(
        "a password in clear for the server's log",
        PG + "accounts.py",
        "sql.Literal(scram_verifier(password))",
        "sql.Literal(password.reveal())",
        ENGINE + "test_session.py::test_the_password_is_a_verifier_while_it_lasts",
    ),
    Mutant(
        "backends that are not ended",
        PG + "revoke.py",
        "        await terminate(connection, [report.account])\n",
        "",
        ENGINE + "test_revoke.py::test_an_idle_session_is_ended_and_its_account_gone",
    ),
    Mutant(
        "prepared transactions left behind",
        PG + "revoke.py",
        "            report.rolled_back += await self._elsewhere(\n"
        "                database, partial(roll_back, gid=gid, owner=owner)\n"
        "            )\n",
        "            report.rolled_back += 0\n",
        ENGINE + "test_revoke.py::test_a_prepared_change_of_its_own_role_is_rolled_back",
    ),
    Mutant(
        "what a session owns left behind",
        PG + "revoke.py",
        "        if not seen.shut:\n            return\n        heir",
        "        return\n        heir",
        ENGINE + "test_revoke.py::test_what_it_owns_in_any_database_is_dropped",
    ),
    Mutant(
        "PUBLIC grants taken lightly",
        PG + "compile.py",
        "blocked=",
        "blocked=() and ",
        ENGINE + "test_apply.py::test_public_grants_block_even_without_usage",
    ),
    Mutant(
        "native row security of the owner, hence none",
        PG + "views.py",
        '        sql.SQL("set local role {}").format(sql.Identifier(names.VIEWS_OWNER)),',
        '        sql.SQL("set local role {}").format(sql.SQL("current_user")),',
        ENGINE + "test_apply.py::test_native_row_security_is_kept",
    ),
    Mutant(
        "one approver counted twice by the store",
        SQL + "0002_requests_and_grants.sql",
        "  constraint approval_by_distinct_people unique (request_id, round, approver_id),\n",
        "",
        STORY + "test_races.py::test_the_store_itself_refuses_what_no_operation_does",
    ),
    Mutant(
        "one approver counted twice by policy",
        "src/daypass/policy/approvals.py",
        "        if used.isdisjoint(people):\n",
        "        if True:\n",
        "tests/unit/policy -k test_one_person_in_two_groups_counts_once"
        " or test_one_person_counts_once_across_steps",
    ),
    Mutant(
        "requesters who approve themselves",
        SQL + "0002_requests_and_grants.sql",
        "        new.approver_id in (p.id, p.owner_id)\n"
        "        or new.on_behalf_of in (p.id, p.owner_id)\n",
        "        false\n",
        STORY + "test_races.py::test_the_store_itself_refuses_what_no_operation_does",
    ),
    Mutant(
        "illegal transitions",
        SQL + "0002_requests_and_grants.sql",
        "  constraint request_transition_legal foreign key (previous_state, state)\n"
        "    references request_transition (from_state, to_state),\n",
        "",
        STORY + "test_races.py::test_the_store_itself_refuses_what_no_operation_does",
    ),
    Mutant(
        "an audit log that can be edited",
        SQL + "0002_requests_and_grants.sql",
        "create trigger entry_kept before update or delete on entry for each row execute function"
        " deny_change();\n",
        "",
        STORY + "test_races.py::test_the_store_itself_refuses_what_no_operation_does",
    ),
    Mutant(
        "approvals that do not lock the request",
        "src/daypass/store/requests.py",
        '    await tx.execute("select from request where id = %s for update", (request_id,))\n',
        "",
        STORY + "test_races.py::test_two_approvals_at_once_make_one_grant",
    ),
    Mutant(
        "approvals after the expiry",
        OPS + "decide_request.py",
        "        if await expire_request(tx, request_id):\n",
        "        if False and await expire_request(tx, request_id):\n",
        STORY + "test_races.py::test_an_approval_that_waited_past_the_expiry_comes_too_late",
    ),
    Mutant(
        "decisions that do not hold the policy",
        "src/daypass/store/policies.py",
        '_HEAD + "for share of h"',
        "_HEAD",
        STORY + "test_races.py::test_a_policy_change_misses_no_request_that_is_being_filed",
    ),
    Mutant(
        "approvers who have left",
        "src/daypass/policy/approvals.py",
        "    return (\n        person.active\n        and person.kind",
        "    return (\n        True\n        and person.kind",
        "tests/unit/policy/test_approvals.py",
    ),
    Mutant(
        "rules that cannot be evaluated passed over",
        "src/daypass/policy/judge.py",
        '            return _rule_error(rule, "its condition", situation.why_not(rule.when))\n',
        "            continue\n",
        "tests/unit/policy -k cannot_be_evaluated",
    ),
    Mutant(
        "unmask globs that grow",
        OPS + "consider.py",
        "return pin_unmask(asked, resolution) if asked.unmask else asked",
        "return asked",
        STORY + "test_requests.py -k pinned",
    ),
    Mutant(
        "a reconciler that forgets orphans",
        OPS + "reconcile_instance.py",
        "    if orphans:\n        await target.close(orphans)\n",
        "",
        STORY + "test_reconcile.py",
    ),
    Mutant(
        "statements that run unrecorded",
        OPS + "open_session.py",
        "                    number = await entries.append(tx, first, at=moment)\n",
        "                    number = EntryId(0)\n",
        STORY + "test_sessions.py",
    ),
    Mutant(
        "logins: changes by cookie without the CSRF value",
        OPS + "authenticate.py",
        "        if presented.changes:\n",
        "        if False:\n",
        IDENTITY + "test_logins.py -k csrf",
    ),
    Mutant(
        "logins: passwords tried as fast as one can",
        OPS + "login_throttle.py",
        "    if wait_s > 0:\n",
        "    if False:\n",
        IDENTITY + "test_logins.py -k many_tries",
    ),
    Mutant(
        "logins: unknown people answered sooner",
        OPS + "log_in.py",
        "    matches = await verify_password(verifier or NOBODYS_VERIFIER, password)\n",
        "    matches = verifier is not None and await verify_password(verifier, password)\n",
        IDENTITY + "test_logins.py -k costs_a_verification",
    ),
    Mutant(
        "logins: a planted cookie that goes on",
        OPS + "log_in.py",
        "            await logins.end_login(tx, old.id)\n",
        "            pass\n",
        IDENTITY + "test_logins.py -k it_replaces",
    ),
    Mutant(
        "tokens: an id without its secret",
        OPS + "authenticate.py",
        "hmac.compare_digest(verifier.digest, digest_of(token))",
        "verifier.digest",
        IDENTITY + "test_tokens.py -k do_not_mix",
    ),
    Mutant(
        "tokens: capabilities the issuer lacks",
        OPS + "issue_token.py",
        "    if beyond:\n",
        "    if False:\n",
        IDENTITY + "test_tokens.py -k no_more_than_it_has",
    ),
    Mutant(
        "tokens: heirs of a token revoked meanwhile",
        "src/daypass/store/tokens.py",
        "          select t.id from access_token t join family f on t.issued_with = f.id\n",
        "          select t.id from access_token t join family f on false\n",
        IDENTITY + "test_tokens.py -k descendants",
    ),
    Mutant(
        "tokens: anybody's may be revoked",
        OPS + "revoke_token.py",
        "        if actor.id not in (token.principal_id, token.owner_id) and not actor.has_role(\n",
        "        if False and not actor.has_role(\n",
        IDENTITY + "test_tokens.py -k learns_of_anothers",
    ),
    Mutant(
        "people: an admin without the role",
        OPS + "change_principal.py",
        "        require_role(actor, DaypassRole.ADMIN)\n",
        "        pass\n",
        IDENTITY + "test_principals.py -k raise_nothing",
    ),
    Mutant(
        "people: two admins who take each other away",
        "src/daypass/store/principals.py",
        "where id = any(%s) or (%s and active and roles @> '{admin}')",
        "where id = any(%s) and %s is not null",
        IDENTITY + "test_principals.py -k each_other_away",
    ),
    Mutant(
        "the first admin's link used twice",
        OPS + "make_first_admin.py",
        "        or await principals.admin_exists(tx)\n",
        "",
        IDENTITY + "test_first_admin.py -k useless_once",
    ),
    Mutant(
        "the API: answers kept with their secrets",
        "src/daypass/api/answer.py",
        '        _blank(body, secret.split("."))\n',
        "        pass\n",
        API + "test_idempotency.py -k one_after",
    ),
    Mutant(
        "the API: capabilities nobody asks for",
        "src/daypass/api/call.py",
        "                require_capability(actor, declared.facts.capability)\n",
        "                pass\n",
        API + "test_rights.py -k weak_token",
    ),
    Mutant(
        "the API: bodies without end",
        "src/daypass/api/edge.py",
        "            if self._body_bytes > MAX_BODY_BYTES:\n",
        "            if False:\n",
        API + "test_edge.py -k limited",
    ),
)
