"""Every route of the API, one module an aggregate."""

from daypass.api.routes import (
    delegations,
    entries,
    first_admin,
    groups,
    health,
    principals,
    session,
    tokens,
)

ALL_ROUTES = (
    health.routes,
    first_admin.routes,
    session.routes,
    principals.routes,
    groups.routes,
    tokens.routes,
    delegations.routes,
    entries.routes,
)
