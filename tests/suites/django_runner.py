"""Django's runner, which also writes down how each test ended, as `recorder` does."""

import os
import unittest
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner


class _Result(unittest.TextTestResult):
    def _write(self, test: Any, how: str) -> None:
        with Path(os.environ["SUITE_RECORD"]).open("a", encoding="utf-8") as file:
            file.write(f"{test.id()}\t{how}\n")

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self._write(test, "passed")

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._write(test, "failed")

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._write(test, "error")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._write(test, "skipped")

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self._write(test, "skipped")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._write(test, "failed")


class RecordingRunner(DiscoverRunner):
    """Django's runner with results that are kept."""

    def get_resultclass(self) -> Any:
        return _Result
