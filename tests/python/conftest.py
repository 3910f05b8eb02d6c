"""What tests record of their results is shown before pytest's closing line."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests that passed have recorded."""
    passed = terminalreporter.getreports("passed")
    recorded = [told for report in passed for told in report.user_properties]
    if recorded:
        terminalreporter.section("what was compared and counted")
    for name, told in recorded:
        terminalreporter.write_line(f"{name}: {told}")
