"""docs/kernels.md: what the compilers made of every CUDA kernel, and what a training step needs.

The page is generated, so it describes the current kernels. It contains no time, so every machine writes the same page.
"""

from functools import cache

import numpy as np

from scratchser.bench.cuda import costs, paper_step, ptx
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
- result: {result}

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
    return tuple(
        variant
        for dtype in (np.float32, np.float64)
        for variant in ptx.variants(paper_step.recorded(paper_step.ALL, dtype), dtype)
    )


def compiled(builds: ptx.Builds) -> str:
    kernels, compilations = len({variant.name for variant in builds}), sum(map(len, builds.values()))
    return COMPILED.format(
        capabilities=", ".join(ptx.CAPABILITIES),
        compilers=ptx.compilers(),
        result=f"{kernels} kernels, {compilations} compilations, {len(ptx.faults(builds))} faults",
        table=build_table(builds),
    )


def build_table(builds: ptx.Builds) -> str:
    rows = []
    for variant, by_capability in builds.items():
        if variant.dtype == "float32":
            shared = by_capability[SHOWN[0]].static + variant.dynamic
            registers = {f"registers {capability}": by_capability[capability].registers for capability in SHOWN}
            rows.append({"kernel": variant.name, "threads": variant.threads, "shared": shared, **registers})
    return table(rows)


# ---- counted --------------------------------------------------------------------------------------------------------


def counted() -> str:
    by_name: dict[str, list[costs.Needed]] = {}
    for launch in paper_step.recorded([paper_step.training_step]):
        by_name.setdefault(launch.name, []).append(costs.needed(launch))
    by_name["total"] = [one for each in by_name.values() for one in each]
    rows = []
    for name, needed in by_name.items():
        bytes, operations = map(sum, zip(*needed, strict=True))
        rows.append(
            {
                "kernel": name,
                "launches": len(needed),
                "needed MB": digits(bytes / 1e6),
                "MFLOP": digits(operations / 1e6),
                "op/byte": digits(operations / bytes),
            }
        )
    return COUNTED.format(table=table(rows))
