"""What tests record of their results is shown before pytest's closing line."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that no worker is left alone with one of them at the end.

    The longest comes first, and makes the store that most of them copy; meanwhile another worker has those that do not.
    """
    items.sort(
        key=lambda item: (
            item.path.parent.name != "warehouse",
            item.path.name != "test_bigquery.py",
            "landed" in item.fixturenames,
        )
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests that passed have recorded."""
    passed = terminalreporter.getreports("passed")
    recorded = [told for report in passed for told in report.user_properties]
    if recorded:
        terminalreporter.section("what was compared and counted")
    for name, told in recorded:
        terminalreporter.write_line(f"{name}: {told}")
