"""Every route says who may call it, what it records and what it must hide; none can forget."""

import typing
from pathlib import Path

import pytest
from pydantic import BaseModel
from starlette.routing import Route

from daypass.api.app import Api, create_app, declared_routes
from daypass.api.facts import Declared
from daypass.api.route_table import route_table
from daypass.domain.principal import DaypassRole
from daypass.domain.secret import Secret
from daypass.operations.context import Context
from daypass.operations.secrets import SecretStore
from daypass.operations.targets import Targets
from daypass.store.database import Store

ROUTES = declared_routes()

# Calls by a method that may change something, which change nothing.
CHANGE_NOTHING = {"decide_what_if", "check_policy", "diff_policy", "try_policy"}

# Every access token may do these, whatever it may be used for.
NO_CAPABILITY = {"show_session", "end_session", "revoke_one_token", "kill_one_session"}


@pytest.fixture
def api() -> Api:
    # The store is never opened.
    return create_app(
        Context(
            store=Store(Secret("host=/nowhere")),
            engines={},
            secrets=SecretStore(SecretStore.new_key()),
            targets=Targets(),
            public_url="http://daypass.test",
        )
    )


def _each(routes: tuple[Declared, ...] = ROUTES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("declared", routes, ids=lambda each: each.operation_id)


def test_the_app_serves_what_is_declared_and_nothing_else(api: Api) -> None:
    served = {
        (method, route.path)
        for route in api.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    assert len(api.routes) == len(ROUTES)
    assert served == {(each.method, each.path) for each in ROUTES}


def test_names_are_unique() -> None:
    assert len({each.operation_id for each in ROUTES}) == len(ROUTES)


@_each()
def test_capability(declared: Declared) -> None:
    facts = declared.facts
    assert facts.callers.text
    if facts.callers.public:
        assert facts.capability is None
    else:
        assert (facts.capability is None) == (declared.operation_id in NO_CAPABILITY)


@_each()
def test_what_changes_something_is_recorded(declared: Declared) -> None:
    changes = declared.method != "GET" and declared.operation_id not in CHANGE_NOTHING
    assert bool(declared.facts.entries) == changes


def test_repeated_posts_act_once_unless_they_change_nothing() -> None:
    posts = {each.operation_id for each in ROUTES if each.method == "POST"}
    public = {each.operation_id for each in ROUTES if each.facts.callers.public}
    once = {each.operation_id for each in ROUTES if each.once}
    assert once == posts - public - CHANGE_NOTHING
    # A result holds what is the customer's: it stays out of the store.
    assert {each.operation_id for each in ROUTES if not each.facts.keeps_answer} == {
        "query_database"
    }


@_each()
def test_secrets_are_declared_and_may_be_left_out(declared: Declared) -> None:
    returned = typing.get_type_hints(declared.endpoint)["return"]
    if not (isinstance(returned, type) and issubclass(returned, BaseModel)):
        assert not declared.facts.secret_fields
        return
    secret_names = {"token", "password", "secret", "csrf_token", "url", "cookie"}
    fields = returned.model_fields
    assert {name for name in fields if name in secret_names} == set(declared.facts.secret_fields)
    for name in declared.facts.secret_fields:
        # A repeated call answers without it.
        assert type(None) in typing.get_args(fields[name].annotation)


@_each()
def test_it_is_described(declared: Declared) -> None:
    text = (declared.endpoint.__doc__ or "").strip()
    assert text.partition("\n")[0].endswith((".", ":", ";")), text


def test_the_document_names_callers_problems_and_examples(api: Api) -> None:
    document = api.openapi()
    bodies = set()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["x-daypass"]["callers"], path
            problem = operation["responses"]["default"]["content"]
            assert set(problem) == {"application/problem+json"}
            body = operation.get("requestBody")
            if body is not None:
                schema = body["content"]["application/json"]["schema"]
                bodies.add(schema["$ref"].rpartition("/")[2])
    for name in bodies:
        schema = document["components"]["schemas"][name]
        assert schema["additionalProperties"] is False, f"{name} takes unknown fields"


def test_nothing_comes_from_elsewhere(api: Api) -> None:
    assert api.docs_url is None
    assert api.redoc_url is None
    assert api.openapi_url is None


def test_the_table_is_as_the_routes_are() -> None:
    written = Path(__file__).parents[3] / "docs/api-routes.md"
    assert written.read_text(encoding="utf-8") == route_table(), "run scripts/api_routes.py"


def test_roles_are_daypass_roles() -> None:
    named = {role for each in ROUTES for role in each.facts.callers.roles}
    assert named <= set(DaypassRole)
