"""docs/verification.md describes the current kernels and tests."""

import verification


def test_the_page_is_current():
    page = verification.PAGE.read_text(encoding="utf-8")
    assert page == verification.text(page), "python tests/helpers/verification.py"
