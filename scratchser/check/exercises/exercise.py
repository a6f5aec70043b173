"""What an exercise is: its function's form, the cases it is tried on, the truth, and the mistakes that have a name.

The truth of an exercise is one slow text that can also be wrong on purpose: truth(arguments, mistake) returns what the
function would give that has just this mistake, and "" is none. A learner's wrong result is then not guessed at: a
mistake is named where the numbers are those of that mistake in every case, and not otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchser.gradcheck import GradientReport

Arguments = dict[str, Any]  # by parameter, in order
Outputs = dict[str, np.ndarray]  # by name

UNTOUCHED = -12345.0  # what stands in an output of a CUDA kernel before it is written


@dataclass(frozen=True)
class Mistake:
    """name   three or four words, for a teacher's table;   hint   what to look at"""

    name: str
    hint: str


@dataclass(frozen=True)
class Exercise:
    """A function of arrays, for the CPU.

    name        of the exercise and of its function
    parameters  of the function
    returns     names of what it returns
    changes     parameters that it writes to
    cases       name -> arguments in float64. NaN stands where the function must not look: past an utterance's end
    truth       (arguments, mistake) -> outputs: what is returned and what is changed
    mistakes    mistake -> its name and hint
    axes        output -> what its indices are called
    gradients   (function) -> reports of finite differences, for a backward pass; differences is their number
    timed       arguments that take plain Python loops a fraction of a second
    ours        the package's kernel for those; ours_is says what else it does
    """

    name: str
    parameters: tuple[str, ...]
    returns: tuple[str, ...]
    cases: Callable[[], dict[str, Arguments]]
    truth: Callable[[Arguments, str], Outputs]
    mistakes: Mapping[str, Mistake]
    changes: tuple[str, ...] = ()
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gradients: Callable[[Callable[..., Any]], list[GradientReport]] | None = None
    differences: int = 0
    timed: Callable[[], Arguments] | None = None
    ours: Callable[[Arguments], Callable[[], Any]] | None = None
    ours_is: str = "ours"

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.returns + self.changes


@dataclass(frozen=True)
class Launch:
    """One launch of a CUDA kernel; arguments as above, in float32."""

    grid: Any
    block: Any
    arguments: Arguments


@dataclass(frozen=True)
class Cost:
    """Accesses of all threads of a launch together; `what` says of which kernel these are.

    Those of global memory are the most that is allowed; those of shared memory are shown beside the learner's.
    """

    what: str
    global_reads: int
    global_writes: int
    shared_reads: int | None = None
    shared_writes: int | None = None


@dataclass(frozen=True)
class CudaExercise:
    """A CUDA kernel, run by the tracer.

    constant   (name, smallest, largest) of the module's constant that the launch follows
    cases      (constant) -> name -> launch. NaN stands where the kernel must not look
    truth      (arguments, mistake, constant) -> what is changed
    changes    parameters that the kernel writes to
    counted    the case whose accesses are the score
    cost       (launch of that case) -> the most that the score allows
    """

    name: str
    parameters: tuple[str, ...]
    changes: tuple[str, ...]
    constant: tuple[str, int, int]
    cases: Callable[[int], dict[str, Launch]]
    truth: Callable[..., Outputs]
    mistakes: Mapping[str, Mistake]
    counted: str
    cost: Callable[[Launch], Cost]
    wasteful: str  # the hint for a kernel that needs more
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    returns: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.changes


def copied(arguments: Arguments, dtype: Any = None) -> Arguments:
    """Arrays of their own, floating ones of another dtype if one is given."""

    def copy(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return value.astype(dtype) if dtype and value.dtype.kind == "f" else value.copy()

    return {name: copy(value) for name, value in arguments.items()}


def filled(arguments: Arguments, seed: int = 0) -> Arguments:
    """NaN exchanged for numbers of ordinary size: what is read there shows as a wrong result, and can be recognised."""
    rng = np.random.default_rng(seed)

    def fill(value: Any) -> Any:
        if not (isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isnan(value).any()):
            return value
        return np.where(np.isnan(value), rng.standard_normal(value.shape), value).astype(value.dtype)

    return {name: fill(value) for name, value in copied(arguments).items()}
