"""The CUDA side of the Bi-LSTM against the CPU side; bits, masks, shapes of launches.

The matrix product has its own tests and is slow without a GPU, so a plain one replaces it in most tests.
"""

import numpy as np
import pytest
import test_lstm
from planted import faults_found, plant

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

    def run(self, upload, x, Wx, Wh, b, h0, c0, dy):
        """y and all gradients, those of the parameters added to 1."""
        dWx, dWh, db = (upload(np.ones_like(array)) for array in (Wx, Wh, b))
        x, Wx, Wh, b, h0, c0 = map(upload, (x, Wx, Wh, b, h0, c0))
        y, cache = lstm.forward(x, self.frames, Wx, Wh, b, h0, c0)
        dx, dh0, dc0 = lstm.backward(upload(dy), cache, Wx, Wh, dWx, dWh, db)
        return {"y": y, "x": dx, "Wx": dWx, "Wh": dWh, "b": db, "h0": dh0, "c0": dc0}


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
def small_blocks(on_gpu, monkeypatch):
    if not on_gpu:
        in_small_blocks(monkeypatch)


def in_small_blocks(monkeypatch):
    """Several blocks for each launch, as large sizes have; small blocks are also faster here."""
    monkeypatch.setattr(lstm, "product", plain_product)
    for module, sizes in ((_frames, {"THREADS": 7, "COLUMNS": 5, "PARTS": 2}), (stream, {"SIDE": 3, "PITCH": 4})):
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(lstm, "THREADS", 7)


def close(got, expected, dtype):
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for name, array in got.items():
        assert array.dtype == dtype
        limit = tolerance * max(1, abs(expected[name]).max())
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=limit, err_msg=name)


def same_bits(got, expected):
    for name, array in got.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_forward_and_backward_agree_with_the_cpu(device, dtype, small_blocks):
    for case in device.sizes(CASES, LARGE):
        inputs = case.draw(dtype)
        close(device.results(case.run, **inputs), case.run(np.array, **inputs), dtype)


def test_with_the_product_of_the_kernels(device):
    inputs = MIXED.draw()
    close(device.results(MIXED.run, **inputs), MIXED.run(np.array, **inputs), np.float64)


@pytest.mark.parametrize("threads", [1, 32])
def test_same_bits_for_any_block_size(device, small_blocks, monkeypatch, threads):
    inputs = MIXED.draw(np.float32)
    usual = device.results(MIXED.run, **inputs)
    monkeypatch.setattr(lstm, "THREADS", threads)
    same_bits(device.results(MIXED.run, **inputs), usual)


@pytest.mark.parametrize("shape", lstm.SHAPES[1:])
def test_any_number_of_utterances_a_block(device, small_blocks, monkeypatch, shape):
    inputs = MIXED.draw()
    monkeypatch.setattr(lstm, "SHAPES", (shape,))
    close(device.results(MIXED.run, **inputs), MIXED.run(np.array, **inputs), np.float64)


def test_an_utterance_has_the_same_bits_alone_and_in_any_batch(device, small_blocks):
    inputs = MIXED.draw(np.float32)
    together = device.results(MIXED.run, **inputs)
    for u in (1, 2):
        length = MIXED.lengths[u]
        own = dict(inputs, **{name: np.ascontiguousarray(inputs[name][u : u + 1, :length]) for name in ("x", "dy")})
        own |= {name: np.ascontiguousarray(inputs[name][:, u : u + 1]) for name in ("h0", "c0")}
        alone = device.results(Case((length,), MIXED.D, MIXED.H).run, **own)
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


def test_the_products_of_a_frame_do_not_depend_on_the_size_of_the_batch():
    """A single short utterance leaves most of a GPU idle, but its sums are the same in any batch."""
    D, H = 1536, 128
    device, lengths = _device.SIMULATED, np.array([3])
    x, Wx, Wh, b = (device.empty(shape, np.float32) for shape in ((1, 3, D), (D, 2, 4 * H), (2, H, 4 * H), (2, 4 * H)))
    kept = []
    forward = costs.recorded(lambda: kept.extend(lstm.forward(x, lengths, Wx, Wh, b)))
    backward = costs.recorded(lambda: lstm.backward(kept[0], kept[1], Wx, Wh, Wx, Wh, b))
    products = [launch.arguments for launch in forward + backward if launch.name == "matmul.product_cuda"]
    assert [(of["K"], of["part"]) for of in products if of["M"] == 3] == [(D, D), (8 * H, 8 * H)]


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
PRODUCT = "multiply(U, h, Wh, direction * H * 4 * H, H, 4 * H, slices, sums)"
READOUT = "r[b, j] = y[b, lengths[b] - 1 if j < width // 2 else 0, j]"
FAULTS = [
    *[(name, f"cuda.syncthreads()  # {why}", "pass", "race") for name, whys in BARRIERS.items() for why in whys],
    ("forward_cuda", "if n < length:", "if n <= length:", "result"),
    ("forward_cuda", "at = start + t", "at = start + n", "result"),
    ("forward_cuda", "t = frame_at(direction, n, length)", "t = frame_at(0, n, length)", "result"),
    ("forward_cuda", "if r < members:", "if r < U:", "out of range"),
    ("forward_cuda", "h[e] = 0", "pass", "uninitialised"),
    ("forward_cuda", "members = min(U, sequences.shape[0] - first)", "members = U", "out of range"),
    ("forward_cuda", "first = cuda.blockIdx.x * U", "first = 0", "race"),
    ("forward_cuda", "h[u * U + r] = next_h", "h[r * H + u] = next_h", "result"),
    ("forward_cuda", "z[at, direction, H + u] = f", "z[at, direction, H + u] = i", "result"),
    ("forward_cuda", "c[at, direction, u] = next_c", "c[at, 0, u] = next_c", "race"),
    ("forward_cuda", "y[b, t, direction * H + u] = next_h", "y[b, t, u] = next_h", "race"),
    ("forward_cuda", PRODUCT, "multiply(U, h, Wh, 0, H, 4 * H, slices, sums)", "result"),
    ("c_before", "if n == 0:", "if n <= 1:", "result"),
    ("c_before", "return c[start + frame_at(direction, n - 1, length), direction, u]",
     "return c[start + frame_at(direction, n, length), direction, u]", "result"),
    ("backward_cuda", "if n < length:", "if n <= length:", "result"),
    ("backward_cuda", "shared[e] = 0", "pass", "uninitialised"),
    ("backward_cuda", "dc0[direction, sequences[first + e // H, 0], e % H] = 0", "pass", "result"),
    ("backward_cuda", "for n in range(sequences[first, 2] - 1, -1, -1):",
     "for n in range(sequences[first, 2] - 1, 0, -1):", "result"),
    ("backward_cuda", "t = frame_at(direction, n, length)", "t = frame_at(direction, n, length) + 1", "result"),
    ("backward_cuda", "dz[at, direction, u], dgates[u * U + r] = di, di",
     "dz[at, direction, u], dgates[u * U + r] = df, df", "result"),
    ("backward_cuda", "dz[at, direction, 2 * H + u], dgates[(2 * H + u) * U + r] = dg, dg",
     "dz[at, direction, 2 * H + u], dgates[(H + u) * U + r] = dg, dg", "result"),
    ("backward_cuda", "M = Wt.size // (8 * H)", "M = H", "result"),
    ("backward_cuda", "dh0[direction, sequences[first + r, 0], u] = product_of(sums, U, M, slices, r, u)",
     "dh0[0, sequences[first + r, 0], u] = product_of(sums, U, M, slices, r, u)", "race"),
    ("product_of", "for s in range(1, slices):", "for s in range(2, slices):", "result"),
    ("product_of", "total += sums[(s * U + r) * M + m]", "total += sums[(s * U + r) * M + m + 1]", "result"),
    ("readout_forward_cuda", "if b < B:", "if b <= B:", "out of range"),
    ("readout_forward_cuda", READOUT, "r[b, j] = y[b, lengths[b] - 1, j]", "result"),
    ("readout_backward_cuda", "if b < B:", "if b <= B:", "out of range"),
    ("readout_backward_cuda", "dy[b, lengths[b] - 1 if j < width // 2 else 0, j] = dr[b, j]",
     "dy[b, lengths[b] - 1 if j < width else 0, j] = dr[b, j]", "result"),
    ("gather_cuda", "if i < lengths[b] * D:", "if i < x.shape[1]:", "race"),
    ("gather_cuda", "frames[starts[b] * D + i] = x[b, i]", "frames[i] = x[b, i]", "race"),
    ("scatter_cuda", "elif i < x.shape[1]:", "else:", "out of range"),
    ("scatter_cuda", "x[b, i] = 0", "pass", "result"),
    ("states_before_cuda", "if t < length:", "if t <= length:", "race"),
    ("states_before_cuda", "if n == 0:", "if t == 0:", "result"),
    ("states_before_cuda", "before[direction, starts[b] + t, u] = h0[direction, b, u]",
     "before[direction, starts[b] + t, u] = 0", "result"),
    ("add_columns_cuda", "cuda.syncthreads()  # all parts are written", "pass", "race"),
    ("add_columns_cuda", "db[j] += total", "db[j] = total", "result"),
    ("add_columns_cuda", "if p == 0 and j < M:", "if p == 0:", "out of range"),
    ("add_columns_cuda", "if p == 0 and j < M:", "if j < M:", "race"),
    ("transpose_cuda", "cuda.syncthreads()  # the tile is written", "pass", "race"),
    ("transpose_cuda", "Wt[d, n, m] = tile[x, y]", "Wt[d, n, m] = tile[y, x]", "result"),
    ("transpose_cuda", "if n < Wt.shape[1] and m < Wt.shape[2]:", "if n < Wt.shape[1]:", "out of range"),
    ("transpose_cuda", "if m < W.shape[1] and n < W.shape[2]:", "if n < W.shape[2]:", "out of range"),
]  # fmt: skip


def run_all(upload):
    """Everything on the smallest batch that has groups, padding, and utterances that end before others."""
    case = Case((3, 1, 2), D=2, H=3, spare=1)
    results = case.run(upload, **case.draw())
    r = lstm.readout_forward(results["y"], case.frames)
    return [*results.values(), r, lstm.readout_backward(r, case.frames, 4)]


@pytest.fixture
def two_utterances_a_block(small_blocks, monkeypatch):
    monkeypatch.setattr(lstm, "SHAPES", ((2, 2),))
    monkeypatch.setattr(lstm, "THREADS", 5)


def test_a_planted_fault_is_caught(check_fault, two_utterances_a_block):
    check_fault(run_all, lstm, _frames, stream)


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
def test_a_fault_planted_in_the_stream_is_caught(monkeypatch, two_utterances_a_block, line, instead, kind):
    monkeypatch.setattr(stream, "multiply_2", plant(stream.multiplier, {line: instead})(2))
    assert kind in faults_found(run_all, run_all(np.array))
