"""Is a hand-written backward pass the derivative of its forward pass?

Two independent answers, for any function of float64 arrays:

    check          fourth-order central differences of the forward pass itself; nothing else is needed
    complex_step   the derivative of a slow NumPy text of the same formula, exact to rounding

A scalar is made of the output by a random dy, L = Σ dy · y: with dy = 1 whole gradients can vanish (batch norm's), and
a wrong backward would pass. Differences are taken output by output before they are summed, so outputs that an input
cannot reach cancel exactly, and a gradient that must be zero has to be zero.

    def forward(x, W): return x @ W
    def backward(dy, x, W): return {"x": dy @ W.T, "W": x.T @ dy}
    require(check(forward, backward, {"x": x, "W": W}))

docs/gradcheck.md has a complete example. A forward may also return several arrays, or a number: dy is what it returns,
one random number for each of its numbers.

Lengths, strides and the like belong in the closure of `forward` and `backward`. An input may hold NaN where the op must
not look (past an utterance's end): it stays NaN, and the gradient there must be exactly 0.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]
Forward = Callable[..., Any]  # an array, a number, or a tuple of them
Backward = Callable[..., Arrays]

# Of a tensor's root mean square. Measured on a wild recurrent net, as a share of the limit: truncation (h⁴) takes 160 %
# at 2⁻⁹ and 0.6 % at 2⁻¹¹; rounding takes over from 2⁻¹³ on.
STEP = 2.0**-11
SMALL = 4096  # up to this size every coordinate is probed, above it random directions
DIRECTIONS = 4  # per time slice, or per tensor without time axis
SHORTER = (1.0, 1 / 4, 1 / 16, 1 / 64)  # step lengths tried next to a kink; still shorter ones drown in rounding
MAX_AVOIDED = 0.1  # share of the probes that may lie on a kink and remain unchecked


@dataclass(frozen=True)
class GradientReport:
    """What was found for one tensor: the probe that comes nearest to its limit, or exceeds it most."""

    name: str
    error: float  # |backward - numerical| at the worst probe
    limit: float  # what was allowed there
    where: str
    probes: int  # coordinates or directions compared
    shortened: int = 0  # probes near a kink, compared with a shorter step
    avoided: int = 0  # probes on a kink, not compared
    backward: float = 0.0  # what the two said at the worst probe
    numerical: float = 0.0
    whose: str = "the differences'"  # numerical value that is

    @property
    def passed(self) -> bool:
        """False for NaN, for nothing compared and for too much avoided, whatever the error."""
        enough = self.probes > 0 and self.avoided <= MAX_AVOIDED * (self.probes + self.avoided)
        return enough and bool(np.isfinite(self.limit)) and self.error <= self.limit

    def __str__(self) -> str:
        verdict = "ok  " if self.passed else "FAIL"
        line = f"{verdict} d{self.name}: error {self.error:.1e}, limit {self.limit:.1e} at {self.where}"
        line += f", {self.probes} probes"
        if self.shortened + self.avoided:
            line += f", {self.shortened} shortened and {self.avoided} avoided at kinks"
        return line if self.passed else f"{line}; {self._compared()}"

    def _compared(self) -> str:
        """Why it has not passed, in words; with a factor where that says something."""
        if np.isnan(self.backward) or np.isinf(self.backward):
            return f"backward's gradient is {'not a number' if np.isnan(self.backward) else 'infinite'} there"
        if not self.probes:
            return "nothing was compared"
        if not np.isfinite(self.numerical):
            return f"{self.whose} derivative is not a number there: forward gives NaN or infinity"
        if self.error <= self.limit:
            return f"more than {MAX_AVOIDED:.0%} of the probes lie on a kink"
        mine, other = f"backward's {self.backward:.6g}", f"{self.whose} {self.numerical:.6g}"
        if not self.numerical or not self.backward:
            return f"{mine} should be {other}"
        factor = self.backward / self.numerical
        if f"{factor:.4g}" == "1":
            return f"{mine} has the right size, but is off from {other} by {abs(factor - 1):.1e} of it"
        if f"{factor:.4g}" == "-1":
            return f"{mine} is {other} with the wrong sign"
        return f"{mine} is {factor:.4g} times {other}"


_listeners: list[Callable[[GradientReport], None]] = []


@contextmanager
def heard_by(listener: Callable[[GradientReport], None]) -> Iterator[None]:
    """Within, the listener gets every report that `check` and `complex_step` make: a test run prints them."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def require(reports: Iterable[GradientReport]) -> None:
    """Raise AssertionError with all reports as its message unless there are some and every one has passed."""
    reports = list(reports)
    if not reports or not all(report.passed for report in reports):
        raise AssertionError("\n".join(["backward is not the derivative of forward", *map(str, reports)]))


def check(
    forward: Forward,
    backward: Backward,
    inputs: Arrays,
    *,
    wrt: Sequence[str] | None = None,
    seed: int = 0,
    directions: int | None = None,
    time_axis: Mapping[str, int] | None = None,
    kinks: Forward | None = None,
    step: float = STEP,
    tol: float = 1e-8,
) -> list[GradientReport]:
    """Compare `backward` with central differences: |error| <= tol · max |gradient|, per tensor and time slice.

    forward(**inputs) -> y          an array of any shape, a number, or a tuple of them
    backward(dy, **inputs) -> dict  input name -> gradient of Σ dy · y, of the input's shape; dy is made like y
    inputs      name -> array; those in `wrt` (default: all) are float64
    directions  None: every coordinate of tensors up to SMALL elements, DIRECTIONS random ones of larger tensors;
                a number: so many random directions for every tensor and time slice
    time_axis   name -> axis: each index along it has a limit of its own, so late frames cannot hide behind early ones
    kinks       kinks(**inputs) -> array that changes sign where forward has a kink (ReLU: the pre-activation; a floor:
                power - floor). A probe whose step would cross one is taken shorter, or, on the kink itself, avoided;
                both are counted, and too many avoided fail. Without it a crossed kink shows as an error.
    step        h as a fraction of the tensor's root mean square

    Raises TypeError for inputs that are not float64, ValueError for a gradient that is missing or of the wrong shape.
    """
    names = _float64(inputs, wrt)
    rng = np.random.default_rng(seed)
    dy = _random_like(forward(**inputs), rng)
    gradients = _gradients(backward, dy, inputs, names)
    reports = []
    for name in names:
        axis = (time_axis or {}).get(name)
        h = step * _scale(inputs[name])
        findings = _Findings(name, "the differences'")
        for where, region, direction in _probes(inputs[name], axis, directions, rng):
            clear = _clear_step(kinks, inputs, name, direction, h)
            if clear == 0:
                findings.avoided += 1
                continue
            findings.shortened += clear < h
            numerical = _difference(forward, inputs, name, direction, clear, dy)
            moved = direction != 0
            analytic = np.sum(gradients[name][moved] * direction[moved])
            findings.add(where, region, analytic, numerical, float(np.max(np.abs(gradients[name][moved]))))
        reports.append(findings.report(gradients[name], tol))
    return reports


def complex_step(
    truth: Forward,
    backward: Backward,
    inputs: Arrays,
    *,
    wrt: Sequence[str] | None = None,
    seed: int = 0,
    tol: float = 1e-9,
) -> list[GradientReport]:
    """Compare `backward` with the complex step through `truth`: |error| <= tol · |gradient|, element by element.

    truth(**inputs) -> y   the formula once more, plainly and safe for complex arguments: no abs, no maximum; a branch
                           asks for the real part only, np.where(z.real > 0, z, 0). The step 1e-30 i cancels nothing,
                           so Im Σ dy · y / 1e-30 is the derivative to rounding, and no kink is ever crossed.
    The rest as for `check`. Raises TypeError where truth has dropped the imaginary part.
    """
    names = _float64(inputs, wrt)
    dy = _random_like(truth(**inputs), np.random.default_rng(seed))
    gradients = _gradients(backward, dy, inputs, names)
    reports = []
    for name in names:
        findings = _Findings(name, "the complex step's")
        for index in np.ndindex(inputs[name].shape):
            moved = inputs[name].astype(np.complex128)
            moved[index] += 1e-30j
            y = truth(**{**inputs, name: moved})
            if not any(map(np.iscomplexobj, _parts(y))):
                raise TypeError(f"truth is not complex-safe: it drops the imaginary part of {name}")
            products = (d * np.imag(part) for d, part in zip(_parts(dy), _parts(y), strict=True))
            derivative = sum(float(np.sum(product)) for product in products) / 1e-30
            findings.add(str(index), index, float(gradients[name][index]), derivative, abs(derivative))
        reports.append(findings.report(gradients[name], tol))
    return reports


class _Findings:
    """The probes of one tensor, until they become its report."""

    def __init__(self, name: str, whose: str) -> None:
        self.name = name
        self.whose = whose
        self.shortened = 0
        self.avoided = 0
        self._where: list[str] = []
        self._regions: list[object] = []
        self._values: list[tuple[float, float]] = []
        self._sizes: list[float] = []

    def add(self, where: str, region: object, backward: float, numerical: float, size: float) -> None:
        """One comparison; the largest size within a region (time slice) is what its errors are measured against."""
        self._where.append(where)
        self._regions.append(region)
        self._values.append((float(backward), float(numerical)))
        self._sizes.append(size)

    def report(self, gradient: np.ndarray, tol: float) -> GradientReport:
        report = self._report(gradient, tol)
        for listener in _listeners:
            listener(report)
        return report

    def _report(self, gradient: np.ndarray, tol: float) -> GradientReport:
        if not np.isfinite(gradient).all():
            bad = tuple(int(i) for i in np.argwhere(~np.isfinite(gradient))[0])
            counts = (len(self._values), self.shortened, self.avoided)
            return GradientReport(self.name, np.nan, np.nan, str(bad), *counts, backward=float(gradient[bad]))
        if not self._values:
            return GradientReport(self.name, np.nan, np.nan, "no probe", 0, self.shortened, self.avoided)
        largest: dict[object, float] = {}
        for region, size in zip(self._regions, self._sizes, strict=True):
            largest[region] = max(size, largest.get(region, 0.0))
        errors = np.abs(np.subtract(*np.transpose(self._values)))
        limits = tol * np.array([largest[region] for region in self._regions])
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(errors == 0, 0.0, errors / limits)
        worst = int(np.argmax(excess))  # the first NaN, if there is one
        counts = (len(errors), self.shortened, self.avoided)
        place, values = self._where[worst], self._values[worst]
        return GradientReport(
            self.name, float(errors[worst]), float(limits[worst]), place, *counts, *values, self.whose
        )


def _parts(y: Any) -> tuple:
    return y if isinstance(y, tuple) else (y,)


def _random_like(y: Any, rng: np.random.Generator) -> Any:
    """dy for y: an array, or a tuple of them where y is one."""
    drawn = tuple(rng.standard_normal(np.shape(part)) for part in _parts(y))
    return drawn if isinstance(y, tuple) else drawn[0]


def _float64(inputs: Arrays, wrt: Sequence[str] | None) -> list[str]:
    names = list(inputs if wrt is None else wrt)
    for name in names:
        kind = getattr(inputs[name], "dtype", type(inputs[name]).__name__)
        if kind != np.float64:
            raise TypeError(f"{name} is {kind}: gradients are checked in float64, pass {name}.astype(np.float64)")
    return names


def _gradients(backward: Backward, dy: np.ndarray, inputs: Arrays, names: list[str]) -> Arrays:
    gradients = backward(dy, **inputs)
    if not isinstance(gradients, Mapping):
        raise ValueError(f"backward returned {type(gradients).__name__}, not a gradient by the name of each input")
    for name in names:
        if name not in gradients:
            raise ValueError(f"backward returned no gradient of {name}")
        if np.shape(gradients[name]) != inputs[name].shape:
            shapes = f"{np.shape(gradients[name])}, {name} has {inputs[name].shape}"
            raise ValueError(f"the gradient of {name} has shape {shapes}")
    return {name: np.asarray(gradients[name]) for name in names}


def _scale(x: np.ndarray) -> float:
    """Root mean square of the finite elements; 1 where that is zero or there are none."""
    finite = x[np.isfinite(x)]
    return float(np.sqrt(np.mean(finite**2))) or 1.0 if finite.size else 1.0


def _probes(
    x: np.ndarray, axis: int | None, directions: int | None, rng: np.random.Generator
) -> Iterator[tuple[str, int, np.ndarray]]:
    """(where, time slice, direction); a direction is one coordinate, or signs ±1 all over a time slice."""
    if directions is None and x.size <= SMALL:
        for index in np.ndindex(x.shape):
            direction = np.zeros(x.shape)
            direction[index] = 1.0
            yield str(index), index[axis] if axis is not None else 0, direction
        return
    for t in range(x.shape[axis] if axis is not None else 1):
        region = np.zeros(x.shape, bool)
        region[... if axis is None else (slice(None),) * (axis % x.ndim) + (t,)] = True
        place = "" if axis is None else f" of frame {t}"
        for number in range(directions or DIRECTIONS):
            yield f"direction {number}{place}", t, np.where(region, rng.choice([-1.0, 1.0], x.shape), 0.0)


def _along(inputs: Arrays, name: str, direction: np.ndarray, distance: float) -> Arrays:
    return {**inputs, name: inputs[name] + distance * direction}


def _difference(forward: Forward, inputs: Arrays, name: str, direction: np.ndarray, h: float, dy: Any) -> float:
    """Fourth-order central difference of Σ dy · y along the direction; h is the Euclidean length of the step."""
    length = h / np.sqrt(np.count_nonzero(direction))
    later, sooner, late, soon = (_parts(forward(**_along(inputs, name, direction, k * length))) for k in (2, 1, -1, -2))
    total = 0.0
    for d, y2, y1, y_1, y_2 in zip(_parts(dy), later, sooner, late, soon, strict=True):
        total += float(np.sum(d * (8 * (y1 - y_1) - (y2 - y_2))))
    return total / (12 * length)


def _clear_step(kinks: Forward | None, inputs: Arrays, name: str, direction: np.ndarray, h: float) -> float:
    """The longest of a few steps that keeps to one side of every kink; 0 if there is none."""
    if kinks is None:
        return h
    here = np.sign(kinks(**inputs))
    for share in SHORTER:
        length = share * h / np.sqrt(np.count_nonzero(direction))
        there = (np.sign(kinks(**_along(inputs, name, direction, k * length))) for k in (-2, -1, 1, 2))
        if all(np.array_equal(here, side, equal_nan=True) for side in there):
            return share * h
    return 0.0
