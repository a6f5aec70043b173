"""docs/verification.md describes the current kernels and tests."""

from pathlib import Path

import verification

PAGE = Path(__file__).parents[2] / "docs" / "verification.md"


def test_the_page_is_current():
    remedy = "python tests/helpers/verification.py > docs/verification.md"
    assert PAGE.read_text(encoding="utf-8") == verification.text(), remedy


def test_the_kernels_that_ran_on_a_card_exist():
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in verification.RAN_ON_H200.split() if f"| {name} |" not in page] == []
