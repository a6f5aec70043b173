"""The gradient check itself: right backward passes pass, planted wrong ones fail, with every method."""

from functools import partial

import numpy as np
import pytest

from scratchser.gradcheck import GradientReport, check, complex_step, reports_to, require

LENGTHS = (6, 1, 4)
FAULTS = ["transposed index", "missing accumulate", "off by one frame", "sign", "forgotten mask", "factor 2"]
FAULTS += ["cut short in time", "one element by 1e-6", "zero", "NaN"]


def recurrent(x, W, R, h0):
    """A small recurrent net with lengths: y[b, t] = h_t = tanh(x_t W + h_{t-1} R), zero past the end."""
    y = np.zeros(x.shape[:2] + h0.shape[1:], np.result_type(x, W, R, h0))
    for b, length in enumerate(LENGTHS):
        h = h0[b]
        for t in range(length):
            h = y[b, t] = np.tanh(x[b, t] @ W + h @ R)
    return y


def recurrent_backward(dy, x, W, R, h0, fault=""):
    """Its derivative, with a planted fault if one is given."""
    y = recurrent(x, W, R, h0)
    x = np.nan_to_num(x)
    dx, dW, dR, dh0 = (np.zeros(a.shape) for a in (x, W, R, h0))
    for b, length in enumerate(LENGTHS):
        dh = np.zeros(h0.shape[1])
        for t in reversed(range(x.shape[1] if fault == "forgotten mask" else length)):
            if fault == "cut short in time" and t == length - 4:
                dh[:] = 0
            dz = (dy[b, t] + dh) * (1 - y[b, t] ** 2)
            before = y[b, t - 1] if t > 0 else h0[b]
            dx[b, t] = dz @ W.T
            dW = np.outer(x[b, t], dz) + (0 if fault == "missing accumulate" else dW)
            dR += np.outer(y[b, t] if fault == "off by one frame" else before, dz)
            dh = dz @ (R if fault == "transposed index" else R.T)
        dh0[b] = -dh if fault == "sign" else dh
    if fault == "factor 2":
        dR *= 2
    if fault == "one element by 1e-6":
        dW[0, 1] *= 1 + 1e-6
    if fault == "zero":
        dx[:] = 0
    if fault == "NaN":
        dW[1, 1] = np.nan
    return {"x": dx, "W": dW, "R": dR, "h0": dh0}


def recurrent_inputs(seed=0, D=3, H=4):
    rng = np.random.default_rng(seed)
    shapes = {"x": (len(LENGTHS), max(LENGTHS), D), "W": (D, H), "R": (H, H), "h0": (len(LENGTHS), H)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


METHODS = {
    "coordinates": partial(check, recurrent, time_axis={"x": 1}),
    "directions": partial(check, recurrent, time_axis={"x": 1}, directions=6),
    "complex step": partial(complex_step, recurrent),
}

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@every_method
def test_right_backward_passes(method):
    reports = method(recurrent_backward, recurrent_inputs())
    require(reports)
    assert [report.name for report in reports] == ["x", "W", "R", "h0"]
    assert all(report.error <= 0.1 * report.limit for report in reports), "the method itself is too inexact"


@pytest.mark.parametrize("planted", FAULTS)
@every_method
def test_planted_fault_is_found(method, planted):
    reports = method(partial(recurrent_backward, fault=planted), recurrent_inputs())
    assert not all(report.passed for report in reports)
    with pytest.raises(AssertionError, match="FAIL"):
        require(reports)


def test_nan_in_the_input_past_the_end_must_have_no_influence():
    inputs = recurrent_inputs()
    inputs["x"][1, 1:] = np.nan
    require(check(recurrent, recurrent_backward, inputs, time_axis={"x": 1}))

    def leaking(dy, x, **others):
        gradients = recurrent_backward(dy, x, **others)
        gradients["x"] = gradients["x"] + 0 * x
        return gradients

    reports = check(recurrent, leaking, inputs, wrt=["x"], time_axis={"x": 1})
    assert not reports[0].passed and reports[0].where == "(1, 1, 0)"


def fading(x):
    """The gradient of each frame is a factor of 1000 smaller."""
    return np.tanh(x) * 1e-3 ** np.arange(x.shape[1])


def wrong_in_the_last_frame(dy, x):
    dx = dy * (1 - np.tanh(x) ** 2) * 1e-3 ** np.arange(x.shape[1])
    dx[:, -1] *= 1.5
    return {"x": dx}


def test_the_complex_step_finds_small_elements_without_a_time_axis():
    assert not complex_step(fading, wrong_in_the_last_frame, {"x": np.full((2, 4), 0.3)})[0].passed


@pytest.mark.parametrize("method", [check, complex_step])
def test_a_gradient_that_vanishes_for_constant_dy(method):
    """Σ (x - mean x) does not depend on x: with dy = 1 a backward pass that returns zeros would be right."""

    def forward(x):
        return x - x.mean()

    x = np.arange(5.0) ** 2
    require(method(forward, lambda dy, x: {"x": dy - dy.mean()}, {"x": x}))
    assert not method(forward, lambda dy, x: {"x": np.zeros(5)}, {"x": x})[0].passed


@pytest.mark.parametrize("directions", [None, 2], ids=["coordinates", "directions"])
def test_an_error_in_a_frame_with_a_small_gradient_is_found(directions):
    compare = partial(check, fading, wrong_in_the_last_frame, {"x": np.full((2, 4), 0.3)}, directions=directions)
    assert compare()[0].passed, "relative to the whole tensor's largest gradient the fault is below 1e-8"
    report = compare(time_axis={"x": 1})[0]
    assert not report.passed
    assert report.where in ("(0, 3)", "(1, 3)") or "frame 3" in report.where


def rectified(x):
    return np.maximum(x, 0) ** 2 + np.maximum(x, 0)


def rectified_backward(dy, x, slope=1.0):
    return {"x": dy * (2 * np.maximum(x, 0) + slope * (x > 0))}


def near_the_kink(distance, count=1):
    x = np.linspace(-2, 2, 20).reshape(4, 5)
    x.ravel()[3 : 3 + count] = distance
    return {"x": x}


@pytest.mark.parametrize("distance", [1e-3, -1e-4])
def test_a_kink_within_the_step_gets_a_shorter_step(distance):
    inputs = near_the_kink(distance)
    assert not check(rectified, rectified_backward, inputs)[0].passed, "without `kinks` it must show"
    (report,) = check(rectified, rectified_backward, inputs, kinks=lambda x: x)
    assert report.passed and (report.shortened, report.avoided, report.probes) == (1, 0, 20)
    assert "1 shortened and 0 avoided at kinks" in str(report)


def test_a_fault_near_a_kink_is_found_with_the_shorter_step():
    def wrong_near_the_kink(dy, x):
        return {"x": rectified_backward(dy, x)["x"] * np.where(abs(x - 1e-3) < 1e-9, 1.01, 1)}

    (report,) = check(rectified, wrong_near_the_kink, near_the_kink(1e-3), kinks=lambda x: x)
    assert not report.passed and report.where == "(0, 3)"


@pytest.mark.parametrize(("count", "passes"), [(2, True), (3, False)])
def test_only_few_probes_may_lie_on_a_kink(count, passes):
    (report,) = check(rectified, rectified_backward, near_the_kink(0.0, count), kinks=lambda x: x)
    assert (report.avoided, report.probes, report.passed) == (count, 20 - count, passes)


def test_nan_on_a_kink_is_found_although_no_probe_is_there():
    def backward(dy, x):
        return {"x": np.where(x == 0, np.nan, rectified_backward(dy, x)["x"])}

    (report,) = check(rectified, backward, near_the_kink(0.0), kinks=lambda x: x)
    assert not report.passed and report.where == "(0, 3)"


@pytest.mark.parametrize(
    ("error", "limit", "probes", "passes"),
    [(0, 1, 1, True), (0, 1, 0, False), (np.nan, 1, 1, False), (1, np.nan, 1, False), (np.inf, np.inf, 1, False)],
)
def test_nothing_compared_or_not_finite_never_passes(error, limit, probes, passes):
    assert GradientReport("W", error, limit, where="", probes=probes).passed == passes


def test_a_failure_is_explained_with_a_factor_only_where_it_is_informative():
    def reason(backward, forward=lambda x: x**2, x=(2.0, 1.0), **options):
        (report,) = check(forward, lambda dy, x: {"x": backward(dy, x)}, {"x": np.array(x)}, **options)
        assert not report.passed and "nan times" not in str(report) and "is 1 times" not in str(report)
        return str(report).partition("; ")[2]

    assert " is 3 times the differences' " in reason(lambda dy, x: 6 * dy * x)
    assert reason(lambda dy, x: -2 * dy * x).endswith(" with the wrong sign")
    assert reason(lambda dy, x: 2.00002 * dy * x).endswith(" by a relative error of 1.0e-05")
    assert "backward's 0 should be the differences' " in reason(lambda dy, x: 0 * dy)
    assert reason(lambda dy, x: dy * np.nan) == "backward's gradient is not a number there"
    assert "derivative is not a number there" in reason(lambda dy, x: dy, lambda x: np.where(x > 2, np.nan, x))
    assert reason(lambda dy, x: dy * x, lambda x: x.sum(), np.zeros((0, 3))) == "nothing was compared"
    on_a_kink = reason(lambda dy, x: dy * (x > 0), lambda x: np.maximum(x, 0), (0.0, 1.0), kinks=lambda x: x)
    assert on_a_kink == "more than 10% of the probes lie on a kink"


X = np.linspace(-1, 2, 12).reshape(3, 4)


def same(x):
    return x


def same_backward(dy, x):
    return {"x": dy}


WRONG_USE = [  # what is passed, the error
    ({"inputs": {"x": X.astype(np.float32)}}, TypeError, r"x is float32.*np\.asarray"),
    ({"backward": lambda dy, x: dy}, ValueError, "backward returned ndarray, not a dict from"),
    ({"backward": lambda dy, x: {}}, ValueError, "no gradient of x"),
    ({"backward": lambda dy, x: {"x": dy.T}}, ValueError, r"gradient of x has shape \(4, 3\)"),
    ({"backward": lambda dy, x: {"x": dy + 0j}}, TypeError, "gradient of x is complex128, not an array of real"),
    ({"forward": lambda x: x + 1j * x}, TypeError, "returned complex128, must return real"),
    ({"forward": lambda x: None}, TypeError, "returned NoneType, must return"),
    ({"forward": lambda x: x > 0}, TypeError, "returned bool, must return"),
    ({"forward": lambda x: ()}, ValueError, "returned no numbers"),
    *(({"wrt": names}, TypeError, "wrt must be a list of names") for names in ("x", 3)),
    ({"wrt": ["x", "y"]}, ValueError, "no input 'y': the inputs are x"),
    *(({"tol": tol}, ValueError, f"tol is {tol}, must be") for tol in (np.inf, np.nan, 0)),
]
WRONG_USE_OF_CHECK = [
    # real at x, complex where the differences are taken
    ({"forward": lambda x: x if (x == X).all() else x * (1 + 1j)}, TypeError, "returned complex"),
    ({"kinks": lambda x: None}, TypeError, "kinks returned NoneType"),
    *(({"time_axis": axes}, TypeError, "time_axis a dict") for axes in (0, 1, "x")),
    ({"time_axis": {"X": 1}}, ValueError, "no input 'X': the inputs are x"),
    *(({"time_axis": {"x": axis}}, ValueError, "time_axis of x is ") for axis in (2, -3, 1.0, True, None)),
]


@pytest.mark.parametrize(
    ("method", "passed", "error", "message"),
    [(check, *row) for row in WRONG_USE + WRONG_USE_OF_CHECK] + [(complex_step, *row) for row in WRONG_USE],
)
def test_wrong_use_is_an_error(method, passed, error, message):
    options = {"backward": same_backward, "inputs": {"x": X}} | passed
    with pytest.raises(error, match=message):
        method(options.pop("forward", same), **options)


@pytest.mark.parametrize("reference", [lambda x: np.abs(x), lambda x: (x * x, np.abs(x))], ids=["all", "one of two"])
def test_a_reference_that_drops_the_imaginary_part_is_an_error(reference):
    with pytest.raises(TypeError, match="imaginary part of x"):
        complex_step(reference, lambda dy, x: {"x": 2 * x * dy[0]}, {"x": X})


# ---- functions that reuse a buffer, work in place, are random or round ----------------------------------------------

BUFFER = np.zeros_like(X)


def into_a_buffer(x):
    return np.multiply(x, x, out=BUFFER)


def in_place(x):
    x *= x
    return x


def backward_in_place(dy, x, factor):
    dy *= factor * x
    x[:] = 0
    BUFFER[:] = dy
    return {"x": BUFFER}


@pytest.mark.parametrize(
    "method", [partial(check, into_a_buffer), partial(check, in_place, kinks=in_place), partial(complex_step, in_place)]
)
def test_functions_may_reuse_a_buffer_and_work_in_place(method):
    inputs = {"x": X.copy()}
    for factor, right in ((2.0, True), (3.0, False), (0.0, False)):
        (report,) = method(partial(backward_in_place, factor=factor), inputs)
        assert report.passed == right and not report.hint
    assert np.array_equal(inputs["x"], X)


RNG = np.random.default_rng(0)
INEXACT = {
    "noise": lambda x: x**2 + 1e-9 * RNG.standard_normal(x.shape),
    "float32": lambda x: (x.astype(np.float32) ** 2).astype(np.float64),
}


@pytest.mark.parametrize("forward", INEXACT.values(), ids=INEXACT)
def test_a_forward_pass_that_is_random_or_rounds_fails_with_a_hint(forward):
    (report,) = check(forward, lambda dy, x: {"x": 2 * x * dy}, {"x": X})
    assert not report.passed and "is forward random or in float32" in str(report)


def test_a_backward_pass_in_float32_fails_with_a_hint():
    (report,) = check(lambda x: x**2, lambda dy, x: {"x": (2 * x * dy).astype(np.float32)}, {"x": X})
    assert not report.passed and str(report).endswith(": is something float32?")


# ---- forward passes with several outputs, listeners -----------------------------------------------------------------


def two_outputs(x, W):
    return x @ W, (x**2).sum(axis=0)


def backward_of_two(dy, x, W, of_square=2.0):
    return {"x": dy[0] @ W.T + of_square * x * dy[1], "W": x.T @ dy[0]}


INPUTS = {"x": np.linspace(-1, 2, 6).reshape(2, 3), "W": np.linspace(1, 3, 12).reshape(3, 4)}


@pytest.mark.parametrize("method", [check, complex_step])
def test_a_forward_pass_with_several_outputs_is_checked_through_all_of_them(method):
    require(method(two_outputs, backward_of_two, INPUTS))
    reports = method(two_outputs, lambda dy, x, W: backward_of_two(dy, x, W, 2.1), INPUTS)
    assert [report.passed for report in reports] == [False, True]
    with pytest.raises(AssertionError):
        require([])  # without any report


def test_a_listener_gets_every_report_in_its_context():
    got = []
    with reports_to(got.append):
        reports = check(two_outputs, backward_of_two, INPUTS)
        reports += complex_step(two_outputs, backward_of_two, INPUTS)
    check(two_outputs, backward_of_two, INPUTS)
    assert got == reports
