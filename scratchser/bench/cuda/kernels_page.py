"""docs/kernels.md: what the compilers made of every CUDA kernel, and what a training step needs.

The page is generated, so it describes the current kernels. It contains no time, so every machine writes the same page.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from scratchser.bench.cuda import costs, paper_step, ptx
from scratchser.bench.cuda.costs import RecordedLaunch
from scratchser.bench.report import digits, table

SHOWN = ("7.5", "9.0")  # compute capabilities in the table; all are checked

HEAD = """\
# The CUDA kernels, compiled and counted

The numbers on this page come from the compilers and from formulas. Times on a real GPU are in [gpu.md](gpu.md).

`python -m scratchser.bench --ptx --write docs/kernels.md` writes this page, after `pip install -e '.[ptx]'`. No GPU is
needed. A test compares the page with the kernels. The launches are those of a training step of the preset `best` with
16 utterances of 61 ... 234 frames (`scratchser/bench/cuda/paper_step.py`).
"""

COMPILED = """\
## Compiled

Every kernel is compiled to machine code in float32 and in float64, for compute capability {capabilities}.

- compilers: {compilers}
- result: {verdict}

A fault is: an instruction in double precision in a float32 kernel; registers that spill, or other local memory; more
than 1024 threads, 65536 registers or 48 KB of shared memory in a block.

The table is for float32: threads and bytes of shared memory of a block, and registers of a thread for compute
capability 7.5 (T4) and 9.0 (H100, H200).

{table}
"""

COUNTED = """\
## Counted

One training step in float32: forward, backward, gradient norms and update. Each row adds up the launches of a kernel.

- **needed**: bytes and operations that any implementation needs. Each input is read once and each result is written
  once, in real frames only; a multiplication, an addition and an exponential are one operation each.
- **issued**: bytes of global memory that the threads of our kernel read and write. Caches serve what is read again. The
  tests compare this count with the accesses of traced launches.
- **op/byte**: needed operations for each needed byte. A GPU has a ratio of peak float32 operations to peak bandwidth:
  25 for a T4, 82 for an RTX 4090, 20 for an H100. Memory limits a kernel below this ratio, arithmetic above it.

{table}
"""


def text(builds: ptx.Builds) -> str:
    """The page; the builds come from ptx.build_all(variants)."""
    return "\n".join([HEAD, compiled(builds), counted()])


# ---- compiled -------------------------------------------------------------------------------------------------------


@cache
def variants() -> tuple[ptx.Variant, ...]:
    """Every kernel in float32, then in float64."""
    dtypes = (np.float32, np.float64)
    return tuple(variant for dtype in dtypes for variant in ptx.variants(paper_step.recorded(dtype=dtype), dtype))


def faults(builds: ptx.Builds) -> list[str]:
    """The faults of all kernels for all capabilities."""
    return [
        fault
        for variant, by_capability in zip(variants(), builds, strict=True)
        for capability, build in by_capability.items()
        for fault in ptx.faults(variant, build, capability)
    ]


def verdict(builds: ptx.Builds) -> str:
    kernels, found = len({variant.name for variant in variants()}), len(faults(builds))
    return f"{kernels} kernels, {sum(map(len, builds))} compilations, {found or 'no'} fault{'s' * (found != 1)}"


def compiled(builds: ptx.Builds) -> str:
    capabilities, compilers = ", ".join(ptx.CAPABILITIES), ptx.compilers()
    return COMPILED.format(
        capabilities=capabilities, compilers=compilers, verdict=verdict(builds), table=build_table(builds)
    )


def build_table(builds: ptx.Builds) -> str:
    rows = [["kernel", "threads", "shared", *(f"registers {capability}" for capability in SHOWN)]]
    for variant, by_capability in zip(variants(), builds, strict=True):
        if variant.dtype == "float32":
            shown = [by_capability[capability] for capability in SHOWN]
            figures = [variant.threads, shown[-1].static + variant.dynamic, *(build.registers for build in shown)]
            rows.append([variant.name, *map(str, figures)])
    return table(rows, left=1)


# ---- counted --------------------------------------------------------------------------------------------------------


def counted() -> str:
    return COUNTED.format(table=count_table(paper_step.recorded((paper_step.training_step,))))


def count_table(launches: Sequence[RecordedLaunch]) -> str:
    by_name: dict[str, list[RecordedLaunch]] = {}
    for launch in launches:
        by_name.setdefault(launch.name, []).append(launch)
    rows = [["kernel", "launches", "needed MB", "MFLOP", "issued MB", "op/byte"]]
    rows += [[name, *_counts(of_kernel)] for name, of_kernel in by_name.items()]
    return table([*rows, ["total", *_counts(launches)]], left=1)


def _counts(launches: Sequence[RecordedLaunch]) -> list[str]:
    needed, issued = [costs.needed(launch) for launch in launches], [costs.issued(launch) for launch in launches]
    bytes, operations = sum(one.bytes for one in needed), sum(one.operations for one in needed)
    elements = sum(one.global_reads + one.global_writes for one in issued)  # float32 or int32: 4 bytes each
    numbers = (bytes / 1e6, operations / 1e6, 4 * elements / 1e6, operations / bytes)
    return [str(len(launches)), *map(digits, numbers)]
