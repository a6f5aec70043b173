"""Judge a CUDA kernel, which the tracer runs without a GPU: its faults, its outputs, and its memory accesses."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

from scratchser.check.exercises.exercise import Cost, CudaExercise, Launch, copied, filled, with_nan
from scratchser.check.judge import learner
from scratchser.check.judge.compare import Trial, compare
from scratchser.check.judge.source import Refused
from scratchser.check.judge.verdict import Finding
from scratchser.tracer import Report, trace
from scratchser.tracer.report import Count, Counts

TOLERANCE = 1e-5  # relative to the largest expected number: the cases are quarters and halves, with exact sums
NUMPY_ARRAYS = {
    "array", "arange", "zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like",
}  # fmt: skip

FAULTS = {  # kind of fault -> what is checked, the name of the mistake, hint
    "launch": ("a GPU accepts the launch", "", "A block has at most 1024 threads and 48 KB of shared memory."),
    "out_of_range": (
        "every index is in range",
        "index out of range",
        "if there are more threads than elements, only threads with an element may read and write. Or are two indices "
        "exchanged, or does a tap or a tile reach past the array?",
    ),
    "uninitialised": (
        "nothing is read before it is written",
        "unwritten read",
        "shared memory contains arbitrary numbers at first. Which thread should write here, and when does none?",
    ),
    "divergence": (
        "all threads of a block reach the same barriers",
        "divergent barrier",
        "not every thread reaches cuda.syncthreads(). Move it out of the if or loop, or before the return.",
    ),
    "races": (
        "no race",
        "race",
        "one thread writes what another one reads or writes. Within a block put cuda.syncthreads() between the two; "
        "different blocks must use different elements.",
    ),
}


def judge(exercise: CudaExercise, module: ModuleType, kernel: Any, notes: list[str]) -> Iterator[Finding]:
    """One finding after the other. Raises Refused for what is not a kernel or cannot be run."""
    is_kernel = hasattr(kernel, "py_func") and type(kernel).__module__.startswith(("numba", "scratchser"))
    if not is_kernel or isinstance(kernel, CPUDispatcher):
        raise Refused(f"{exercise.name} is not a CUDA kernel", "Write @cuda.jit in the line above its def.")
    _refuse_numpy_arrays(kernel.py_func)
    constant = _constant(exercise, module)
    cases = exercise.cases(constant)
    exercise = replace(exercise, reference=partial(exercise.reference, **{exercise.constant[0]: constant}))
    trials: list[Trial] = []
    reports: dict[str, Report] = {}
    for name, launch in cases.items():
        trial, reports[name] = _trial(exercise, kernel, name, launch)
        trials.append(trial)
    yield from (_faults(kind, reports) for kind in FAULTS)
    in_range = [trial for trial in trials if not reports[trial.name].out_of_range]
    all_in_range = len(in_range) == len(trials)
    for finding in compare(exercise, in_range):  # after an index out of range the numbers mean nothing
        if all_in_range or not finding.passed:
            yield finding
    if all_in_range and all(trial.right(output).all() for trial in trials for output in exercise.changes):
        yield from _past_the_end(exercise, kernel, cases)
        counts, cost = reports[exercise.counted].counts, exercise.cost(cases[exercise.counted])
        yield _accesses(exercise, counts, cost)
        notes += _table(exercise, counts, cost)


def _refuse_numpy_arrays(function: Any) -> None:
    """Raises Refused for np.zeros and the like, which Python runs but a GPU does not."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):  # a lambda or exec: it shows when it runs
        return
    for node in ast.walk(tree):
        call = node.func if isinstance(node, ast.Call) else None
        if not (isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.attr in NUMPY_ARRAYS):
            continue
        if function.__globals__.get(call.value.id) is np:
            text = f"line {first + call.lineno - 1}: {lines[call.lineno - 1].strip()}\n"
            raise Refused(
                f"{text}np.{call.attr} makes an array in Python; a GPU cannot do that",
                "Use cuda.shared.array(shape, dtype) for what the threads of a block share, "
                "cuda.local.array(shape, dtype) for what one thread needs.",
            )


def _trial(exercise: CudaExercise, kernel: Any, name: str, launch: Launch) -> tuple[Trial, Report]:
    arguments = filled(launch.arguments)
    given = copied(arguments)
    with learner.errors_marked():
        report = trace(kernel, launch.grid, launch.block, *given.values())
    for parameter, before in arguments.items():
        if parameter not in exercise.changes and not np.array_equal(before, given[parameter]):
            raise Refused(f"the kernel writes to {parameter}, but may only read it")
    outputs = {output: given[output] for output in exercise.changes}
    return Trial(name, arguments, outputs, exercise.reference(arguments, ""), TOLERANCE), report


def _constant(exercise: CudaExercise, module: ModuleType) -> int:
    name, smallest, largest = exercise.constant
    value = getattr(module, name, None)
    if not isinstance(value, int) or not smallest <= value <= largest:
        required = f"It must be a whole number from {smallest} to {largest}: the tracer runs every thread one by one."
        raise Refused(f"the constant {name} is {value!r}", required)
    return value


def _faults(kind: str, reports: dict[str, Report]) -> Finding:
    check, mistake, hint = FAULTS[kind]
    faults = [(name, fault) for name, report in reports.items() for fault in getattr(report, kind)]
    if not faults:
        return Finding(check, True)
    text = f'"{faults[0][0]}": {faults[0][1]}'
    others = len({name for name, _ in faults}) - 1
    if others:
        text += f"\nalso in {others} more of the cases"
    if not mistake:
        return Finding(check, False, text, [hint])
    return Finding(check, False, text, [f"{mistake}: {hint}"], [mistake])


def _past_the_end(exercise: CudaExercise, kernel: Any, cases: dict[str, Launch]) -> Iterator[Finding]:
    """The cases with NaN where the kernel must not read: no output may become NaN. Nothing for cases without NaN."""
    check = "nothing past the end of an utterance is read"
    padded = {name: launch for name, launch in cases.items() if with_nan(launch.arguments)}
    for name, launch in padded.items():
        given = copied(launch.arguments)
        with learner.errors_marked():
            trace(kernel, launch.grid, launch.block, *given.values())
        if any(np.isnan(given[output]).any() for output in exercise.changes):
            hint = "Guard reads with the utterance's length. Multiplying by 0 is not enough: 0 · NaN is NaN."
            yield Finding(check, False, f'"{name}": with NaN there, the result contains NaN', [hint])
            return
    if padded:
        yield Finding(check, True)


# ---- the score: memory accesses -------------------------------------------------------------------------------------


def _accesses(exercise: CudaExercise, counts: Counts, cost: Cost) -> Finding:
    check = "it reads and writes no more than necessary"
    limits = {"global_reads": cost.global_reads, "global_writes": cost.global_writes}
    over = [
        f"{kind.replace('_', ' ')}: {getattr(counts, kind).total}, {cost.kernel} needs {limit}"
        for kind, limit in limits.items()
        if getattr(counts, kind).total > limit
    ]
    if not over:
        return Finding(check, True)
    return Finding(check, False, f'"{exercise.counted}": {"; ".join(over)}', [exercise.wasteful])


def _table(exercise: CudaExercise, counts: Counts, cost: Cost) -> list[str]:
    """The learner's accesses, those of the thread with most accesses, and those of the kernel for comparison."""
    lines = [
        f'accesses in "{exercise.counted}", which are the score:',
        f"{'':16}{'yours':>10}{'most by a thread':>20}   {cost.kernel}",
    ]
    count: Count
    for kind, count in vars(counts).items():
        most, other = int(count.accesses.max(initial=0)), getattr(cost, kind)
        lines.append(f"{kind.replace('_', ' '):16}{count.total:10}{most:20}   {'' if other is None else other}")
    return lines
