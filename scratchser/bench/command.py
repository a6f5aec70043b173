"""What python -m scratchser.bench does after its arguments are parsed."""

import json
from argparse import Namespace
from pathlib import Path

from scratchser.bench import report
from scratchser.bench.cuda import gpu, kernels_page, paper_step, ptx
from scratchser.bench.measure import QUICK, SECTIONS, Plan, measure
from scratchser.support import files
from scratchser.support.errors import ProcessingError, UsageError
from scratchser.support.gpu import DeviceError, choose
from scratchser.support.terminal import say, write


def run(args: Namespace) -> int:
    plan = QUICK if args.quick else Plan()
    if args.launches:
        write(paper_step.launch_table())
    elif args.ptx:
        compile_kernels(args.write)
    elif args.device:
        time_gpu(args.device, plan, args.out or Path("bench-cuda.json"))
    else:
        result = measure(plan, sections(args.only))
        write(json.dumps(result, indent=1) if args.json else report.text(result))
    return 0


def sections(only: str | None) -> list[str]:
    """In the order of SECTIONS. Raises UsageError for an unknown section."""
    names = only.split(",") if only is not None else list(SECTIONS)
    if unknown := [name for name in names if name not in SECTIONS]:
        raise UsageError(f"--only {only}: unknown section {unknown[0]!r}; the sections are {', '.join(SECTIONS)}")
    return [name for name in SECTIONS if name in names]


def time_gpu(name: str, plan: Plan, out: Path) -> None:
    """Raises DeviceError without this GPU, ProcessingError if its answers are wrong."""
    device, reason = choose(name)
    say(reason)
    if not device.startswith("cuda"):
        raise DeviceError("--device takes a GPU, cuda or cuda:K. Without --device the CPU is timed")
    write(report.text(gpu.measure(device, plan, save=lambda result: files.write_json(out, result))))
    say(f"all rounds are in {out}")


def compile_kernels(page: Path | None) -> None:
    """Raises ProcessingError without compilers, and for the faults of the kernels."""
    builds = ptx.build_all(kernels_page.variants)
    write(kernels_page.compiled(builds))
    if faults := ptx.faults(builds):
        raise ProcessingError("\n".join(faults))
    if page:
        files.write_text(page, kernels_page.text(builds))
