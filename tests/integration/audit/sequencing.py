"""A process that only sequences: `python -m tests.integration.audit.sequencing CONNINFO FOLDER`."""

import asyncio
import sys
from pathlib import Path

from daypass.domain.secret import Secret
from daypass.operations.context import Context
from daypass.operations.secrets import SecretStore
from daypass.operations.sequence_log import Sequencer
from daypass.operations.targets import Targets
from daypass.store.database import Store
from daypass.store.log_folder import LogFolder
from tests.integration.audit.conftest import KEY, SECRET_KEY


async def main(conninfo: str, folder: str) -> None:
    """Sequence until killed, saying each size that is published."""
    store = Store(Secret(conninfo), min_size=1, max_size=4)
    await store.open()
    ctx = Context(store=store, engines={}, secrets=SecretStore(SECRET_KEY), targets=Targets())
    sequencer = Sequencer(ctx, LogFolder(Path(folder)), [KEY])
    while True:
        done = await sequencer.run_round()
        if done is not None and done.count:
            sys.stdout.write(f"{done.size}\n")
            sys.stdout.flush()
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
