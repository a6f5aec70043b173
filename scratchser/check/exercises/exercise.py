"""What an exercise is: its function, the cases that it is run on, its reference implementation and the known mistakes.

The reference implementation also takes a set of known mistakes, and then returns what a function with just these
mistakes returns. The judge reports mistakes only where a learner's numbers are those of the mistakes in every case.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

Arguments = dict[str, Any]  # by parameter, in order
Outputs = dict[str, np.ndarray]  # by name
Mistakes = Set[str]  # names of known mistakes that are made together
NONE: Mistakes = frozenset()
Option = TypeVar("Option")

UNWRITTEN = -12345.0  # in the outputs of a CUDA kernel before the launch
FAULT_KINDS = 5  # that the tracer finds

SUMS = {  # known mistakes of gradients that are added to what an argument contains
    "accumulation forgotten (start lost)": "the value before the call is lost: use += instead of =.",
    "accumulation forgotten (last utterance)": "only the last utterance is added: sum over all of them.",
    "divided by the batch size": "the loss contains 1 / B already; here gradients are summed.",
}


class Part(NamedTuple):
    """A part of the function: hints from a nudge to the line, and known mistakes.

    The mistakes are name -> explanation. A text in parentheses distinguishes mistakes of one name.
    """

    look: str  # --hint 1: what to look at
    idea: str  # --hint 2: the formula or the idea
    line: str  # --hint 3: the line
    mistakes: Mapping[str, str] = {}


BARRIERS = Part(  # of kernels that add up or compare halves of shared memory
    "Which thread reads an element that another one wrote, and does every thread of the block reach each barrier?",
    "A barrier stands after every write that another thread reads, and before shared memory is used again.",
    "cuda.syncthreads() after part[t] = ..., after each halving, and before part[t] is used again, outside of any if",
)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What exercises for the CPU and for CUDA have in common."""

    reference: Callable[..., Outputs]  # (arguments, mistakes) -> outputs with these mistakes and no others
    parts: Mapping[str, Part]  # "dW, db": names of outputs, of faults of a kernel or others. The first part is the main
    axes: Mapping[str, tuple[str, ...]]  # output -> names of its indices
    # (first wrong case, wrong outputs) -> part in which an unknown mistake begins, in the order of the computation
    suspect: Callable[[Any, Sequence[str]], str] = lambda trial, wrong: wrong[0]
    name: str = ""  # of the exercise, its module and its function: `load` sets it

    @cached_property
    def mistakes(self) -> dict[str, str]:
        """Known mistake -> explanation, of all parts."""
        return {mistake: text for part in self.parts.values() for mistake, text in part.mistakes.items()}

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Of the function: those of the first case."""
        return tuple(next(iter(self.all_arguments()), ()))

    @property
    def returns(self) -> list[str]:
        """Outputs that the function returns."""
        return [output for output in self.axes if output not in self.parameters]

    @property
    def changes(self) -> list[str]:
        """Outputs that the function writes to its arguments."""
        return [output for output in self.axes if output in self.parameters]

    @cached_property
    def padded(self) -> bool:
        """Whether there is something past the end of an utterance that the function must not read."""
        return any(map(with_nan, self.all_arguments()))

    def form(self) -> Part:
        """The part of a function that returns other arrays than it should."""
        returned = ", ".join(f"{name} [{', '.join(self.axes[name]) or 'number'}]" for name in self.returns) or "nothing"
        return Part(
            "Which arrays does the function return, in which order and shape, and which ones does it change in place?",
            f"It returns {returned}" + (f", and changes {', '.join(self.changes)} in place." if self.changes else "."),
            f"return {', '.join(self.returns)}" if self.returns else "No return: array[:] = ... changes an argument.",
        )

    def hints(self, parts: Sequence[str] = ()) -> list[list[str]]:
        """What to look at, the ideas, the lines: of these parts, or of the main part if none of them is known."""
        names = {name for part in parts for name in part.split(", ")}
        all_parts = {**self.parts, "return": self.form()}
        known = [part for key, part in all_parts.items() if names & set(key.split(", "))]
        looks, ideas, lines, _ = zip(*(known or list(self.parts.values())[:1]), strict=True)
        return [list(looks), list(ideas), list(lines)]

    @property
    def checks(self) -> int:
        """How many checks a right file passes."""
        raise NotImplementedError

    def all_arguments(self) -> list[Arguments]:
        """Of every case."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Differences:
    """How to compare a learner's backward pass with finite differences of the forward pass.

    The backward pass gets the arguments, with dy and the inputs in place of those there. Its output "d" + name is the
    gradient of an input.
    """

    forward: Callable[..., Any]  # (**inputs) -> y
    inputs: Mapping[str, np.ndarray]
    arguments: Arguments  # of the backward pass
    remembered: Callable[..., Arguments] = lambda **inputs: {}  # (**inputs) -> arguments that the forward pass computes
    options: Mapping[str, Any] = field(default_factory=dict)  # of gradcheck.check


@dataclass(frozen=True, kw_only=True)
class CpuExercise(Exercise):
    """A function of arrays."""

    cases: Callable[[], dict[str, Arguments]]  # in float64, with NaN where the function must not read
    gradients: Callable[[], list[Differences]] = list  # of a backward pass; a small one comes first
    timed: Callable[[], Arguments]  # which plain Python loops process in a fraction of a second
    package: Callable[..., Any] | None = None  # the package's kernel with these arguments, timed for comparison

    def all_arguments(self) -> list[Arguments]:
        return list(self.cases().values())

    @property
    def checks(self) -> int:
        """Form, outputs, float32, padding, gradients."""
        gradients = sum(len(differences.inputs) for differences in self.gradients())
        return 1 + len(self.axes) + 1 + self.padded + gradients


class Launch(NamedTuple):
    """A launch of a CUDA kernel."""

    grid: Any
    block: Any
    arguments: Arguments


class Cost(NamedTuple):
    """Accesses of a kernel for comparison, all threads of a launch together."""

    kernel: str
    global_reads: int  # the most that a learner's kernel may use
    global_writes: int
    shared_reads: int | None = None  # only shown
    shared_writes: int | None = None


@dataclass(frozen=True, kw_only=True)
class CudaExercise(Exercise):
    """A CUDA kernel, run by the tracer. Its reference takes the value of the constant as a keyword, like THREADS=8."""

    constant: tuple[str, int, int]  # name, smallest and largest value of a number on which grid and block depend
    cases: Callable[[int], dict[str, Launch]]  # in float32, with NaN where the kernel must not read
    counted: str  # the case whose accesses are the score
    cost: Callable[[Launch], Cost]
    wasteful: str  # hint for a kernel with more accesses

    def all_arguments(self) -> list[Arguments]:
        _, smallest, _ = self.constant
        return [launch.arguments for launch in self.cases(smallest).values()]

    @property
    def checks(self) -> int:
        """Each kind of fault, outputs, padding, accesses."""
        return FAULT_KINDS + len(self.axes) + self.padded + 1


def choice(mistakes: Mistakes, options: Mapping[str, Option], default: Option) -> Option:
    """The option of the first mistake that is made, or the default."""
    return next((option for mistake, option in options.items() if mistake in mistakes), default)


def variants(name: str, text: str, *kinds: str) -> dict[str, str]:
    """Known mistakes of one name and explanation, which differ in what is in parentheses."""
    return {f"{name} ({kind})": text for kind in kinds}


def kind(mistakes: Mistakes, name: str) -> str:
    """What stands in the parentheses of the mistake of this name; empty if none is made."""
    return min((mistake[len(name) + 2 : -1] for mistake in mistakes if mistake.startswith(f"{name} (")), default="")


def name_of(mistake: str) -> str:
    """The name without what distinguishes it from mistakes of the same name."""
    return mistake.partition(" (")[0]


def copied(arguments: Arguments, dtype: Any = None) -> Arguments:
    """Copies of all arrays; with a dtype, floating-point ones are converted to it."""

    def copy(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return value.astype(dtype) if dtype and value.dtype.kind == "f" else value.copy()

    return {name: copy(value) for name, value in arguments.items()}


def with_nan(arguments: Arguments) -> list[str]:
    """Names of the arrays that contain NaN."""
    arrays = {name: value for name, value in arguments.items() if isinstance(value, np.ndarray)}
    return [name for name, array in arrays.items() if array.dtype.kind == "f" and np.isnan(array).any()]


def filled(arguments: Arguments) -> Arguments:
    """Copies with ordinary random numbers in place of NaN: if a function reads them, its result is wrong but finite."""
    rng, result = np.random.default_rng(0), copied(arguments)
    for name in with_nan(arguments):
        array = result[name]
        array[:] = np.where(np.isnan(array), rng.standard_normal(array.shape), array)
    return result


def hide_padding(lengths: Sequence[int], *arrays: np.ndarray) -> None:
    """Write NaN past the end of each utterance, in arrays (B, T, ...)."""
    for u, length in enumerate(lengths):
        for array in arrays:
            array[u, length:] = np.nan


def added(a: Arguments, sums: Outputs, mistakes: Mistakes) -> Outputs:
    """The gradients after the call: those before it plus the sums. Makes the mistakes of SUMS."""
    start = 0 if "accumulation forgotten (start lost)" in mistakes else 1
    share = len(a["x"]) if "divided by the batch size" in mistakes else 1
    return {name: start * a[name] + value / share for name, value in sums.items()}
