"""A command prints any name on any stream, and ends with one line where a name or a stream cannot be used."""

import os
import subprocess
import sys

import pytest

NAME = "Jürgen 怒り \udcff"  # the last letter stands for a byte that is not UTF-8
PROGRAM = """
import sys
from argparse import Namespace
from scratchser.support import errors, terminal

def run(args):
    {body}
    return 0

sys.exit(errors.exit_code(run, Namespace()))
"""


def command(body, redirection="", **environment):
    """(exit code, stdout, stderr) of a command that does `body`."""
    line = ["sh", "-c", f'exec "$0" "$@" {redirection}', sys.executable, "-c", PROGRAM.format(body=body)]
    done = subprocess.run(line, env={**os.environ, **environment}, capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk", "euc_jp", "utf-8"])
def test_any_name_can_be_printed(encoding):
    name = NAME.encode(encoding, "backslashreplace") + b"\n"
    body = f"terminal.say({NAME!a}); terminal.write({NAME!a})"
    assert command(body, PYTHONIOENCODING=encoding) == (0, name, name)


def test_a_file_name_that_the_system_cannot_encode_is_one_line():
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    message = b"error: '\\xdf.wav' cannot be written in the encoding ascii: set PYTHONUTF8=1\n"
    assert command("open(chr(223) + '.wav')", **locale) == (1, b"", message)


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">&-", 0, b"said\n"),
        (">&- 2>&-", 0, b""),
        (">/dev/full", 1, b"said\nerror: cannot write to standard output: No space left on device\n"),
    ],
)
def test_a_stream_that_is_closed_or_full(redirection, code, message):
    if "full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("only Linux has /dev/full")
    assert command("terminal.say('said'); terminal.write('written')", redirection) == (code, b"", message)
