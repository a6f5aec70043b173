"""The judgement of a CUDA kernel, run by the tracer without a GPU: faults, truth, and what it reads and writes."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

from scratchser.check.exercises.exercise import Arguments, Cost, CudaExercise, Launch, copied, filled
from scratchser.check.judge import learner
from scratchser.check.judge.compare import Trial, findings_of
from scratchser.check.judge.verdict import Finding
from scratchser.tracer import Report, trace
from scratchser.tracer.report import Count, Counts

TOLERANCE = 1e-5  # of the largest true number: the cases are quarters and halves, whose sums are exact in float32
ARRAYS = {"array", "arange", "zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like"}

FAULTS = {
    "launch": ("a GPU takes the launch", "A block has at most 1024 threads and 48 KB of shared memory."),
    "out_of_range": (
        "every index is in range",
        "index out of range: there are more threads than numbers, let only those that have one read and write; or two "
        "indices are exchanged, or a tap or a tile reaches past the array.",
    ),
    "uninitialised": (
        "nothing is read before it is written",
        "unwritten read: shared memory holds anything when a block begins. Which thread should have written here, and "
        "in which case does none?",
    ),
    "divergence": (
        "all threads of a block reach the same barriers",
        "divergent barrier: cuda.syncthreads() stands where not every thread comes, behind an if or a return, or in a "
        "loop of its own length. Move it out, and let the if guard the reading and writing only.",
    ),
    "races": (
        "no race",
        "race: one thread writes what another one reads or writes, and nothing says who is first. Within a block "
        "cuda.syncthreads() must lie between the two; between blocks nothing can, each has to keep to its own numbers.",
    ),
}


def checks_of(exercise: CudaExercise) -> int:
    """Each kind of fault, each output, what lies past an end if there is anything, the accesses."""
    _, smallest, _ = exercise.constant
    padded = any(_has_nan(launch.arguments) for launch in exercise.cases(smallest).values())
    return len(FAULTS) + len(exercise.outputs) + padded + 1


def judge(
    exercise: CudaExercise,
    module: ModuleType,
    kernel: Any,
    found: Callable[[Finding], None],
    notes: list[str],
) -> None:
    """Report each finding as it comes."""
    compiled = hasattr(kernel, "py_func") and type(kernel).__module__.startswith(("numba", "scratchser"))
    if not compiled or isinstance(kernel, CPUDispatcher):
        raise learner.Refused(f"{exercise.name} is no CUDA kernel", "Write @cuda.jit in the line above its def.")
    _no_arrays_of_numpy(kernel.py_func)
    constant = _constant(exercise, module)
    cases = exercise.cases(constant)
    exercise = replace(exercise, truth=partial(exercise.truth, **{exercise.constant[0]: constant}))
    trials: list[Trial] = []
    reports: dict[str, Report] = {}
    for name, launch in cases.items():
        trial, reports[name] = _trial(exercise, kernel, name, launch)
        trials.append(trial)
    for kind in FAULTS:
        found(_faults(kind, reports))
    in_range = [trial for trial in trials if not reports[trial.name].out_of_range]
    everywhere = len(in_range) == len(trials)
    for finding in findings_of(exercise, in_range):  # of the others nothing is to be learnt from the numbers
        if everywhere or not finding.passed:
            found(finding)
    if everywhere and all(trial.right(output) for trial in trials for output in exercise.changes):
        _past_the_end(exercise, kernel, cases, found)
        counts, cost = reports[exercise.counted].counts, exercise.cost(cases[exercise.counted])
        found(_spent(exercise, counts, cost))
        notes.extend(_table(exercise, counts, cost))


def _no_arrays_of_numpy(function: Any) -> None:
    """Raises Refused for np.zeros and the like, which Python runs and no GPU."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):  # a lambda, exec: what it does is seen when it runs
        return
    for node in ast.walk(tree):
        call = node.func if isinstance(node, ast.Call) else None
        if not (isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.attr in ARRAYS):
            continue
        if function.__globals__.get(call.value.id) is np:
            text = f"line {first + call.lineno - 1}: {lines[call.lineno - 1].strip()}\n"
            text += f"np.{call.attr} makes an array of each thread's own, in Python; a GPU has no such thing"
            shared = "What a block's threads share is cuda.shared.array(shape, dtype), "
            raise learner.Refused(text, f"{shared}what a thread has for itself cuda.local.array(shape, dtype).")


def _trial(exercise: CudaExercise, kernel: Any, name: str, launch: Launch) -> tuple[Trial, Report]:
    arguments = filled(launch.arguments)
    given = copied(arguments)
    with learner.answering():
        report = trace(kernel, launch.grid, launch.block, *given.values())
    for parameter, before in arguments.items():
        if parameter not in exercise.changes and not np.array_equal(before, given[parameter]):
            raise learner.Refused(f"the kernel writes to {parameter}, which is only to be read")
    got = {output: given[output] for output in exercise.changes}
    return Trial(name, arguments, got, exercise.truth(arguments, ""), TOLERANCE), report


def _constant(exercise: CudaExercise, module: ModuleType) -> int:
    name, smallest, largest = exercise.constant
    value = getattr(module, name, None)
    if not isinstance(value, int) or not smallest <= value <= largest:
        asked = f"It is a whole number from {smallest} to {largest}, for the tracer runs every thread one by one."
        raise learner.Refused(f"the constant {name} is {value!r}", asked)
    return value


def _faults(kind: str, reports: dict[str, Report]) -> Finding:
    check, hint = FAULTS[kind]
    faults = [(name, fault) for name, report in reports.items() for fault in getattr(report, kind)]
    if not faults:
        return Finding(check, True)
    text = f'"{faults[0][0]}": {faults[0][1]}'
    others = len({name for name, _ in faults}) - 1
    if others:
        text += f"\nlikewise in {others} more of the cases"
    name, colon, _ = hint.partition(":")
    return Finding(check, False, text, [hint], [name] if colon else [])


def _past_the_end(exercise: CudaExercise, kernel: Any, cases: dict[str, Launch], found: Callable) -> None:
    """Once more with NaN where the kernel must not look; nothing may come of it."""
    padded = {name: launch for name, launch in cases.items() if _has_nan(launch.arguments)}
    if not padded:
        return
    check = "nothing past an utterance's end is read"
    for name, launch in padded.items():
        given = copied(launch.arguments)
        with learner.answering():
            trace(kernel, launch.grid, launch.block, *given.values())
        if any(np.isnan(given[output]).any() for output in exercise.changes):
            hint = "Guard the reading by the utterance's length. To multiply by 0 is not enough: 0 · NaN is NaN."
            found(Finding(check, False, f'"{name}": with NaN there, NaN comes out', [hint]))
            return
    found(Finding(check, True))


def _has_nan(arguments: Arguments) -> bool:
    return any(isinstance(a, np.ndarray) and a.dtype.kind == "f" and np.isnan(a).any() for a in arguments.values())


# ---- the score: what it reads and writes ----------------------------------------------------------------------------


def _spent(exercise: CudaExercise, counts: Counts, cost: Cost) -> Finding:
    """Fails above the limit."""
    check = "it reads and writes no more than it has to"
    over = [
        f"{kind.replace('_', ' ')}: {getattr(counts, kind).total}, {cost.what} needs {limit}"
        for kind, limit in (("global_reads", cost.global_reads), ("global_writes", cost.global_writes))
        if getattr(counts, kind).total > limit
    ]
    if not over:
        return Finding(check, True)
    return Finding(check, False, f'"{exercise.counted}": {"; ".join(over)}', [exercise.wasteful])


def _table(exercise: CudaExercise, counts: Counts, cost: Cost) -> list[str]:
    """Yours, the measure, and the busiest thread."""
    lines = [
        f'accesses in "{exercise.counted}", which are the score:',
        f"{'':16}{'yours':>10}{'most by a thread':>20}   {cost.what}",
    ]
    count: Count
    for kind, count in vars(counts).items():
        most, limit = int(count.accesses.max(initial=0)), getattr(cost, kind)
        lines.append(f"{kind.replace('_', ' '):16}{count.total:10}{most:20}   {'' if limit is None else limit}")
    return lines
