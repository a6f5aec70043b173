"""docs/verification.md says what the tests hold."""

import verification


def test_the_page_is_current():
    page = verification.HERE.parent / "docs" / "verification.md"
    hint = "python tests/helpers/verification.py > docs/verification.md writes it anew"
    assert page.read_text(encoding="utf-8") == verification.text(), hint
