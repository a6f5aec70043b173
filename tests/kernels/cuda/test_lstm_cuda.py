"""The CUDA side of the Bi-LSTM against the CPU side; bits, masks, shapes of launches.

The matrix product has its own tests and is slow without a GPU, so a plain one replaces it in most tests.
"""

import numpy as np
import pytest
import test_lstm
from planted import plant, verdict

from scratchser.bench.cuda import costs
from scratchser.kernels import lstm
from scratchser.kernels.machine import device as _device
from scratchser.kernels.parts import frames as _frames
from scratchser.kernels.parts import stream


class Case(test_lstm.Case):
    def draw(self, dtype=np.float64, seed=0):
        """Inputs, and dy; x and dy are NaN past each utterance's end."""
        inputs = super().draw(seed)
        inputs["dy"] = np.random.default_rng(seed + 1).standard_normal((*inputs["x"].shape[:2], 2 * self.H))
        for u, length in enumerate(self.lengths):
            inputs["dy"][u, length:] = np.nan
        return {name: array.astype(dtype) for name, array in inputs.items()}

    def run(self, device, x, Wx, Wh, b, h0, c0, dy):
        """y and all gradients, those of the parameters added to 1."""
        frames, copy = np.array(self.lengths, np.int64), device.upload
        Wx, Wh = copy(Wx), copy(Wh)
        y, cache = lstm.forward(copy(x), frames, Wx, Wh, copy(b), copy(h0), copy(c0))
        dWx, dWh, db = (copy(np.ones(array.shape, array.dtype)) for array in (Wx, Wh, b))
        dx, dh0, dc0 = lstm.backward(copy(dy), cache, Wx, Wh, dWx, dWh, db)
        results = {"y": y, "x": dx, "Wx": dWx, "Wh": dWh, "b": db, "h0": dh0, "c0": dc0}
        return {name: device.download(array) for name, array in results.items()}


CASES = [
    Case((1,), D=1, H=1),
    Case((4, 1, 3), D=3, H=1, spare=1),
    Case((2, 1, 3, 2, 1), D=2, H=3),  # more utterances than a block has
    Case((3, 2), D=5, H=7, spare=2),
]
LARGE = [
    Case((57, 118, 20, 33, 118, 1, 90, 64, 71, 7, 118, 100, 101, 102, 2, 50), D=1536, H=128),
    Case((9, 4), 60, 300),
]
MIXED = CASES[2]


def plain_product(A, B, C, M, N, K, bias=None, batch=1, step=0, split=True):
    """In the order of k, so that the bits of a row do not depend on the other rows."""
    a, b, c = (np.array(array) for array in (A.array, B.array, C))
    m, n = np.arange(M)[:, None], np.arange(N)
    for z in range(batch):
        at = z * step + m * N + n
        total = c[at] if bias is None else np.tile(bias, (M, 1))
        for k in range(K):
            total += a[z * A.step + m * A.row + k * A.column] * b[z * B.step + k * B.row + n * B.column]
        C[at] = total


@pytest.fixture
def quick(monkeypatch, device):
    if not device.real:
        in_small_blocks(monkeypatch)


def in_small_blocks(monkeypatch):
    """Several blocks for each launch, as large sizes have; small blocks are also faster here."""
    monkeypatch.setattr(lstm, "product", plain_product)
    monkeypatch.setattr(_device.SIMULATED, "empty", unwritten)
    for module, sizes in ((_frames, {"THREADS": 7, "COLUMNS": 5, "PARTS": 2}), (stream, {"SIDE": 3, "PITCH": 4})):
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(lstm, "THREADS", 7)


def unwritten(shape, dtype):
    """Replaces `empty`, whose values may be right by chance."""
    return _device.SIMULATED.upload(np.full(shape, np.nan, dtype))


def close(got, expected, dtype):
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for name, array in got.items():
        assert array.dtype == dtype
        limit = tolerance * max(1, abs(expected[name]).max())
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=limit, err_msg=name)


def same(got, expected, names=("y", "x", "Wx", "Wh", "b", "h0", "c0")):
    for name in names:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_backward_agree_with_the_cpu(device, dtype, quick):
    for case in device.sizes(CASES, LARGE):
        inputs = case.draw(dtype)
        close(case.run(device.target, **inputs), case.run(_device.CPU, **inputs), dtype)


def test_with_the_product_of_the_kernels(device):
    inputs = MIXED.draw()
    close(MIXED.run(device.target, **inputs), MIXED.run(_device.CPU, **inputs), np.float64)


@pytest.mark.parametrize("threads", [1, 32])
def test_same_bits_for_any_block_size(device, quick, monkeypatch, threads):
    inputs = MIXED.draw(np.float32)
    usual = MIXED.run(device.target, **inputs)
    monkeypatch.setattr(lstm, "THREADS", threads)
    same(MIXED.run(device.target, **inputs), usual)


@pytest.mark.parametrize("shape", lstm.SHAPES[1:])
def test_any_number_of_utterances_a_block(device, quick, monkeypatch, shape):
    inputs = MIXED.draw()
    monkeypatch.setattr(lstm, "SHAPES", (shape,))
    close(MIXED.run(device.target, **inputs), MIXED.run(_device.CPU, **inputs), np.float64)


def test_an_utterance_has_the_same_bits_alone_and_in_any_batch(device, quick):
    inputs = MIXED.draw(np.float32)
    together = MIXED.run(device.target, **inputs)
    for u in (1, 2):
        length = MIXED.lengths[u]
        own = dict(inputs, **{name: np.ascontiguousarray(inputs[name][u : u + 1, :length]) for name in ("x", "dy")})
        own |= {name: np.ascontiguousarray(inputs[name][:, u : u + 1]) for name in ("h0", "c0")}
        alone = Case((length,), MIXED.D, MIXED.H).run(device.target, **own)
        np.testing.assert_array_equal(alone["y"][0], together["y"][u, :length])
        np.testing.assert_array_equal(alone["x"][0], together["x"][u, :length])
        for name in ("h0", "c0"):
            np.testing.assert_array_equal(alone[name][:, 0], together[name][:, u])


def test_the_readout_agrees_with_the_cpu(device):
    y, lengths = np.random.default_rng(3).standard_normal((3, 4, 6)), np.array([3, 1, 2])
    r = lstm.readout_forward(y, lengths)
    np.testing.assert_array_equal(device.host(lstm.readout_forward(device.arrays(y), lengths)), r)
    dy = lstm.readout_backward(device.arrays(r), lengths, 4)
    np.testing.assert_array_equal(device.host(dy), lstm.readout_backward(r, lengths, 4))


# ---- shapes of launches: nothing is run ------------------------------------------------------------------------------


def test_a_layer_takes_few_launches():
    """At the model's size, where no part of the work is too small to be one launch; a long product may be two."""
    B, T, D, H = 16, 118, 1536, 128
    device, lengths = _device.SIMULATED, np.full(B, T)
    x, Wx, Wh, b = (device.empty(shape, np.float32) for shape in ((B, T, D), (D, 2, 4 * H), (2, H, 4 * H), (2, 4 * H)))
    kept = []

    def forward():
        y, cache = lstm.forward(x, lengths, Wx, Wh, b)
        kept.append(cache)
        lstm.readout_forward(y, lengths)

    def backward():
        dy = lstm.readout_backward(device.empty((B, 2 * H), np.float32), lengths, T)
        lstm.backward(dy, kept[0], Wx, Wh, Wx, Wh, b)

    assert len(costs.recorded(forward)) <= 4
    assert len(costs.recorded(backward)) <= 12


def test_the_products_of_a_frame_do_not_depend_on_the_size_of_the_batch():
    """A single short utterance leaves most of a GPU idle, but its sums are the same in any batch."""
    D, H = 1536, 128
    device, lengths = _device.SIMULATED, np.array([3])
    x, Wx, Wh, b = (device.empty(shape, np.float32) for shape in ((1, 3, D), (D, 2, 4 * H), (2, H, 4 * H), (2, 4 * H)))
    kept = []
    forward = costs.recorded(lambda: kept.extend(lstm.forward(x, lengths, Wx, Wh, b)))
    backward = costs.recorded(lambda: lstm.backward(kept[0], kept[1], Wx, Wh, Wx, Wh, b))
    products = [launch for launch in forward + backward if launch.name == "matmul.product_cuda" and launch["M"] == 3]
    assert [(launch["K"], launch["part"]) for launch in products] == [(D, D), (8 * H, 8 * H)]


@pytest.mark.parametrize(("dtype", "largest"), [(np.float32, 1024), (np.float64, 512)])
def test_shared_memory_holds_any_size_up_to_the_largest(dtype, largest):
    for H in range(1, largest + 1):
        assert 0 < max(lstm.block_shape(H, np.dtype(dtype))[2:]) <= 48 * 1024
    with pytest.raises(ValueError, match=f"at most {largest} do"):
        lstm.block_shape(largest + 1, np.dtype(dtype))
    x, Wx, Wh, b = (
        _device.SIMULATED.empty(shape, dtype)
        for shape in ((1, 1, 1), (1, 2, 8 * largest), (2, 2 * largest, 8 * largest), (2, 8 * largest))
    )
    with pytest.raises(ValueError, match="do not fit"):
        lstm.forward(x, np.array([1]), Wx, Wh, b)


def test_the_papers_size_shares_the_stream_among_four_utterances():
    assert lstm.block_shape(128, np.dtype(np.float32))[:2] == (4, 4)
    assert lstm.block_shape(128, np.dtype(np.float64))[:2] == (4, 2)


# ---- planted faults --------------------------------------------------------------------------------------------------

BARRIERS = {
    "forward_cuda": ["the states are written", "the sums are written, and the states have been read",
                     "the states are those of step n, and the sums have been read"],
    "backward_cuda": ["the zeros are written", "dz of step n is written, and the sums have been read",
                      "the sums are written, and dz has been read"],
}  # fmt: skip
FAULTS = [
    *[(lstm, name, f"cuda.syncthreads()  # {why}", "pass", "race") for name, whys in BARRIERS.items() for why in whys],
    *[
        (lstm, name, f"cuda.syncthreads()  # {why}", "cuda.syncthreads() if thread < 3 else None", "divergence")
        for name, whys in BARRIERS.items()
        for why in whys
    ],
    (lstm, "forward_cuda", "if n < length:", "if n <= length:", "result"),
    (lstm, "forward_cuda", "at = start + t", "at = start + t - 1", "out of range"),
    (lstm, "forward_cuda", "at = start + t", "at = start + n", "result"),
    (lstm, "forward_cuda", "t = frame_at(direction, n, length)", "t = frame_at(0, n, length)", "result"),
    (lstm, "forward_cuda", "if r < members:", "if r < U:", "out of range"),
    (lstm, "forward_cuda", "h[e] = 0", "pass", "uninitialised"),
    (lstm, "forward_cuda", "members = min(U, sequences.shape[0] - first)", "members = U", "out of range"),
    (lstm, "forward_cuda", "first = cuda.blockIdx.x * U", "first = 0", "race"),
    (lstm, "forward_cuda", "h[u * U + r] = next_h", "h[u * U] = next_h", "race"),
    (lstm, "forward_cuda", "h[u * U + r] = next_h", "h[r * H + u] = next_h", "result"),
    (lstm, "forward_cuda", "z[at, direction, H + u] = f", "z[at, direction, H + u] = i", "result"),
    (lstm, "forward_cuda", "c[at, direction, u] = next_c", "c[at, 0, u] = next_c", "race"),
    (lstm, "forward_cuda", "y[b, t, direction * H + u] = next_h", "y[b, t, u] = next_h", "race"),
    (lstm, "forward_cuda", "multiply(U, h, Wh, direction * H * 4 * H, H, 4 * H, slices, sums)",
     "multiply(U, h, Wh, 0, H, 4 * H, slices, sums)", "result"),
    (lstm, "forward_cuda", "multiply(U, h, Wh, direction * H * 4 * H, H, 4 * H, slices, sums)",
     "multiply(U, h, Wh, direction * H * 4 * H, H, 4 * H, slices - 1, sums)", "uninitialised"),
    (lstm, "c_before", "if n == 0:", "if n <= 1:", "result"),
    (lstm, "c_before", "return c[start + frame_at(direction, n - 1, length), direction, u]",
     "return c[start + frame_at(direction, n, length), direction, u]", "result"),
    (lstm, "backward_cuda", "if n < length:", "if n <= length:", "result"),
    (lstm, "backward_cuda", "shared[e] = 0", "pass", "uninitialised"),
    (lstm, "backward_cuda", "dc0[direction, sequences[first + e // H, 0], e % H] = 0", "pass", "result"),
    (lstm, "backward_cuda", "for n in range(sequences[first, 2] - 1, -1, -1):",
     "for n in range(sequences[first, 2] - 1, 0, -1):", "result"),
    (lstm, "backward_cuda", "t = frame_at(direction, n, length)", "t = frame_at(direction, n, length) + 1", "result"),
    (lstm, "backward_cuda", "dz[at, direction, u], dgates[u * U + r] = di, di",
     "dz[at, direction, u], dgates[u * U + r] = df, df", "result"),
    (lstm, "backward_cuda", "dz[at, direction, 2 * H + u], dgates[(2 * H + u) * U + r] = dg, dg",
     "dz[at, direction, 2 * H + u], dgates[(H + u) * U + r] = dg, dg", "result"),
    (lstm, "backward_cuda", "M = Wt.size // (8 * H)", "M = H", "result"),
    (lstm, "backward_cuda", "dh0[direction, sequences[first + r, 0], u] = product_of(sums, U, M, slices, r, u)",
     "dh0[0, sequences[first + r, 0], u] = product_of(sums, U, M, slices, r, u)", "race"),
    (lstm, "product_of", "for s in range(1, slices):", "for s in range(2, slices):", "result"),
    (lstm, "product_of", "total += sums[(s * U + r) * M + m]", "total += sums[(s * U + r) * M + m + 1]", "result"),
    (lstm, "readout_forward_cuda", "if b < B:", "if b <= B:", "out of range"),
    (lstm, "readout_forward_cuda", "r[b, j] = y[b, lengths[b] - 1 if j < width // 2 else 0, j]",
     "r[b, j] = y[b, -1 if j < width // 2 else 0, j]", "out of range"),
    (lstm, "readout_forward_cuda", "r[b, j] = y[b, lengths[b] - 1 if j < width // 2 else 0, j]",
     "r[b, j] = y[b, lengths[b] - 1, j]", "result"),
    (lstm, "readout_backward_cuda", "if b < B:", "if b <= B:", "out of range"),
    (lstm, "readout_backward_cuda", "dy[b, lengths[b] - 1 if j < width // 2 else 0, j] = dr[b, j]",
     "dy[b, lengths[b] - 1 if j < width else 0, j] = dr[b, j]", "result"),
    (_frames, "gather_cuda", "if i < lengths[b] * D:", "if i < x.shape[1]:", "race"),
    (_frames, "gather_cuda", "frames[starts[b] * D + i] = x[b, i]", "frames[i] = x[b, i]", "race"),
    (_frames, "scatter_cuda", "elif i < x.shape[1]:", "else:", "out of range"),
    (_frames, "scatter_cuda", "x[b, i] = 0", "pass", "result"),
    (_frames, "states_before_cuda", "if t < length:", "if t <= length:", "race"),
    (_frames, "states_before_cuda", "if n == 0:", "if t == 0:", "result"),
    (_frames, "states_before_cuda", "before[direction, starts[b] + t, u] = h0[direction, b, u]",
     "before[direction, starts[b] + t, u] = 0", "result"),
    (_frames, "add_columns_cuda", "cuda.syncthreads()  # all parts are written", "pass", "race"),
    (_frames, "add_columns_cuda", "db[j] += total", "db[j] = total", "result"),
    (_frames, "add_columns_cuda", "if p == 0 and j < M:", "if p == 0:", "out of range"),
    (_frames, "add_columns_cuda", "if p == 0 and j < M:", "if j < M:", "race"),
    (stream, "transpose_cuda", "cuda.syncthreads()  # the tile is written", "pass", "race"),
    (stream, "transpose_cuda", "Wt[d, n, m] = tile[x, y]", "Wt[d, n, m] = tile[y, x]", "result"),
    (stream, "transpose_cuda", "if n < Wt.shape[1] and m < Wt.shape[2]:", "if n < Wt.shape[1]:", "out of range"),
    (stream, "transpose_cuda", "if m < W.shape[1] and n < W.shape[2]:", "if n < W.shape[2]:", "out of range"),
]  # fmt: skip


def run_all(device):
    """Everything on the smallest batch that has groups, padding, and utterances that end before others."""
    case = Case((3, 1, 2), D=2, H=3, spare=1)
    results = case.run(device, **case.draw())
    lengths = np.array(case.lengths)
    r = lstm.readout_forward(device.upload(results["y"]), lengths)
    return [*results.values(), *map(device.download, (r, lstm.readout_backward(r, lengths, 4)))]


@pytest.fixture(scope="module")
def expected():
    return run_all(_device.CPU)


@pytest.mark.parametrize(("module", "name", "line", "instead", "kind"), FAULTS)
def test_a_planted_fault_is_caught(monkeypatch, expected, module, name, line, instead, kind):
    in_small_blocks(monkeypatch)
    monkeypatch.setattr(lstm, "SHAPES", ((2, 2),))
    monkeypatch.setattr(lstm, "THREADS", 5)
    kinds = verdict(monkeypatch, module, name, {line: instead}, lambda: run_all(_device.SIMULATED), expected)
    assert kind in kinds


MULTIPLY = [
    ("total[i] = 0", "pass", "uninitialised"),
    ("s, m = item // span, item % span", "s, m = item // span, 0", "race"),
    ("k, last = s * K // slices, (s + 1) * K // slices", "k, last = s * K // slices, K", "result"),
    ("at = w0 + k * M + m", "at = w0 + m", "result"),
    ("w[c] = W[np.uint64(at + c * span)]", "w[c] = W[np.uint64(at + c)]", "result"),
    ("value = values[np.uint64(k * U + r)]", "value = values[np.uint64(r * K + k)]", "result"),
    ("total[c * U + r] += value * w[c]", "total[c * U + r] = value * w[c]", "result"),
    ("k += 1", "k += 2", "result"),
    ("sums[(s * U + r) * M + m + c * span] = total[c * U + r]",
     "sums[r * M + m + c * span] = total[c * U + r]", "race"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "instead", "kind"), MULTIPLY)
def test_a_fault_planted_in_the_stream_is_caught(monkeypatch, expected, line, instead, kind):
    in_small_blocks(monkeypatch)
    monkeypatch.setattr(lstm, "SHAPES", ((2, 2),))
    monkeypatch.setattr(stream, "multiply_2", plant(stream.multiplier, {line: instead})(2))
    assert kind in verdict(monkeypatch, stream, "multiply", {}, lambda: run_all(_device.SIMULATED), expected)
