"""A process of clients, to be killed."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.faults.scenes import SCENES, play
from tests.faults.speaker import Login, Speaker


async def main(what: list[tuple[str, dict[str, object]]]) -> None:
    """Play each scene; whatever becomes of it, stay until killed."""
    speakers = [(Speaker(Login(**login)), SCENES[scene]) for scene, login in what]  # type: ignore[arg-type]
    await asyncio.gather(*(play(*each) for each in speakers), return_exceptions=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
