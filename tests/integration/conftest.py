"""What tests of several parts need."""

from collections.abc import Iterator

import pytest

from tests.demos import RunningDemo, demo_folder, start_demo, stop_demo


@pytest.fixture(scope="module")
def running_demo() -> Iterator[RunningDemo]:
    """Return a demo that answers, one a module, with its gateway."""
    with demo_folder() as folder:
        found = start_demo(folder)
        try:
            yield found
        finally:
            if found.process.poll() is None:
                stop_demo(found)
