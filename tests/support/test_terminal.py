"""One newline at the end; a pipe that nobody reads is met in test_corpus.py."""

import pytest

from scratchser.support import terminal


@pytest.mark.parametrize("text", ["a\nb", "a\nb\n"])
def test_the_text_ends_with_one_newline(capsys, text):
    terminal.write(text)
    assert capsys.readouterr().out == "a\nb\n"
