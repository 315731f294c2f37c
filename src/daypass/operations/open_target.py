"""Open the target of an instance with its admin credential."""

from __future__ import annotations

from daypass.domain.errors import Invalid, NotFound
from daypass.domain.ids import InstanceId
from daypass.engines.contract import Engine, Target, TargetAddress
from daypass.operations.context import Context
from daypass.store.instances import Instance, get_instance, installation_id


async def open_target(ctx: Context, instance_id: InstanceId) -> Target:
    """Return the target of an instance, a removed one's too: its grants still have to end.

    Nothing is connected until the target is used. Raises `NotFound` for no such instance and
    `Invalid` when its admin secret cannot be had.
    """
    async with ctx.store.connection() as connection:
        instance = await get_instance(connection, instance_id)
        if instance is None:
            raise NotFound(f"there is no instance {instance_id}")
        known = ctx.targets.find(instance_id, instance.revision)
        if known is not None:
            return known
        # It is the same as long as the store lives.
        installation = await installation_id(connection)
    engine = engine_of(ctx, instance.engine)
    return ctx.targets.get(
        instance_id,
        instance.revision,
        lambda: engine.connect(_address(ctx, instance, str(installation))),
    )


def engine_of(ctx: Context, name: str) -> Engine:
    """Return the engine of that name. Raises `Invalid` when this Daypass has none."""
    engine = ctx.engines.get(name)
    if engine is None:
        known = ", ".join(sorted(ctx.engines))
        raise Invalid(
            f"there is no engine named {name!r}",
            problems=(("engine", f"must be one of {known}"),),
            next_step=f"use one of {known}",
            code="unknown_engine",
        )
    return engine


def secret_purpose(instance_name: str) -> str:
    """Return what an instance's admin password is sealed for."""
    return f"instance:{instance_name}"


def _address(ctx: Context, instance: Instance, installation: str) -> TargetAddress:
    return TargetAddress(
        host=instance.host,
        port=instance.port,
        admin_user=instance.admin_user,
        admin_password=ctx.secrets.resolve(instance.admin_secret, secret_purpose(instance.name)),
        installation=installation,
        admin_database=instance.admin_database,
        tls_mode=instance.tls_mode,
        options=instance.options,
    )
