"""python -m scratchser.bench: how fast the CPU side is, beside PyTorch, SciPy and librosa."""

import argparse
import json
import sys
from collections.abc import Sequence

from scratchser import stdout
from scratchser.bench import report
from scratchser.bench.child import ChildError
from scratchser.bench.contest import DisagreementError
from scratchser.bench.measure import SECTIONS, Plan, measure

DESCRIPTION = """\
Time our kernels and what a user would take instead, on one fixed model and one fixed set of utterances. Contestants
must agree in every output and gradient before they are timed, and then take turns, each in a process of its own.
"""
EXAMPLES = """\
sections
  steps    training step: ours, PyTorch as anybody writes it, as an expert does, and compiled
  conv     each conv layer: forward, dW, dx              batch     VTLP, normalisation and padding of a batch
  lstm     Bi-LSTM, forward and backward                 memory    at most resident during training steps
  stft     log spectrogram of an hour of audio           start     import and first step, kernels compiled or not yet
                                                         threads   training step by one thread and by two
examples
  python -m scratchser.bench --quick                          about two minutes: few rounds, 257 bins, nothing compiled
  python -m scratchser.bench > table.md                       all of it; best on a machine that does nothing else
  python -m scratchser.bench --only steps,lstm --json         two sections, with the time of every round

PyTorch and librosa come with  pip install 'scratchser[bench]'  and without them ours alone is timed.

exit code  0 done   1 contestants disagree, one has died, or it was interrupted   2 a wrong command
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m scratchser.bench",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--quick", action="store_true", help="a first impression instead of figures to quote")
    p.add_argument("--json", action="store_true", help="one JSON object with all rounds instead of tables")
    p.add_argument(
        "--only", type=_sections, default=tuple(SECTIONS), metavar="A,B,...", help="these sections (default: all)"
    )
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives the exit code that EXAMPLES tells."""
    args = parser().parse_args(arguments)
    try:
        result = measure(Plan(args.quick), args.only)
    except (ChildError, DisagreementError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    stdout.write(json.dumps(result, indent=1) if args.json else report.text(result))
    return 0


def _sections(text: str) -> tuple[str, ...]:
    asked = text.split(",")
    if unknown := [name for name in asked if name not in SECTIONS]:
        raise argparse.ArgumentTypeError(f"there is no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    return tuple(name for name in SECTIONS if name in asked)


if __name__ == "__main__":
    sys.exit(main())
