"""A folder for servers that these tests make themselves."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import FOLDER_PREFIX


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a temporary folder that other users may pass through, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)
