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
Functions may work in place and reuse a buffer: they get copies, and what they return is copied.
docs/gradcheck.md has a complete example.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
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
    hint: str = ""  # at a cause that is not the formula

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
        return line if self.passed else "; ".join(filter(None, [line, self._reason(), self.hint]))

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
            single = ": is something float32?" if 1e-9 < abs(factor - 1) < 1e-6 else ""
            return f"{got} differs from {expected} by a relative error of {abs(factor - 1):.1e}{single}"
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

    Raises TypeError for inputs that are not float64, and for outputs and gradients that are not real arrays or numbers;
    ValueError for an unknown name or axis, and for a gradient that is missing or of the wrong shape.
    """
    axes = {} if time_axis is None else time_axis
    names = _names(inputs, wrt, axes, tol)
    rng = np.random.default_rng(seed)
    dy = _random_like(forward(**_copies(inputs)), rng, "forward")
    gradients = _gradients(backward, dy, inputs, names)
    reports = []
    for name, gradient in gradients.items():
        h = step * _scale(inputs[name])
        limit = tol * np.abs(gradient).max(initial=0.0)
        probes, shortened, avoided, hint = [], 0, 0, ""
        for where, region, direction in _probes(inputs[name], axes.get(name), directions, rng):
            clear = _clear_step(kinks, inputs, name, direction, h)
            if clear == 0:
                avoided += 1
                continue
            shortened += clear < h
            numerical = _difference(forward, inputs, name, direction, clear, dy)
            moved = direction != 0
            analytic = float(np.sum(gradient[moved] * direction[moved]))
            probes.append((where, region, analytic, numerical, float(np.max(np.abs(gradient[moved])))))
            if abs(analytic - numerical) > limit:  # is the difference exact?
                halved = _difference(forward, inputs, name, direction, clear / 2, dy)
                if abs(halved - numerical) > max(limit, tol * abs(numerical)):
                    hint = "half the step gives another difference: is forward random or in float32, or has it a kink?"
        reports.append(_report(name, gradient, probes, tol, shortened=shortened, avoided=avoided, hint=hint))
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
    names = _names(inputs, wrt, {}, tol)
    rng = np.random.default_rng(seed)
    dy = _random_like(reference(**_copies(inputs)), rng, "reference")
    gradients = _gradients(backward, dy, inputs, names)
    reports = []
    for name, gradient in gradients.items():
        signs = rng.choice([-1.0, 1.0], gradient.shape)
        shifted = _outputs(reference, _moved(inputs, name, signs, STEP * _scale(inputs[name])))
        probes = []
        for index in np.ndindex(gradient.shape):
            moved = inputs[name].astype(np.complex128)
            moved[index] += 1e-30j
            parts = _parts(_outputs(reference, {**inputs, name: moved}))
            real = [(a, b) for a, b in zip(parts, _parts(shifted), strict=True) if np.isrealobj(a)]
            if not all(np.array_equal(a, b, equal_nan=True) for a, b in real):
                raise TypeError(f"the reference is not complex-safe: it drops the imaginary part of {name}")
            products = (d * np.imag(part) for d, part in zip(_parts(dy), parts, strict=True))
            derivative = sum(float(np.sum(product)) for product in products) / 1e-30
            probes.append((str(index), index, float(gradient[index]), derivative, abs(derivative)))
        reports.append(_report(name, gradient, probes, tol, method="the complex step's"))
    return reports


def _report(name: str, gradient: np.ndarray, probes: list[tuple], tol: float, **fields: Any) -> GradientReport:
    """The report of the probe with the largest error relative to its limit. The listeners get it, too.

    A probe is (where, region, backward's value, numerical value, size). Each region, a time slice or an element, has
    its own limit, relative to the largest size in it.
    """
    report = GradientReport(name, np.nan, np.nan, "no probe", len(probes), **fields)
    if not np.isfinite(gradient).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(gradient))[0])
        report = replace(report, where=str(index), backward=float(gradient[index]))
    elif probes:
        where, regions, analytic, numerical, sizes = zip(*probes, strict=True)
        largest: dict[object, float] = {}
        for region, size in zip(regions, sizes, strict=True):
            largest[region] = max(size, largest.get(region, 0.0))
        errors = np.abs(np.subtract(analytic, numerical))
        limits = tol * np.array([largest[region] for region in regions])
        with np.errstate(divide="ignore", invalid="ignore"):
            worst = int(np.argmax(np.where(errors == 0, 0.0, errors / limits)))  # the first NaN, if there is one
        report = replace(report, error=float(errors[worst]), limit=float(limits[worst]), where=where[worst])
        report = replace(report, backward=analytic[worst], numerical=numerical[worst])
    for listener in _listeners:
        listener(report)
    return report


def _names(inputs: Arrays, wrt: Sequence[str] | None, axes: Mapping[str, int], tol: float) -> list[str]:
    """The inputs whose gradients are checked. Raises an error for options that do not fit the inputs."""
    if isinstance(wrt, str) or not isinstance(wrt, Iterable | None) or not isinstance(axes, Mapping):
        raise TypeError("wrt must be a list of names, and time_axis a dict from names to axes")
    if not 0 < tol < np.inf:
        raise ValueError(f"tol is {tol}, must be positive and finite")
    names = list(inputs if wrt is None else wrt)
    for name in [*names, *axes]:
        if name not in inputs:
            raise ValueError(f"there is no input {name!r}: the inputs are {', '.join(inputs)}")
    for name in names:
        if _dtype(inputs[name]) != "float64":
            raise TypeError(f"{name} is {_dtype(inputs[name])}, must be float64: pass np.asarray({name}, np.float64)")
    for name, axis in axes.items():
        shape = np.shape(inputs[name])
        if not isinstance(axis, int | np.integer) or type(axis) is bool or not -len(shape) <= axis < len(shape):
            raise ValueError(f"time_axis of {name} is {axis!r}, must be an axis of its shape {shape}")
    return names


def _dtype(value: Any) -> str:
    return str(getattr(value, "dtype", type(value).__name__))


def _copies(inputs: Arrays) -> dict[str, np.ndarray]:
    return {name: deepcopy(value) for name, value in inputs.items()}


def _outputs(function: Forward, inputs: Arrays) -> Any:
    """A copy of what the function returns for copies of the inputs."""
    return deepcopy(function(**_copies(inputs)))


def _parts(y: Any) -> tuple:
    return y if isinstance(y, tuple) else (y,)


def _check_real(y: Any, role: str) -> None:
    for part in _parts(y):
        if not _dtype(part).startswith("float"):
            raise TypeError(f"{role} returned {_dtype(part)}, must return real floats: an array, a number or a tuple")


def _random_like(y: Any, rng: np.random.Generator, role: str) -> Any:
    """dy for y: an array, or a tuple of arrays if y is a tuple."""
    _check_real(y, role)
    if not sum(map(np.size, _parts(y))):
        raise ValueError(f"{role} returned no numbers: there is nothing to check")
    drawn = tuple(rng.standard_normal(np.shape(part)) for part in _parts(y))
    return drawn if isinstance(y, tuple) else drawn[0]


def _gradients(backward: Backward, dy: Any, inputs: Arrays, names: list[str]) -> dict[str, np.ndarray]:
    """A copy of what backward returns."""
    gradients = backward(deepcopy(dy), **_copies(inputs))
    if not isinstance(gradients, Mapping):
        raise ValueError(f"backward returned {type(gradients).__name__}, not a dict from input names to gradients")
    for name in names:
        if name not in gradients:
            raise ValueError(f"backward returned no gradient of {name}")
        if np.asarray(gradients[name]).dtype.kind not in "iuf":
            raise TypeError(f"the gradient of {name} is {_dtype(gradients[name])}, not an array of real numbers")
        if np.shape(gradients[name]) != inputs[name].shape:
            shapes = f"{np.shape(gradients[name])}, {name} has {inputs[name].shape}"
            raise ValueError(f"the gradient of {name} has shape {shapes}")
    return {name: np.array(gradients[name]) for name in names}


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
    moved = (_moved(inputs, name, direction, k * length) for k in (2, 1, -1, -2))
    outputs = [_outputs(forward, arrays) for arrays in moved]
    for y in outputs:
        _check_real(y, "forward")  # at the first call it was
        if [np.shape(part) for part in _parts(y)] != [np.shape(part) for part in _parts(dy)]:
            raise ValueError("forward returned other shapes when it was called again")
    total = 0.0
    for d, y2, y1, y_1, y_2 in zip(_parts(dy), *map(_parts, outputs), strict=True):
        total += float(np.sum(d * (8 * (y1 - y_1) - (y2 - y_2))))
    return total / (12 * length)


def _clear_step(kinks: Forward | None, inputs: Arrays, name: str, direction: np.ndarray, h: float) -> float:
    """The longest of a few steps that crosses no kink; 0 if there is none."""
    if kinks is None:
        return h
    values = _outputs(kinks, inputs)
    if np.asarray(values).dtype.kind not in "iuf":
        raise TypeError(f"kinks returned {_dtype(values)}, must return an array of real numbers")
    signs = np.sign(values)
    for share in SHORTER:
        length = share * h / np.sqrt(np.count_nonzero(direction))
        moved = (_moved(inputs, name, direction, k * length) for k in (-2, -1, 1, 2))
        others = (np.sign(_outputs(kinks, arrays)) for arrays in moved)
        if all(np.array_equal(signs, other, equal_nan=True) for other in others):
            return share * h
    return 0.0
