"""python -m scratchser.bench: speed beside PyTorch, SciPy and librosa, and what the CUDA kernels compile to."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.support.errors import exit_code

DESCRIPTION = """\
Time our kernels and those of other libraries, with one fixed model and one fixed set of utterances. The contestants
must agree in every output and gradient before they are timed. Then they take turns, each in a separate process.
"""
EXAMPLES = """\
sections
  steps    training step: ours, plain PyTorch, PyTorch as an expert writes it, and compiled
  conv     each conv layer: forward, dW, dx              batch     VTLP, normalisation and padding of a batch
  lstm     Bi-LSTM, forward and backward                 memory    peak memory of training steps
  stft     log spectrogram of an hour of audio           start     import and first step, with and without a cache
                                                         threads   training step with one thread and with two
examples
  python -m scratchser.bench --quick                          about two minutes: few rounds, 257 bins, nothing compiled
  python -m scratchser.bench > table.md                       everything, best on an idle machine
  python -m scratchser.bench --only steps,lstm --json         two sections, with the time of every round
  python -m scratchser.bench --device cuda                    CUDA kernels of a training step on a GPU, beside PyTorch
  python -m scratchser.bench --launches                       count the kernel launches of a training step
  python -m scratchser.bench --ptx                            compile and check all CUDA kernels
  python -m scratchser.bench --ptx --write docs/kernels.md    and write the page about them

PyTorch and librosa come with  pip install -e '.[bench]'  ; without them only ours is timed. The compilers of --ptx come
with  pip install -e '.[ptx]'  (Linux). --ptx and --launches need no GPU and run no kernel.

exit code  0 done   1 contestants disagree, a process or a kernel failed, or interrupted   2 a wrong command
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
    p.add_argument("--only", metavar="A,B,...", help="these sections (default: all)")
    cuda = p.add_mutually_exclusive_group()
    cuda.add_argument("--device", metavar="cuda|cuda:K", help="time the CUDA side on this GPU instead")
    cuda.add_argument("--ptx", action="store_true", help="compile every CUDA kernel instead")
    cuda.add_argument("--launches", action="store_true", help="count a training step's launches instead")
    p.add_argument("--write", type=Path, metavar="FILE", help="with --ptx: write docs/kernels.md if there is no fault")
    p.add_argument("--out", type=Path, metavar="FILE", help="with --device: the JSON file (default: bench-cuda.json)")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code described in EXAMPLES."""
    p = parser()
    args = p.parse_args(arguments)
    if args.write and not args.ptx:
        p.error("--write goes with --ptx")
    if args.out and not args.device:
        p.error("--out goes with --device")
    from scratchser.bench import command  # takes a second to import, which --help need not wait for

    return exit_code(command.run, args)


if __name__ == "__main__":
    sys.exit(main())
