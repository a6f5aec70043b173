"""python -m scratchser.bench: how fast the CPU side is, beside PyTorch, SciPy and librosa; and without a GPU, what the
CUDA side compiles to and asks of one."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from scratchser.bench import report
from scratchser.bench.child import ChildError
from scratchser.bench.contest import DisagreementError
from scratchser.bench.cuda import gpu, kernels_page, paper_step, ptx
from scratchser.bench.cuda import gpu as gpu_report
from scratchser.bench.cuda import paper_step as launches
from scratchser.bench.measure import SECTIONS, Json, Plan, measure
from scratchser.kernels.machine.device import OutOfDeviceMemory
from scratchser.support import terminal
from scratchser.support.gpu import DeviceError, choose
from scratchser.support.terminal import say

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
  python -m scratchser.bench --device cuda                    a step's CUDA kernels on a GPU, it beside PyTorch's
  python -m scratchser.bench --launches                       kernels that a training step launches on a GPU, counted
  python -m scratchser.bench --ptx                            all CUDA kernels, compiled and checked
  python -m scratchser.bench --ptx --write docs/kernels.md    and accounted for, as a page

PyTorch and librosa come with  pip install 'scratchser[bench]'  and without them ours alone is timed. The compilers of
--ptx come with  pip install -e '.[ptx]'  (Linux). Neither it nor --launches needs a GPU, or runs a kernel.

exit code  0 done   1 contestants disagree, one has died, a kernel is faulty, or it was interrupted   2 a wrong command
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
    cuda = p.add_mutually_exclusive_group()
    cuda.add_argument("--device", metavar="cuda|cuda:K", help="time the CUDA side on this GPU instead")
    cuda.add_argument("--ptx", action="store_true", help="compile every CUDA kernel instead of timing anything")
    cuda.add_argument("--launches", action="store_true", help="count a training step's launches instead")
    p.add_argument("--write", type=Path, metavar="FILE", help="with --ptx: docs/kernels.md, if no kernel is faulty")
    p.add_argument(
        "--out", type=Path, metavar="FILE", help="with --device: all rounds as JSON (default: bench-cuda.json)"
    )
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives the exit code that EXAMPLES tells."""
    p = parser()
    args = p.parse_args(arguments)
    if args.write and not args.ptx:
        p.error("--write goes with --ptx")
    if args.out and not args.device:
        p.error("--out goes with --device")
    if args.launches:
        terminal.write(launches.text(launches.launches_of(paper_step.step)))
        return 0
    try:
        if args.ptx:
            return compile_all(args.write)
        if args.device:
            return time_gpu(args.device, Plan(args.quick), args.out or Path("bench-cuda.json"))
        result = measure(Plan(args.quick), args.only)
    except DeviceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ChildError, DisagreementError, OutOfDeviceMemory, ptx.PtxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    terminal.write(json.dumps(result, indent=1) if args.json else report.text(result))
    return 0


def time_gpu(name: str, plan: Plan, out: Path) -> int:
    """The exit code. Raises DeviceError without this GPU, DisagreementError where its answers are not the CPU's."""
    device, chosen = choose(name)
    say(chosen)
    if not device.startswith("cuda"):
        raise DeviceError("--device is for GPUs, cuda or cuda:K: the CPU is timed without it, the simulator not at all")

    def keep(found: Json) -> None:
        out.write_text(json.dumps(found, indent=1), encoding="utf-8")

    result = gpu.measure(device, plan, keep)
    keep(result)
    terminal.write(gpu_report.text(result))
    say(f"all rounds are in {out}")
    return 0


def compile_all(page: Path | None) -> int:
    """The exit code. Raises PtxError without compilers, OSError where the page cannot be written."""
    builds = ptx.build_all(kernels_page.variants)
    terminal.write(f"{kernels_page.build_table(builds)}\n\n{ptx.compilers()}\n{kernels_page.verdict(builds)}\n")
    faults = kernels_page.faults(builds)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if faults:
        return 1
    if page:
        page.write_text(kernels_page.text(builds), encoding="utf-8")
    return 0


def _sections(text: str) -> tuple[str, ...]:
    asked = text.split(",")
    if unknown := [name for name in asked if name not in SECTIONS]:
        raise argparse.ArgumentTypeError(f"there is no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    return tuple(name for name in SECTIONS if name in asked)


if __name__ == "__main__":
    sys.exit(main())
