"""The tester tested: right backwards pass, planted wrong ones fail, whichever way they are looked at."""

from functools import partial

import numpy as np
import pytest

from scratchser.gradcheck import GradientReport, check, complex_step, require

LENGTHS = (6, 1, 4)
FAULTS = (
    "transposed index",
    "missing accumulate",
    "off by one frame",
    "sign",
    "forgotten mask",
    "factor 2",
    "cut short in time",
    "one element by 1e-6",
    "zero",
    "NaN",
)


def recurrent(x, W, R, h0):
    """A small recurrent net with lengths: y[b, t] = h_t = tanh(x_t W + h_{t-1} R), zero past the end."""
    y = np.zeros(x.shape[:2] + h0.shape[1:], np.result_type(x, W, R, h0))
    for b, length in enumerate(LENGTHS):
        h = h0[b]
        for t in range(length):
            h = y[b, t] = np.tanh(x[b, t] @ W + h @ R)
    return y


def recurrent_backward(dy, x, W, R, h0, fault=""):
    """Its derivative, right unless a fault is asked for."""
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


EXAMINATIONS = {
    "coordinates": partial(check, recurrent, time_axis={"x": 1}),
    "directions": partial(check, recurrent, time_axis={"x": 1}, directions=6),
    "complex step": partial(complex_step, recurrent),
}


@pytest.mark.parametrize("examine", EXAMINATIONS.values(), ids=EXAMINATIONS)
def test_right_backward_passes(examine):
    reports = examine(recurrent_backward, recurrent_inputs())
    require(reports)
    assert [report.name for report in reports] == ["x", "W", "R", "h0"]
    assert all(report.error <= 0.1 * report.limit for report in reports), "the method itself uses up the limit"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("examine", EXAMINATIONS.values(), ids=EXAMINATIONS)
def test_planted_fault_is_found(examine, fault):
    reports = examine(partial(recurrent_backward, fault=fault), recurrent_inputs())
    assert not all(report.passed for report in reports)
    with pytest.raises(AssertionError, match="FAIL"):
        require(reports)


def test_the_report_names_tensor_and_place():
    reports = check(recurrent, partial(recurrent_backward, fault="one element by 1e-6"), recurrent_inputs())
    assert [report.name for report in reports if not report.passed] == ["W"]
    line = str(reports[1])
    assert line.startswith("FAIL dW: error ") and "at (0, 1), 12 probes" in line and "\n" not in line


def test_nan_in_the_input_past_the_end_must_stay_without_influence():
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
    """Frames whose gradients fall by a factor of 1000 each."""
    return np.tanh(x) * 1e-3 ** np.arange(x.shape[1])


def wrong_in_the_last_frame(dy, x):
    dx = dy * (1 - np.tanh(x) ** 2) * 1e-3 ** np.arange(x.shape[1])
    dx[:, -1] *= 1.5
    return {"x": dx}


def test_the_complex_step_sees_faint_elements_without_being_told():
    assert not complex_step(fading, wrong_in_the_last_frame, {"x": np.full((2, 4), 0.3)})[0].passed


@pytest.mark.parametrize("examine", [check, complex_step])
def test_a_gradient_that_only_a_constant_dy_cannot_see(examine):
    """Σ (x - mean x) does not depend on x at all: with dy = 1 a backward that returns zeros would be right."""

    def forward(x):
        return x - x.mean()

    x = np.arange(5.0) ** 2
    require(examine(forward, lambda dy, x: {"x": dy - dy.mean()}, {"x": x}))
    assert not examine(forward, lambda dy, x: {"x": np.zeros(5)}, {"x": x})[0].passed


@pytest.mark.parametrize("directions", [None, 2], ids=["coordinates", "directions"])
def test_a_faint_frame_cannot_hide_behind_a_loud_one(directions):
    examine = partial(check, fading, wrong_in_the_last_frame, {"x": np.full((2, 4), 0.3)}, directions=directions)
    assert examine()[0].passed, "against the whole tensor's largest gradient the fault is below 1e-8"
    report = examine(time_axis={"x": 1})[0]
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
def test_kink_within_the_step_is_approached_with_a_shorter_one(distance):
    inputs = near_the_kink(distance)
    assert not check(rectified, rectified_backward, inputs)[0].passed, "unguarded, the kink has to show"
    (report,) = check(rectified, rectified_backward, inputs, kinks=lambda x: x)
    assert report.passed and (report.shortened, report.avoided, report.probes) == (1, 0, 20)
    assert "1 shortened and 0 avoided at kinks" in str(report)


def test_fault_beside_a_kink_is_found_with_the_shorter_step():
    def wrong_beside_the_kink(dy, x):
        return {"x": rectified_backward(dy, x)["x"] * np.where(abs(x - 1e-3) < 1e-9, 1.01, 1)}

    (report,) = check(rectified, wrong_beside_the_kink, near_the_kink(1e-3), kinks=lambda x: x)
    assert not report.passed and report.where == "(0, 3)"


@pytest.mark.parametrize(("count", "passes"), [(2, True), (3, False)])
def test_probes_on_the_kink_are_counted_and_only_few_may_be(count, passes):
    (report,) = check(rectified, rectified_backward, near_the_kink(0.0, count), kinks=lambda x: x)
    assert (report.avoided, report.probes, report.passed) == (count, 20 - count, passes)


def test_nan_on_the_kink_is_found_although_no_probe_goes_there():
    def backward(dy, x):
        return {"x": np.where(x == 0, np.nan, rectified_backward(dy, x)["x"])}

    (report,) = check(rectified, backward, near_the_kink(0.0), kinks=lambda x: x)
    assert not report.passed and report.where == "(0, 3)"


def test_log_floor_is_a_kink_too():
    floor = 1e-2

    def log_power(x):
        return np.log(np.maximum(x**2, floor))

    def backward(dy, x):
        return {"x": dy * np.where(x**2 > floor, 2 / x, 0)}

    x = np.linspace(0.5, 3, 12)
    x[4] = 0.1 + 1e-4
    assert not check(log_power, backward, {"x": x})[0].passed
    (report,) = check(log_power, backward, {"x": x}, kinks=lambda x: x**2 - floor)
    assert report.passed and report.shortened == 1


def test_nothing_compared_and_not_finite_never_pass():
    assert GradientReport("W", error=0.0, limit=1.0, where="", probes=1).passed
    assert not GradientReport("W", error=0.0, limit=1.0, where="", probes=0).passed
    assert not GradientReport("W", error=np.nan, limit=1.0, where="", probes=1).passed
    assert not GradientReport("W", error=1.0, limit=np.nan, where="", probes=1).passed
    assert not GradientReport("W", error=np.inf, limit=np.inf, where="", probes=1).passed
    assert not check(lambda x: x, lambda dy, x: {"x": dy}, {"x": np.zeros((0, 3))})[0].passed
    with pytest.raises(AssertionError):
        require([])


def test_a_failure_is_told_in_words_and_by_a_factor_only_where_it_says_something():
    def told(backward, forward=lambda x: x**2, x=(2.0, 1.0), **options):
        inputs = {"x": np.array(x)}
        (report,) = check(forward, lambda dy, x: {"x": backward(dy, x)}, inputs, **options)
        assert not report.passed and "nan times" not in str(report) and "is 1 times" not in str(report)
        return str(report).partition("; ")[2]

    assert " is 3 times the differences' " in told(lambda dy, x: 6 * dy * x)
    assert told(lambda dy, x: -2 * dy * x).endswith(" with the wrong sign")
    text = told(lambda dy, x: 2.00002 * dy * x)
    assert "has the right size, but is off from the differences' " in text and text.endswith(" by 1.0e-05 of it")
    assert "backward's 0 should be the differences' " in told(lambda dy, x: 0 * dy)
    assert told(lambda dy, x: dy * np.nan) == "backward's gradient is not a number there"
    assert told(lambda dy, x: dy * np.inf) == "backward's gradient is infinite there"
    assert "derivative is not a number there" in told(lambda dy, x: dy, lambda x: np.where(x > 2, np.nan, x))
    assert told(lambda dy, x: dy, x=np.zeros((0, 3))) == "nothing was compared"
    on_a_kink = told(lambda dy, x: dy * (x > 0), lambda x: np.maximum(x, 0), (0.0, 1.0), kinks=lambda x: x)
    assert on_a_kink == "more than 10% of the probes lie on a kink"


def test_the_complex_step_does_not_speak_of_differences():
    (report,) = complex_step(lambda x: x**2, lambda dy, x: {"x": 6 * dy * x}, {"x": np.array([2.0, 1.0])})
    assert " is 3 times the complex step's " in str(report) and "differences" not in str(report)


def test_forward_that_turns_nan_at_the_probe_fails():
    def forward(x):
        return np.where(x > 1, np.nan, x)

    reports = check(forward, lambda dy, x: {"x": dy}, {"x": np.array([0.5, 1.0, 0.1])})
    assert not reports[0].passed and reports[0].where == "(1,)"


def test_wrong_use_is_named():
    x = np.ones((2, 3))
    with pytest.raises(TypeError, match=r"x is float32.*astype"):
        check(lambda x: x, lambda dy, x: {"x": dy}, {"x": x.astype(np.float32)})
    with pytest.raises(TypeError, match="x is list"):
        check(lambda x: x, lambda dy, x: {"x": dy}, {"x": [1.0, 2.0]})
    for wrong in (x, (x,), None):
        with pytest.raises(ValueError, match=r"backward returned (ndarray|tuple|NoneType), not a gradient by the name"):
            check(lambda x: x, lambda dy, x, wrong=wrong: wrong, {"x": x})
    with pytest.raises(ValueError, match="no gradient of x"):
        check(lambda x: x, lambda dy, x: {}, {"x": x})
    with pytest.raises(ValueError, match=r"gradient of x has shape \(3, 2\)"):
        check(lambda x: x, lambda dy, x: {"x": dy.T}, {"x": x})
    with pytest.raises(TypeError, match="imaginary part of x"):
        complex_step(lambda x: np.abs(x), lambda dy, x: {"x": dy}, {"x": x})
