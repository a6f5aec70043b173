"""docs/kernels.md: what the compilers made of every CUDA kernel, and what a training step asks of them.

Generated, so that no figure in it is older than the kernels. A section is a string that begins with its heading; none
holds a time that was measured here, so every machine writes the same page.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from scratchser.bench.cuda import paper_step, ptx
from scratchser.bench.cuda.occupancy import Capability
from scratchser.bench.cuda.roofline import GPUS, LAUNCH, LAUNCH_ARRAY, Account, accounts
from scratchser.bench.report import table

Builds = Sequence[dict[Capability, ptx.Build]]  # for each of variants()

SHOWN: tuple[Capability, ...] = ((7, 5), (9, 0))  # in the table; the checks are for all

HEAD = """\
# The CUDA kernels, compiled and accounted for

**Compiled and accounted for, not run on a GPU.** No number on this page was measured on one, and none is a promise:
they say what the compilers made of the kernels, what a training step asks of them, and how long the memory, the
arithmetic and the host take for that at best.

Written by `python -m scratchser.bench --ptx --write docs/kernels.md`, after `pip install -e '.[ptx]'`; a test holds the
page against the kernels. Kernels, types and sizes are those of launches that the entry points asked for on simulated
memory (`scratchser/bench/cuda/paper_step.py`): preset `best`, {batch} utterances of {least} ... {most} frames, which fill
{real:.0f} % of the padded batch.
"""

COMPILED = """\
## What the compilers made of them

Every kernel, in float32 and in float64, for compute capability {capabilities}, from its launches' own
types to machine code.

- compilers: {compilers}
- found: {verdict}

What is a fault: an instruction in double precision in a float32 kernel; registers that spill, or any other local
memory; more than 1024 threads, 65536 registers or 48 KB of shared memory in a block.

The table is for float32, columns with a number for that compute capability (7.5 is a T4, 9.0 an H100).

- **threads** of a block; **shared** memory of a block in bytes, whether the kernel's text or the launch asks for it.
- **registers** of a thread.
- **occupancy**: the share of its warps that a multiprocessor can hold at a time, and what there is not more of. It is
  computed from the three columns before (`scratchser/bench/cuda/occupancy.py`), with as much of the memory shared as can be.
- **loads** and **stores**: instructions on global memory in the PTX for {last}, by their type; v2 and v4 carry two and
  four numbers each. They are places in the text, which loops repeat and the compiler may have unrolled.

{table}
"""

ASKED = """\
## What a training step asks of them

float32, one step: forward, backward, gradient norms and update.

- **launches** in the step, over which the rest of a row is added up.
- **needed**: bytes and operations that any implementation needs (`scratchser/costs`): every number that a launch reads
  is read once, every one that it writes is written once, real frames only; a multiplication or an addition is an
  operation, and so is a call of exp.
- **issued**: bytes of global memory in the reads and writes of our kernel's text, each of each thread. The tests hold
  them against the accesses of traced launches. A compiler that keeps a number in a register issues fewer.
- **waste**: the share of the issued bytes that goes beyond the needed ones. It is the share that caches are asked to
  catch: neighbouring threads that read one number are served at once, and what was read a moment ago comes from a
  cache. Neither that nor whether neighbouring threads read neighbouring numbers (coalescing) is modelled.
- **op/byte**: arithmetic intensity, needed operations for each needed byte.
- **launch**: the host's time for the launches, {launch:.1f} µs each and {array:.2f} µs for each array among the
  arguments, as a maintainer of numba-cuda measured it on a machine not named (pull request 288 of NVIDIA/numba-cuda).
  What our own Python adds, entry points and the handing over of CuPy's arrays, is not in it.
- A GPU's column is the **roofline**: the time for the needed bytes at its memory's peak or for the needed operations
  at its float32 peak, whichever is longer, launch by launch. Only what lies in a cache already can be read faster. It
  knows nothing of waiting: the LSTM's kernels are a chain of steps, each of which reads its weights from a cache anew.
- **bound by**: the longest of memory, arithmetic and launch. The host does not wait for a launch to end, so where
  launch is the longest, the GPU waits for the host.

{gpus}

{table}
"""

BESIDES = """\
## Asked besides

What runs before training or after it: the same columns, each entry point called once.

{table}
"""


def text(builds: Builds) -> str:
    """The page; builds come from ptx.build_all(variants)."""
    return "\n".join([head(), compiled(builds), asked(), besides()])


def head() -> str:
    lengths = paper_step.Sizes(np.float32).lengths
    real = 100 * lengths.sum() / (len(lengths) * lengths.max())
    return HEAD.format(batch=len(lengths), least=lengths.min(), most=lengths.max(), real=real)


# ---- compiled -------------------------------------------------------------------------------------------------------


@cache
def variants() -> tuple[ptx.Variant, ...]:
    """Every kernel in float32, then in float64."""
    calls = (*paper_step.STEP, *paper_step.BESIDES)
    dtypes = (np.float32, np.float64)
    return tuple(variant for dtype in dtypes for variant in ptx.variants(paper_step.recorded(calls, dtype), dtype))


def faults(builds: Builds) -> list[str]:
    """Of all kernels for all capabilities."""
    return [
        fault
        for variant, by_capability in zip(variants(), builds, strict=True)
        for capability, build in by_capability.items()
        for fault in ptx.faults(variant, build, capability)
    ]


def verdict(builds: Builds) -> str:
    kernels, found = len({variant.name for variant in variants()}), len(faults(builds))
    return f"{kernels} kernels, {sum(map(len, builds))} compilations, {found or 'no'} fault" + "s" * (found != 1)


def compiled(builds: Builds) -> str:
    *most, last = map(_number, ptx.CAPABILITIES)
    return COMPILED.format(
        compilers=ptx.compilers(),
        capabilities=f"{', '.join(most)} and {last}",
        verdict=verdict(builds),
        last=_number(SHOWN[-1]),
        table=build_table(builds),
    )


def build_table(builds: Builds) -> str:
    shown = list(map(_number, SHOWN))
    head = ["kernel", "threads", "shared", *(f"registers {c}" for c in shown), *(f"occupancy {c}" for c in shown)]
    rows = [[*head, "loads", "stores"]]
    for variant, by_capability in zip(variants(), builds, strict=True):
        if variant.dtype == "float32":
            of_shown = [by_capability[capability] for capability in SHOWN]
            rows.append(
                [
                    *(variant.name, str(variant.threads), str(of_shown[-1].static + variant.dynamic)),
                    *(str(build.registers) for build in of_shown),
                    *(_occupancy(variant, build, c) for build, c in zip(of_shown, SHOWN, strict=True)),
                    *(_instructions(of_shown[-1].accesses[word]) for word in ("ld", "st")),
                ]
            )
    return table(rows, left=1)


def _number(capability: Capability) -> str:
    return ".".join(map(str, capability))


def _occupancy(variant: ptx.Variant, build: ptx.Build, capability: Capability) -> str:
    found = ptx.occupancy_of(variant, build, capability)
    return f"{100 * found.share:.0f} %" + f", {found.limit}" * (found.share < 1)


def _instructions(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "-"


# ---- accounted for --------------------------------------------------------------------------------------------------


def asked() -> str:
    rows = [["GPU", "source of its peaks", "TFLOP/s", "GB/s", "op/byte where they meet"]]
    for gpu in GPUS:
        figures = (f"{gpu.flops / 1e12:.1f}", f"{gpu.bandwidth / 1e9:.0f}", f"{gpu.flops / gpu.bandwidth:.0f}")
        rows.append([gpu.name, gpu.source, *figures])
    of_step = account_table(accounts(paper_step.recorded(paper_step.STEP)), total=True)
    return ASKED.format(launch=1e6 * LAUNCH, array=1e6 * LAUNCH_ARRAY, gpus=table(rows, left=2), table=of_step)


def besides() -> str:
    return BESIDES.format(table=account_table(accounts(paper_step.recorded(paper_step.BESIDES)), total=False))


def account_table(found: Sequence[Account], total: bool) -> str:
    head = ["kernel", "launches", "needed MB", "MFLOP", "issued MB", "waste", "op/byte", "launch µs"]
    rows = [[*head, *(f"{gpu.name} µs" for gpu in GPUS), "bound by"]]
    for one in found:
        rows.append(
            [
                *(one.name, str(one.launches), _short(one.needed.bytes / 1e6), _short(one.needed.operations / 1e6)),
                *(_short(one.issued_bytes / 1e6), f"{100 * one.waste:.0f} %", _short(one.intensity)),
                *_times([one]),
                _bound(one),
            ]
        )
    if total:
        sums = (sum(one.needed.bytes for one in found), sum(one.needed.operations for one in found))
        issued = sum(one.issued_bytes for one in found)
        figures = [*(_short(number / 1e6) for number in (*sums, issued)), f"{100 * (1 - sums[0] / issued):.0f} %"]
        launches = str(sum(one.launches for one in found))
        rows.append(["together", launches, *figures, _short(sums[1] / sums[0]), *_times(found), ""])
    return table(rows, left=1)


def _times(found: Iterable[Account]) -> list[str]:
    of_host = sum(one.times[GPUS[0].name]["launch"] for one in found)
    of_gpus = (sum(one.times[gpu.name]["roofline"] for one in found) for gpu in GPUS)
    return [_short(1e6 * seconds) for seconds in (of_host, *of_gpus)]


def _bound(one: Account) -> str:
    """One word, or which GPUs by what."""
    by: dict[str, list[str]] = {}
    for gpu in GPUS:
        by.setdefault(one.bound(gpu.name), []).append(gpu.name)
    if len(by) == 1:
        return next(iter(by))
    return "; ".join(f"{bound}: {', '.join(names)}" for bound, names in by.items())


def _short(number: float) -> str:
    """Two digits, or all in front of the point."""
    return f"{number:.0f}" if number >= 9.95 else f"{number:.1f}" if number >= 0.95 else f"{number:.2g}"
