"""Try an instance's address and admin credential before anything is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from daypass.domain.catalog import Catalog
from daypass.domain.errors import Invalid, Unavailable
from daypass.domain.exposure import Exposure
from daypass.domain.secret import Secret
from daypass.engines.contract import Target, TargetAddress
from daypass.operations.context import Context
from daypass.operations.open_target import engine_of, secret_purpose
from daypass.policy.fields import did_you_mean
from daypass.store.instances import NewInstance, installation_id


@dataclass(frozen=True, slots=True)
class Reached:
    """What an instance answered: catalogs by database, and what is amiss with its admin."""

    catalogs: Mapping[str, Catalog]
    all_databases: tuple[str, ...]
    findings: tuple[tuple[str, Exposure], ...]
    """(database, exposure); the same exposure is named for each database that shows it."""
    skipped: Mapping[str, Exposure]
    """Databases nobody chose and the admin cannot manage, with the first thing it lacks there."""


def admin_secret(
    ctx: Context, instance_name: str, *, reference: str | None, password: Secret | None
) -> str:
    """Return the reference to keep: the one given, or the password sealed under Daypass's key.

    Raises `Invalid` unless exactly one is given, and when a reference leads to no secret.
    """
    purpose = secret_purpose(instance_name)
    if (reference is None) == (password is None):
        raise Invalid(
            "give either a secret reference or a password for the admin",
            problems=(("admin_secret", "exactly one of reference and password"),),
            next_step="write env:NAME or file:/path, or send the password to be sealed",
            code="admin_secret",
        )
    if password is not None:
        if not password.reveal():
            raise Invalid("the admin's password is empty", code="admin_secret")
        return ctx.secrets.seal(password, purpose)
    if reference is None or reference.startswith("sealed:"):
        raise Invalid(
            "a sealed secret cannot be brought along: Daypass makes them itself",
            next_step="write env:NAME or file:/path, or send the password to be sealed",
            code="admin_secret",
        )
    ctx.secrets.resolve(reference, purpose)
    return reference


@asynccontextmanager
async def trial_target(ctx: Context, new: NewInstance) -> AsyncIterator[Target]:
    """Open a target that nothing else uses, and close it again."""
    async with ctx.store.snapshot() as tx:
        installation = await installation_id(tx)
    target = engine_of(ctx, new.engine).connect(
        TargetAddress(
            host=new.host,
            port=new.port,
            admin_user=new.admin_user,
            admin_password=ctx.secrets.resolve(new.admin_secret, secret_purpose(new.name)),
            installation=str(installation),
            admin_database=new.admin_database,
            tls_mode=new.tls_mode,
            options=new.options,
        )
    )
    try:
        yield target
    except Unavailable as error:
        # Whoever typed the address sees it beside what went wrong.
        raise Unavailable(
            f"{new.name} at {new.host}:{new.port}: {error.message}",
            next_step=error.next_step or "check host, port, network and the admin's password",
            code=error.detail_code,
        ) from error
    finally:
        await target.aclose()


async def reach_instance(ctx: Context, new: NewInstance, chosen: Iterable[str] | None) -> Reached:
    """Sign in, check the admin's rights and read the catalogs of the chosen databases.

    With none chosen, all that the admin can manage. Raises `Invalid` for a database that is not
    there, or when the admin lacks what Daypass needs: each lack comes with the SQL that mends it.
    """
    async with trial_target(ctx, new) as target:
        present = await target.databases()
        names = tuple(dict.fromkeys(chosen)) if chosen is not None else present
        unknown = [name for name in names if name not in present]
        if unknown:
            near = did_you_mean(unknown[0], present)
            raise Invalid(
                f"{new.name} has no database {unknown[0]}{near}",
                problems=tuple(("databases", f"no database {name}") for name in unknown),
                next_step=f"it has {', '.join(present) or 'none'}",
                code="unknown_database",
            )
        if not names:
            raise Invalid(
                f"{new.name} has no database its admin may connect to", code="no_database"
            )
        findings = [
            (name, exposure) for name in names for exposure in await target.check_admin(name)
        ]
        lacking = [found for found in findings if found[1].blocks]
        skipped = dict(reversed(lacking))
        manageable = [name for name in names if name not in skipped]
        if chosen is not None or not manageable:
            _require_admin(new, lacking)
        catalogs = {name: await target.read_catalog(name) for name in manageable}
    return Reached(
        catalogs, present, tuple(found for found in findings if found[0] in catalogs), skipped
    )


def _require_admin(new: NewInstance, lacking: list[tuple[str, Exposure]]) -> None:
    if not lacking:
        return
    mends = list(dict.fromkeys(exposure.mend for _, exposure in lacking if exposure.mend))
    raise Invalid(
        f"the admin {new.admin_user} cannot manage {new.name}: {lacking[0][1].text}",
        problems=tuple((f"{new.name}/{database}", exposure.text) for database, exposure in lacking),
        next_step="run as a superuser: " + " ".join(mends) if mends else "",
        code="admin_rights",
    )
