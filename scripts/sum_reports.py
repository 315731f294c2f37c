"""Print one line that sums the JUnit reports given, and fail if anything in them failed.

`--expect NAME=STATUS` gives a step's exit status: a step that failed without a report, or whose
report shows no failure, counts as one failure more.
"""

import argparse
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

_NO_TESTS = 5


def main() -> int:
    """Read the reports and the statuses, print the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", type=Path, help="folder of the reports, NAME.xml each")
    parser.add_argument("--expect", action="append", default=[], metavar="NAME=STATUS")
    arguments = parser.parse_args()
    passed = failed = skipped = 0
    for step in arguments.expect:
        name, _, status = step.partition("=")
        report = arguments.reports / f"{name}.xml"
        tests = bad = left_out = 0
        if report.exists():
            # Our own runners wrote it a moment ago.
            for suite in ET.parse(report).iter("testsuite"):  # noqa: S314
                tests += int(suite.get("tests", 0))
                bad += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                left_out += int(suite.get("skipped", 0))
        if int(status) != 0 and bad == 0 and not (int(status) == _NO_TESTS and tests == 0):
            bad, tests = 1, tests + 1
        passed += tests - bad - left_out
        failed += bad
        skipped += left_out
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
