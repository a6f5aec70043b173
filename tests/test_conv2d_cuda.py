"""The CUDA side of the convolution against the CPU side, and a random direction of finite differences."""

import numpy as np
import pytest
from planted import verdict
from test_conv2d import Case

from scratchser import gradcheck
from scratchser.kernels import _device, _windows_cuda, conv2d

SMALL = {
    "even kernel": Case((5, 2, 1), F=7, C=3, D=2, kernel=(4, 2), stride=(2, 2), spare=2),
    "kernel below stride": Case((4, 1), F=5, C=3, D=3, kernel=(2, 1), stride=(3, 3), spare=1),
    "one bin": Case((3, 1), F=1, C=1, D=3, kernel=(5, 7), stride=(1, 2)),
    "many channels out": Case((2, 1), F=3, C=1, D=34, kernel=(2, 3), stride=(1, 2)),
    "many channels in": Case((2, 1), F=2, C=34, D=1, kernel=(1, 2), stride=(1, 1)),
    "many frames": Case((9, 1, 7), F=8, C=1, D=1, kernel=(1, 1), stride=(1, 1)),
}
LARGE = {  # the layers of the preset `best`
    "layer 1": Case((441, 17, 300), F=257, C=1, D=48, kernel=(9, 17), stride=(2, 8), spare=5),
    "layer 2": Case((221, 9, 150), F=33, C=48, D=64, kernel=(5, 5), stride=(2, 2), spare=3),
    "layer 3": Case((111, 5, 75), F=17, C=64, D=96, kernel=(5, 5), stride=(2, 2), spare=1),
    "layer 4": Case((56, 3, 38), F=9, C=96, D=96, kernel=(3, 5), stride=(1, 2), spare=2),
}
FLOAT32 = ["even kernel", "many channels out", *LARGE]


def both(case, upload, dtype=np.float64, relu=True, outputs=(None, None)):
    """y, dx, dW, db for a fixed dy, where `upload` puts the arrays; dW and db begin as ones. Past the utterances' ends
    x, y and dy are NaN."""
    x, W, b = (array.astype(dtype) for array in case.draw().values())
    out, dx_out = outputs
    x, W, b = map(upload, (x, W, b))
    y = conv2d.forward(x, case.frames, W, b, case.stride, relu=relu, out=out)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(dtype)
    y_before = conv2d.place_of(y).download(y)
    for u, length in enumerate(case.lengths):
        y_before[u, -(-length // case.stride[0]) :] = dy[u, -(-length // case.stride[0]) :] = np.nan
    dW, db = upload(np.ones(W.shape, dtype)), upload(np.ones(b.shape, dtype))
    dx = conv2d.backward(
        upload(dy), x, upload(y_before), case.frames, W, case.stride, dW, db, relu=relu, out=dx_out
    )
    return y, dx, dW, db


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_forward_and_backward_agree_with_the_cpu(device, dtype):
    cases = {name: case for group in device.sizes([SMALL], [LARGE]) for name, case in group.items()}
    for name, case in cases.items():
        if dtype == np.float64 or name in FLOAT32:
            got = device.host(*both(case, device.place.upload, dtype))
            for ours, expected in zip(got, both(case, np.array, dtype), strict=True):
                size = np.abs(expected).max()
                tolerance = size * (1e-12 if dtype == np.float64 else 2e-6 * np.sqrt(ours.size / ours.shape[-1]))
                np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance, err_msg=name)


def test_without_a_relu(device):
    case = SMALL["kernel below stride"]
    for ours, expected in zip(
        device.host(*both(case, device.place.upload, relu=False)), both(case, np.array, relu=False), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)


def test_without_dx_the_rest_is_the_same(device):
    case = SMALL["one bin"]
    x, W, b = map(device.place.upload, case.draw().values())
    y = conv2d.forward(x, case.frames, W, b, case.stride)
    first, second = ([device.place.upload(np.zeros(a.shape)) for a in (W, b)] for _ in range(2))
    assert conv2d.backward(y, x, y, case.frames, W, case.stride, *first, need_dx=False) is None
    conv2d.backward(y, x, y, case.frames, W, case.stride, *second)
    for alone, with_dx in zip(first, second, strict=True):
        np.testing.assert_array_equal(device.host(alone), device.host(with_dx))


def test_out_is_written_up_to_the_end_and_left_alone_behind_it(device):
    case = SMALL["even kernel"]
    y, dx, _, _ = both(case, np.array)
    outputs = device.arrays(np.full_like(y, 7), np.full_like(dx, 7))
    got = both(case, device.place.upload, outputs=outputs)
    assert got[0] is outputs[0] and got[1] is outputs[1]
    for ours, expected, ends in ((got[0], y, -(-case.frames // case.stride[0])), (got[1], dx, case.frames)):
        ours = device.host(ours)
        for u, end in enumerate(ends):
            np.testing.assert_allclose(ours[u, :end], expected[u, :end], rtol=1e-12, atol=1e-12)
            assert (ours[u, end:] == 7).all()


def test_the_weights_gradient_in_parts(device, monkeypatch):
    """Of 16, 16 and 4 positions, in a fixed order: the same bits again."""
    monkeypatch.setattr(conv2d, "part_of", lambda K, busy: 16)
    case = Case((5, 1, 3), F=4, C=1, D=2, kernel=(3, 2), stride=(1, 1))
    got, again = (device.host(*both(case, device.place.upload)[2:]) for _ in range(2))
    for ours, expected, same in zip(got, both(case, np.array)[2:], again, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(ours, same)


def test_an_utterance_has_the_same_bits_alone_and_in_any_batch(device):
    """The last one lies across two tiles."""
    case = Case((6, 1, 5), F=7, C=2, D=3, kernel=(3, 2), stride=(1, 1), spare=1)
    inputs = {name: a.astype(np.float32) for name, a in case.draw().items()}
    dy = np.random.default_rng(2).standard_normal((3, 7, 7, 3)).astype(np.float32)

    def y_and_dx(x, dy, lengths):
        x, dy, W, b = device.arrays(x, dy, inputs["W"], inputs["b"])
        y = conv2d.forward(x, lengths, W, b, case.stride)
        waste = device.arrays(np.zeros_like(inputs["W"]), np.zeros_like(inputs["b"]))
        return device.host(y, conv2d.backward(dy, x, y, lengths, W, case.stride, *waste))

    together = y_and_dx(inputs["x"], dy, case.frames)
    for u in (0, 2):
        length = case.lengths[u]
        own_x, own_dy = (np.ascontiguousarray(a[u : u + 1, :length]) for a in (inputs["x"], dy))
        for ours, of_the_batch in zip(y_and_dx(own_x, own_dy, np.array([length])), together, strict=True):
            np.testing.assert_array_equal(ours[0], of_the_batch[u, :length])


def test_gradients_in_a_random_direction(device):
    case = Case((3, 1), F=3, C=2, D=2, kernel=(2, 3), stride=(2, 2))

    def forward(x, W, b):
        x, W, b = device.arrays(x, W, b)
        return device.host(conv2d.forward(x, case.frames, W, b, case.stride))

    def backward(dy, x, W, b):
        y, (dW, db) = forward(x, W, b), device.arrays(np.zeros_like(W), np.zeros_like(b))
        dy, x, y, W = device.arrays(dy, x, y, W)
        dx = conv2d.backward(dy, x, y, case.frames, W, case.stride, dW, db)
        return dict(zip("xWb", device.host(dx, dW, db), strict=True))

    def kinks(x, W, b):
        return case.forward(x, W, b, relu=False)

    gradcheck.require(gradcheck.check(forward, backward, case.draw(), directions=1, kinks=kinks))
