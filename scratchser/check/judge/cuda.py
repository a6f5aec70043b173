"""Judge a CUDA kernel, which the tracer runs without a GPU: its faults, its outputs, and its memory accesses."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numba.core.registry import CPUDispatcher

from scratchser.check.exercises.exercise import NONE, Arguments, Cost, CudaExercise, Launch, Outputs, copied, filled
from scratchser.check.judge.compare import Trial, compare
from scratchser.check.judge.learner import Learner
from scratchser.check.judge.padding import past_the_end
from scratchser.check.judge.verdict import FAULT, Finding, refused
from scratchser.support.plots import import_matplotlib
from scratchser.tracer import Report, trace
from scratchser.tracer.report import Count, Counts

TOLERANCE = 1e-5  # relative to the largest expected number: the cases are quarters and halves, with exact sums
NUMPY_ARRAYS = {
    "array", "arange", "zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like",
}  # fmt: skip

FAULTS = {  # kind of fault -> what is checked, the name of the mistake, hint; the likely cause of others comes first
    "launch": ("a GPU accepts the launch", "", "A block has at most 1024 threads and 48 KB of shared memory."),
    "divergence": (
        "all threads of a block reach the same barriers",
        "divergent barrier",
        "not every thread reaches cuda.syncthreads(). Move it out of the if or loop; no thread may return before it.",
    ),
    "out_of_range": (
        "every index is in range",
        "index out of range",
        "a thread without an element must not read or write. Or are two indices exchanged, or does a tap or a tile "
        "reach past the array?",
    ),
    "races": (
        "no race",
        "race",
        "one thread writes what another one reads or writes. In a block, put cuda.syncthreads() between the two "
        "or give each thread its own element. Different blocks must use different elements.",
    ),
    "uninitialised": (
        "nothing is read before it is written",
        "uninitialised read",
        "shared memory contains arbitrary numbers at first. Which thread should write this element? When does none?",
    ),
}


def findings(
    exercise: CudaExercise, learner: Learner, notes: list[str], drawing: Path | None = None
) -> Iterator[Finding]:
    """One finding after the other. Raises Failed for what is not a kernel or cannot be run."""
    kernel = learner.function
    is_kernel = hasattr(kernel, "py_func") and type(kernel).__module__.startswith(("numba", "scratchser"))
    if not is_kernel or isinstance(kernel, CPUDispatcher):
        raise refused(f"{exercise.name} is not a CUDA kernel", "Write @cuda.jit in the line above its def.")
    _refuse_numpy_arrays(kernel.py_func)
    constant = _constant(exercise, learner.module)
    exercise = replace(exercise, reference=partial(exercise.reference, **{exercise.constant[0]: constant}))
    launches = exercise.cases(constant)
    trials: list[Trial] = []
    reports: dict[str, Report] = {}
    for name, launch in launches.items():
        arguments = filled(launch.arguments)
        outputs, reports[name] = _run(exercise, learner, launch, copied(arguments))
        trials.append(Trial(name, arguments, outputs, exercise.reference(arguments, NONE), TOLERANCE))
    yield from (_faults(kind, reports) for kind in FAULTS)
    if drawing:
        notes.append(_draw(exercise, trials, reports, drawing))
    # After an index out of range, or if threads stop at a divergent barrier, the numbers mean nothing
    whole = [trial for trial in trials if not (reports[trial.name].out_of_range or reports[trial.name].divergence)]
    for finding in compare(exercise, whole, learner.source):
        if len(whole) == len(trials) or not finding.passed:
            yield finding
    if len(whole) == len(trials) and all(trial.right(output).all() for trial in trials for output in exercise.changes):
        cases = {name: launch.arguments for name, launch in launches.items()}
        yield from past_the_end(cases, trials, lambda name, a: _run(exercise, learner, launches[name], a)[0])
        counts, cost = reports[exercise.counted].counts, exercise.cost(launches[exercise.counted])
        yield _accesses(exercise, counts, cost)
        notes += _table(exercise, counts, cost)


def _draw(exercise: CudaExercise, trials: list[Trial], reports: dict[str, Report], drawing: Path) -> str:
    """Draw the first case with a fault or, without one, with wrong numbers; the first case if all is right."""
    import_matplotlib()
    from scratchser.tracer.drawing import draw

    def wrong(trial: Trial) -> int:
        right = all(trial.right(output).all() for output in exercise.changes)
        return 2 if reports[trial.name].faults() else int(not right)

    case = max(trials, key=wrong).name  # the first one of several
    draw(reports[case], f'{exercise.name}, "{case}"', drawing)
    return f'{drawing.name} shows the reads and writes in "{case}"'


def _run(exercise: CudaExercise, learner: Learner, launch: Launch, given: Arguments) -> tuple[Outputs, Report]:
    """Run the kernel with these arguments, to which it writes."""
    before = copied(given)
    with learner.running():
        report = trace(learner.function, launch.grid, launch.block, *given.values())
    for parameter, value in given.items():
        if parameter not in exercise.changes and not np.array_equal(before[parameter], value, equal_nan=True):
            raise refused(f"the kernel writes to {parameter}, but may only read it")
    return {output: given[output] for output in exercise.changes}, report


def _refuse_numpy_arrays(function: Any) -> None:
    """Raises Failed for np.zeros and the like, which Python runs but a GPU does not."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):  # a lambda or exec: it shows when it runs
        return
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        module, _, name = ast.unparse(call.func).rpartition(".")
        if name in NUMPY_ARRAYS and function.__globals__.get(module) is np:
            raise refused(
                f"line {first + call.lineno - 1}: {lines[call.lineno - 1].strip()}\n"
                f"np.{name} makes an array in Python; a GPU cannot do that",
                "Use cuda.shared.array(shape, dtype) for what the threads of a block share, "
                "cuda.local.array(shape, dtype) for what one thread needs.",
            )


def _constant(exercise: CudaExercise, module: ModuleType) -> int:
    name, smallest, largest = exercise.constant
    value = getattr(module, name, None)
    if not isinstance(value, int) or not smallest <= value <= largest:
        required = f"It must be a whole number from {smallest} to {largest}: the tracer runs every thread one by one."
        raise refused(f"the constant {name} is {value!r}", required)
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
    hints, mistakes = [f"{mistake}: {hint}"] if mistake else [hint], [mistake] if mistake else []
    return Finding(check, False, text, hints, mistakes, parts=[mistake], rank=FAULT)


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
