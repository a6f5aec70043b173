"""Check that a backward pass is the derivative of its forward pass, for any function of float64 arrays.

    check          compares with fourth-order central differences of the forward pass
    complex_step   compares with the derivative of a NumPy reference implementation, exact to rounding

    def forward(x, W): return x @ W
    def backward(dy, x, W): return {"x": dy @ W.T, "W": x.T @ dy}
    require(check(forward, backward, {"x": x, "W": W}))

The loss is L = Σ dy · y with a random dy: with dy = 1 whole gradients can vanish (batch norm's), and a wrong backward
pass would pass. Differences are computed for each element of y before they are summed, so a gradient that must be zero
has to be exactly zero. `forward` may also return a number or several arrays; dy has the same form.

Lengths, strides and the like belong into the closure of `forward` and `backward`. An input may contain NaN where the
op must not read (past the end of an utterance): the NaN stays, and the gradient there must be exactly 0.
docs/gradcheck.md has a complete example.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]
Forward = Callable[..., Any]  # returns an array, a number, or a tuple of them
Backward = Callable[..., Arrays]

# Relative to a tensor's root mean square. Measured on a strongly nonlinear recurrent net, as a share of the limit: the
# truncation error (h⁴) is 160 % at 2⁻⁹ and 0.6 % at 2⁻¹¹; from 2⁻¹³ on the rounding error is larger.
STEP = 2.0**-11
SMALL = 4096  # tensors up to this size are checked in every coordinate, larger ones in random directions
DIRECTIONS = 4  # per time slice, or per tensor without a time axis
SHORTER = (1.0, 1 / 4, 1 / 16, 1 / 64)  # step lengths tried near a kink; with shorter ones rounding is too large
MAX_AVOIDED = 0.1  # share of the probes that may lie on a kink and remain unchecked


@dataclass(frozen=True)
class GradientReport:
    """The result for one tensor: the probe with the largest error relative to its limit."""

    name: str
    error: float  # |backward - numerical| at that probe
    limit: float  # the largest allowed error there
    where: str
    probes: int  # coordinates or directions compared
    shortened: int = 0  # probes near a kink, compared with a shorter step
    avoided: int = 0  # probes on a kink, not compared
    backward: float = 0.0  # the two values at that probe
    numerical: float = 0.0
    method: str = "the differences'"  # that gives the numerical value

    @property
    def passed(self) -> bool:
        """False for NaN, if nothing was compared, and if too many probes were avoided, whatever the error is."""
        enough = self.probes > 0 and self.avoided <= MAX_AVOIDED * (self.probes + self.avoided)
        return enough and bool(np.isfinite(self.limit)) and self.error <= self.limit

    def __str__(self) -> str:
        verdict = "ok  " if self.passed else "FAIL"
        line = f"{verdict} d{self.name}: error {self.error:.1e}, limit {self.limit:.1e} at {self.where}"
        line += f", {self.probes} probes"
        if self.shortened + self.avoided:
            line += f", {self.shortened} shortened and {self.avoided} avoided at kinks"
        return line if self.passed else f"{line}; {self._reason()}"

    def _reason(self) -> str:
        """Why it failed; with the factor between the two values if it is informative."""
        if not np.isfinite(self.backward):
            return f"backward's gradient is {'not a number' if np.isnan(self.backward) else 'infinite'} there"
        if not self.probes:
            return "nothing was compared"
        if not np.isfinite(self.numerical):
            return f"{self.method} derivative is not a number there: forward returns NaN or infinity"
        if self.error <= self.limit:
            return f"more than {MAX_AVOIDED:.0%} of the probes lie on a kink"
        got, expected = f"backward's {self.backward:.6g}", f"{self.method} {self.numerical:.6g}"
        if not self.numerical or not self.backward:
            return f"{got} should be {expected}"
        factor = self.backward / self.numerical
        if f"{factor:.4g}" == "1":
            return f"{got} differs from {expected} by a relative error of {abs(factor - 1):.1e}"
        if f"{factor:.4g}" == "-1":
            return f"{got} is {expected} with the wrong sign"
        return f"{got} is {factor:.4g} times {expected}"


_listeners: list[Callable[[GradientReport], None]] = []


@contextmanager
def reports_to(listener: Callable[[GradientReport], None]) -> Iterator[None]:
    """In this context, call the listener with every report of `check` and `complex_step`."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def require(reports: Iterable[GradientReport]) -> None:
    """Raise AssertionError with all reports unless there are some and all of them passed."""
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
    backward(dy, **inputs) -> dict  input name -> gradient of Σ dy · y, of the input's shape; dy has the form of y
    inputs      name -> array; those in `wrt` (default: all) are float64
    directions  None: every coordinate of tensors up to SMALL elements, DIRECTIONS random directions of larger ones;
                a number: so many random directions for every tensor and time slice
    time_axis   name -> axis: each index along it has its own limit, so an error in a late frame with a small gradient
                is found
    kinks       kinks(**inputs) -> array that changes sign where forward has a kink (ReLU: the pre-activation; a floor:
                power - floor). A probe whose step would cross a kink gets a shorter step; a probe on a kink is avoided.
                Both are counted, and too many avoided probes fail. Without `kinks` a crossed kink appears as an error.
    step        h relative to the tensor's root mean square

    Raises TypeError for inputs that are not float64, ValueError for a gradient that is missing or of the wrong shape.
    """
    names = _float64(inputs, wrt)
    rng = np.random.default_rng(seed)
    dy = _random_like(forward(**inputs), rng)
    gradients = _gradients(backward, dy, inputs, names)
    reports = []
    for name in names:
        h = step * _scale(inputs[name])
        comparison = _Comparison(name, "the differences'")
        for where, region, direction in _probes(inputs[name], (time_axis or {}).get(name), directions, rng):
            clear = _clear_step(kinks, inputs, name, direction, h)
            if clear == 0:
                comparison.avoided += 1
                continue
            comparison.shortened += clear < h
            numerical = _difference(forward, inputs, name, direction, clear, dy)
            moved = direction != 0
            analytic = np.sum(gradients[name][moved] * direction[moved])
            comparison.add(where, region, analytic, numerical, float(np.max(np.abs(gradients[name][moved]))))
        reports.append(comparison.report(gradients[name], tol))
    return reports


def complex_step(
    reference: Forward,
    backward: Backward,
    inputs: Arrays,
    *,
    wrt: Sequence[str] | None = None,
    seed: int = 0,
    tol: float = 1e-9,
) -> list[GradientReport]:
    """Compare `backward` with the complex step through `reference`: |error| <= tol · |gradient|, element by element.

    reference(**inputs) -> y   the same formula, written simply and safe for complex arguments: no abs, no maximum;
                               branches depend on the real part only, np.where(z.real > 0, z, 0). Nothing cancels for
                               the step 1e-30 i, so Im Σ dy · y / 1e-30 is the derivative to rounding, and no kink is
                               ever crossed.
    The other parameters are those of `check`. Raises TypeError if `reference` drops the imaginary part.
    """
    names = _float64(inputs, wrt)
    dy = _random_like(reference(**inputs), np.random.default_rng(seed))
    gradients = _gradients(backward, dy, inputs, names)
    reports = []
    for name in names:
        comparison = _Comparison(name, "the complex step's")
        for index in np.ndindex(inputs[name].shape):
            moved = inputs[name].astype(np.complex128)
            moved[index] += 1e-30j
            y = reference(**{**inputs, name: moved})
            if not any(map(np.iscomplexobj, _parts(y))):
                raise TypeError(f"the reference is not complex-safe: it drops the imaginary part of {name}")
            products = (d * np.imag(part) for d, part in zip(_parts(dy), _parts(y), strict=True))
            derivative = sum(float(np.sum(product)) for product in products) / 1e-30
            comparison.add(str(index), index, float(gradients[name][index]), derivative, abs(derivative))
        reports.append(comparison.report(gradients[name], tol))
    return reports


@dataclass
class _Comparison:
    """The probes of one tensor, until they become its report."""

    name: str
    method: str
    shortened: int = 0
    avoided: int = 0
    probes: list[tuple] = field(default_factory=list)

    def add(self, where: str, region: object, backward: float, numerical: float, size: float) -> None:
        """Add a probe. Its limit is relative to the largest size in its region (time slice)."""
        self.probes.append((where, region, float(backward), float(numerical), size))

    def report(self, gradient: np.ndarray, tol: float) -> GradientReport:
        report = self._report(gradient, tol)
        for listener in _listeners:
            listener(report)
        return report

    def _report(self, gradient: np.ndarray, tol: float) -> GradientReport:
        counts = (len(self.probes), self.shortened, self.avoided)
        if not np.isfinite(gradient).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(gradient))[0])
            return GradientReport(self.name, np.nan, np.nan, str(index), *counts, backward=float(gradient[index]))
        if not self.probes:
            return GradientReport(self.name, np.nan, np.nan, "no probe", *counts)
        where, regions, analytic, numerical, sizes = zip(*self.probes, strict=True)
        largest: dict[object, float] = {}
        for region, size in zip(regions, sizes, strict=True):
            largest[region] = max(size, largest.get(region, 0.0))
        errors = np.abs(np.subtract(analytic, numerical))
        limits = tol * np.array([largest[region] for region in regions])
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(errors == 0, 0.0, errors / limits)
        worst = int(np.argmax(excess))  # the first NaN, if there is one
        error, limit = float(errors[worst]), float(limits[worst])
        values = analytic[worst], numerical[worst]
        return GradientReport(self.name, error, limit, where[worst], *counts, *values, self.method)


def _parts(y: Any) -> tuple:
    return y if isinstance(y, tuple) else (y,)


def _random_like(y: Any, rng: np.random.Generator) -> Any:
    """dy for y: an array, or a tuple of arrays if y is a tuple."""
    drawn = tuple(rng.standard_normal(np.shape(part)) for part in _parts(y))
    return drawn if isinstance(y, tuple) else drawn[0]


def _float64(inputs: Arrays, wrt: Sequence[str] | None) -> list[str]:
    names = list(inputs if wrt is None else wrt)
    for name in names:
        dtype = getattr(inputs[name], "dtype", type(inputs[name]).__name__)
        if dtype != np.float64:
            raise TypeError(f"{name} is {dtype}: gradients are checked in float64, pass {name}.astype(np.float64)")
    return names


def _gradients(backward: Backward, dy: np.ndarray, inputs: Arrays, names: list[str]) -> Arrays:
    gradients = backward(dy, **inputs)
    if not isinstance(gradients, Mapping):
        raise ValueError(f"backward returned {type(gradients).__name__}, not a dict from input names to gradients")
    for name in names:
        if name not in gradients:
            raise ValueError(f"backward returned no gradient of {name}")
        if np.shape(gradients[name]) != inputs[name].shape:
            shapes = f"{np.shape(gradients[name])}, {name} has {inputs[name].shape}"
            raise ValueError(f"the gradient of {name} has shape {shapes}")
    return {name: np.asarray(gradients[name]) for name in names}


def _scale(x: np.ndarray) -> float:
    """Root mean square of the finite elements; 1 if it is zero or there are none."""
    finite = x[np.isfinite(x)]
    return float(np.sqrt(np.mean(finite**2))) or 1.0 if finite.size else 1.0


def _probes(
    x: np.ndarray, axis: int | None, directions: int | None, rng: np.random.Generator
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Where, time slice and direction of each probe. A direction is one coordinate, or signs ±1 in a time slice."""
    if directions is None and x.size <= SMALL:
        for index in np.ndindex(x.shape):
            direction = np.zeros(x.shape)
            direction[index] = 1.0
            yield str(index), index[axis] if axis is not None else 0, direction
        return
    for t in range(x.shape[axis] if axis is not None else 1):
        region = np.zeros(x.shape, bool)
        region[... if axis is None else (slice(None),) * (axis % x.ndim) + (t,)] = True
        frame = "" if axis is None else f" of frame {t}"
        for number in range(directions or DIRECTIONS):
            yield f"direction {number}{frame}", t, np.where(region, rng.choice([-1.0, 1.0], x.shape), 0.0)


def _moved(inputs: Arrays, name: str, direction: np.ndarray, distance: float) -> Arrays:
    return {**inputs, name: inputs[name] + distance * direction}


def _difference(forward: Forward, inputs: Arrays, name: str, direction: np.ndarray, h: float, dy: Any) -> float:
    """Fourth-order central difference of Σ dy · y along the direction; h is the Euclidean length of the step."""
    length = h / np.sqrt(np.count_nonzero(direction))
    outputs = (_parts(forward(**_moved(inputs, name, direction, k * length))) for k in (2, 1, -1, -2))
    total = 0.0
    for d, y2, y1, y_1, y_2 in zip(_parts(dy), *outputs, strict=True):
        total += float(np.sum(d * (8 * (y1 - y_1) - (y2 - y_2))))
    return total / (12 * length)


def _clear_step(kinks: Forward | None, inputs: Arrays, name: str, direction: np.ndarray, h: float) -> float:
    """The longest of a few steps that crosses no kink; 0 if there is none."""
    if kinks is None:
        return h
    signs = np.sign(kinks(**inputs))
    for share in SHORTER:
        length = share * h / np.sqrt(np.count_nonzero(direction))
        moved = (np.sign(kinks(**_moved(inputs, name, direction, k * length))) for k in (-2, -1, 1, 2))
        if all(np.array_equal(signs, other, equal_nan=True) for other in moved):
            return share * h
    return 0.0
