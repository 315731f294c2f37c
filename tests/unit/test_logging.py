"""One form of log lines, and tasks whose object has gone."""

import json
import logging

import pytest
import structlog
from structlog.testing import capture_logs

from daypass.app import configure_logging
from daypass.domain.errors import NotFound, Unavailable
from daypass.jobs.tasks import unless_gone
from daypass.store.jobs import Task


def test_what_libraries_log_is_json_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    try:
        configure_logging("info")
        try:
            raise ValueError("there is no database 5")
        except ValueError:
            logging.getLogger("procrastinate.worker").exception("Job %s ended", 3)
    finally:
        root.setLevel(level)
        structlog.reset_defaults()
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"]) == ("Job 3 ended", "error")
    assert told["logger"] == "procrastinate.worker"
    assert "there is no database 5" in told["exception"]


async def _gone() -> None:
    raise NotFound("there is no database 5")


async def _away() -> None:
    raise Unavailable("the target cannot be reached")


async def test_a_task_for_what_is_gone_ends_and_any_other_is_tried_again() -> None:
    with capture_logs() as logged:
        await unless_gone(Task.SYNC_CATALOG, 5, _gone())
    assert [(each["event"], each["log_level"]) for each in logged] == [("task_needless", "info")]
    with pytest.raises(Unavailable):
        await unless_gone(Task.SYNC_CATALOG, 5, _away())
