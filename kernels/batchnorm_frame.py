"""The Bi-LSTM's walk with frame-wise batch normalisation, eqs. (6) to (9): the statistics of a step couple all
utterances that still run at it, so all of them walk together; batchnorm.py has the equations, lstm.py the other walk.

    at step n, R utterances run        a[r] = what is normalised, G of them: frame-8  x Wx + h Wh
                                                                             frame-9  x Wx, and h Wh
        mean     = 1/R Σ_r a[r]        variance = 1/R Σ_r (a[r] - mean)²
        hat[r]   = (a[r] - mean) scale,  scale = 1 / √(variance + ε)         0 for a single r
        z[r]     = β + Σ_g γ[g] hat[g, r]                                    what the gates are made of
    and back, from dz[r]
        dβ += Σ_r dz[r]      dγ[g] += Σ_r dz[r] hat[g, r]
        da[g, r] = scale (γ dz[r] - 1/R Σ γ dz - hat[g, r] 1/R Σ γ dz hat)

gates, z        (N, 2, 4H)           normed (hat), da   (G, N, 2, 4H)      γ (G, 2, 4H)      β (2, 4H)
mean, variance  (G, steps, 2, 4H)    in training this batch's, else the running ones: a step after `last` uses `last`'s

    CPU    a core per direction: the next step needs all of this one
    CUDA   a loop of the host over the steps, three launches each, for both directions together:

        h  ──▶  h Wh, matmul.py's product  ──▶  statistics and z  ──▶  cell  ──▶  h
                                                a thread per column    a thread per utterance and unit

There states lie by rank, the longest utterance first, so that those that still run at a step are the first R rows.
"""

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.contiguous import add_run, copy_run, fill_run
from scratchser.kernels.machine.device import blocks, device_of, launch, on_cpu
from scratchser.kernels.matmul import multiply_along, pack_all, product
from scratchser.kernels.parts.cell import cell, cell_gradient, unit, unit_gradient
from scratchser.kernels.parts.frames import c_before, flat, frame_at, row_of, running, walks_of
from scratchser.kernels.parts.statistics import input_gradient, scale_of, scales_of
from scratchser.kernels.parts.tile import COLS, panel_width

THREADS = 128  # of a block

# ---- CPU: columns of the rows of one step ---------------------------------------------------------------------------


@jit
def moments_of(rows, count, mean, variance):
    """rows (B, M), of which the first `count` run; mean and variance (M,) are written."""
    n = rows.dtype.type(count)
    for j in range(len(mean)):
        mean[j] = variance[j] = 0
    for r in range(count):
        for j in range(len(mean)):
            mean[j] += rows[r, j]
    for j in range(len(mean)):
        mean[j] /= n
    for r in range(count):
        for j in range(len(mean)):
            deviation = rows[r, j] - mean[j]
            variance[j] += deviation * deviation
    for j in range(len(mean)):
        variance[j] /= n


@jit
def normalise(row, mean, scale, gamma, gates):
    """row (M,) becomes its hat, and γ hat is added to the gates (M,)."""
    for j in range(len(row)):
        row[j] = (row[j] - mean[j]) * scale[j]
    for j in range(len(row)):
        gates[j] += gamma[j] * row[j]


@jit
def gradients_of(dgates, hats, count, gamma, scale, dgamma, mean, projected):
    """hats (B, M) become da; dγ (M,) is added to; mean and projected (M,): workspace."""
    n = hats.dtype.type(count)
    for j in range(len(gamma)):
        mean[j] = projected[j] = 0
    for r in range(count):
        for j in range(len(gamma)):
            mean[j] += dgates[r, j]
        for j in range(len(gamma)):
            projected[j] += dgates[r, j] * hats[r, j]
    for j in range(len(gamma)):
        dgamma[j] += projected[j]
    for j in range(len(gamma)):
        mean[j] *= gamma[j] / n
        projected[j] *= gamma[j] / n
    for r in range(count):
        for j in range(len(gamma)):
            hats[r, j] = input_gradient(dgates[r, j], hats[r, j], gamma[j], scale[j], mean[j], projected[j])


# ---- CPU: the time loop ---------------------------------------------------------------------------------------------


@pjit
def forward_cpu(
    z, Wh, h0, c0, lengths, starts, order, training, mean, variance, last, gamma, beta, epsilon, normed, c, y
):
    """z (N, 2, 4H): x Wx comes in, the activated gates i f g o go out. normed, c (N, 2, H) and y (B, T, 2H) are
    written, in training mean and variance too."""
    (G, N, _, M), (B, T, _), H = normed.shape, y.shape, Wh.shape[1]
    nothing, zero = z.dtype.type(-np.inf), z.dtype.type(0)
    flat_z, flat_c, flat_y = z.reshape(z.size), c.reshape(c.size), y.reshape(y.size)
    flat_normed = normed.reshape(normed.size)
    for direction in prange(2):
        panel = pack_all(Wh[direction].reshape(H * M), 0, M, 1, H, M, H)
        h, cell_state, parts = np.empty((B, H), z.dtype), np.empty((B, H), z.dtype), np.empty((G, B, M), z.dtype)
        gates, scale = np.empty((B, M), z.dtype), np.empty(M, z.dtype)
        for r in range(B):
            h[r], cell_state[r] = h0[direction, order[r]], c0[direction, order[r]]
        flat_h, flat_cell, flat_parts = h.reshape(B * H), cell_state.reshape(B * H), parts.reshape(G * B * M)
        flat_gates, hidden = gates.reshape(B * M), (G - 1) * B * M  # where the sums that h Wh is added to begin
        for n in range(lengths[order[0]]):
            rows, step = running(order, lengths, n), min(n, last)
            if G == 2:
                fill_run(zero, flat_parts, hidden, rows * M)
            for r in range(rows):
                at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                copy_run(flat_z, at * M, flat_parts, r * M, M)
            for j in range(0, M, COLS):
                count = min(COLS, M - j)
                multiply_along(
                    flat_h, 0, H, 0, 1, H, rows, panel, j * H, count, panel_width(count, H),
                    flat_parts, hidden + j, M, nothing, flat_parts, hidden + j, M,
                )  # fmt: skip
            for r in range(rows):
                gates[r] = beta[direction]
            for g in range(G):
                if training:
                    moments_of(parts[g], rows, mean[g, step, direction], variance[g, step, direction])
                scales_of(variance[g, step, direction], epsilon, scale)
                for r in range(rows):
                    normalise(parts[g, r], mean[g, step, direction], scale, gamma[g, direction], gates[r])
                    at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                    copy_run(flat_parts, (g * B + r) * M, flat_normed, (g * 2 * N + at) * M, M)
            for r in range(rows):
                cell(gates[r], cell_state[r], h[r])
                at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                copy_run(flat_gates, r * M, flat_z, at * M, M)
                copy_run(flat_cell, r * H, flat_c, at * H, H)
                t = frame_at(direction, n, lengths[order[r]])
                copy_run(flat_h, r * H, flat_y, (2 * (order[r] * T + t) + direction) * H, H)


@pjit
def backward_cpu(
    dy, gates, Wh, c0, c, lengths, starts, order, variance, gamma, epsilon, normed, da, dgamma, dbeta, dh0, dc0
):
    """da, dh0 and dc0 (2, B, H) are written, dgamma and dbeta added to."""
    (G, N, _, M), (B, T, _), H = normed.shape, dy.shape, Wh.shape[1]
    nothing, zero = da.dtype.type(-np.inf), da.dtype.type(0)
    flat_dy, flat_z, flat_normed = dy.reshape(dy.size), gates.reshape(gates.size), normed.reshape(normed.size)
    flat_c, flat_c0, flat_da = c.reshape(c.size), c0.reshape(c0.size), da.reshape(da.size)
    for direction in prange(2):
        panel = pack_all(Wh[direction].reshape(H * M), 0, 1, M, M, H, M)
        dh, dc = np.zeros((B, H), da.dtype), np.zeros((B, H), da.dtype)
        gate, now = np.empty(M, da.dtype), np.empty(H, da.dtype)
        before, squashed = np.empty(H, da.dtype), np.empty(H, da.dtype)
        dgates, hats = np.empty((B, M), da.dtype), np.empty((B, M), da.dtype)
        scale, average, projected = np.empty(M, da.dtype), np.empty(M, da.dtype), np.empty(M, da.dtype)
        flat_dh, flat_hats = dh.reshape(B * H), hats.reshape(B * M)
        for n in range(lengths[order[0]] - 1, -1, -1):
            rows = running(order, lengths, n)
            for r in range(rows):
                utterance = order[r]
                length, start = lengths[utterance], starts[utterance]
                at, t = row_of(start, direction, n, length), frame_at(direction, n, length)
                copy_run(flat_z, at * M, gate, 0, M)
                copy_run(flat_c, at * H, now, 0, H)
                if n > 0:
                    copy_run(flat_c, row_of(start, direction, n - 1, length) * H, before, 0, H)
                else:
                    copy_run(flat_c0, (direction * B + utterance) * H, before, 0, H)
                add_run(flat_dy, (2 * (utterance * T + t) + direction) * H, flat_dh, r * H, H)
                cell_gradient(dh[r], dc[r], gate, now, before, dgates[r], squashed)
                fill_run(zero, flat_dh, r * H, H)
                dbeta[direction] += dgates[r]
            for g in range(G):
                for r in range(rows):
                    at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                    copy_run(flat_normed, (g * 2 * N + at) * M, flat_hats, r * M, M)
                scales_of(variance[g, n, direction], epsilon, scale)
                gradients_of(dgates, hats, rows, gamma[g, direction], scale, dgamma[g, direction], average, projected)
                for r in range(rows):
                    at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                    copy_run(flat_hats, r * M, flat_da, (g * 2 * N + at) * M, M)
            for j in range(0, H, COLS):  # the last of the G is what h Wh went into
                count = min(COLS, H - j)
                multiply_along(
                    flat_hats, 0, M, 0, 1, M, rows, panel, j * M, count, panel_width(count, M),
                    flat_dh, j, H, nothing, flat_dh, j, H,
                )  # fmt: skip
        for r in range(B):
            dh0[direction, order[r]], dc0[direction, order[r]] = dh[r], dc[r]


# ---- CUDA: one step of both directions; R utterances run, walks (B, 3): see lstm.walks_of ---------------------------


@cuda_jit
def rank_cuda(states, walks, back, ranked):
    """ranked[direction, r] = states[direction, utterance of rank r] or, `back`, the other way round; both (2, B, H)."""
    i = cuda.grid(1)
    _, B, H = states.shape
    direction, r, u = i // (B * H), i // H % B, i % H
    if direction < 2:
        if back:
            ranked[direction, walks[r, 0], u] = states[direction, r, u]
        else:
            ranked[direction, r, u] = states[direction, walks[r, 0], u]


@cuda_device
def row_at(walks, r, direction, n):
    """The real frame that step n of rank r comes to."""
    return walks[r, 1] + frame_at(direction, n, walks[r, 2])


@cuda_device
def summed(z, sums, g, G, at, r, direction, j):
    """Number g of what is normalised: x Wx is in z, h Wh in sums."""
    if G == 1:
        return z[at, direction, j] + sums[direction, r, j]
    if g == 0:
        return z[at, direction, j]
    return sums[direction, r, j]


@cuda_jit
def normalise_cuda(z, sums, walks, n, R, training, mean, variance, step, gamma, beta, epsilon, normed):
    """A thread per column: z (N, 2, 4H), x Wx of step n's frames, becomes what the gates are made of; normed is
    written, in training mean and variance [:, step] too. sums (2, B, 4H) are h Wh by rank."""
    i = cuda.grid(1)
    G, _, _, M = normed.shape
    direction, j = i // M, i % M
    if direction < 2:
        count, shift = z.dtype.type(R), beta[direction, j]
        for g in range(G):
            if training:
                average, spread = z.dtype.type(0), z.dtype.type(0)
                for r in range(R):
                    average += summed(z, sums, g, G, row_at(walks, r, direction, n), r, direction, j)
                average /= count
                for r in range(R):
                    deviation = summed(z, sums, g, G, row_at(walks, r, direction, n), r, direction, j) - average
                    spread += deviation * deviation
                spread /= count
                mean[g, step, direction, j], variance[g, step, direction, j] = average, spread
            else:
                average, spread = mean[g, step, direction, j], variance[g, step, direction, j]
            scale, factor = scale_of(spread, epsilon), gamma[g, direction, j]
            for r in range(R):
                at = row_at(walks, r, direction, n)
                hat = (summed(z, sums, g, G, at, r, direction, j) - average) * scale
                normed[g, at, direction, j] = hat
                if g == 0:
                    z[at, direction, j] = shift + factor * hat
                else:
                    z[at, direction, j] += factor * hat


@cuda_jit
def cell_cuda(z, c0, walks, n, R, c, y, h):
    """A thread per running utterance and unit: z becomes the gates; c, y and h (2, B, H), by rank, are written."""
    e = cuda.grid(1)
    H = h.shape[2]
    direction, r, u = e // (R * H), e // H % R, e % H
    if direction < 2:
        b, start, length = walks[r, 0], walks[r, 1], walks[r, 2]
        t = frame_at(direction, n, length)
        at = start + t
        i, f, g, o, now, state = unit(
            z[at, direction, u],
            z[at, direction, H + u],
            z[at, direction, 2 * H + u],
            z[at, direction, 3 * H + u],
            c_before(c0, c, direction, n, b, start, length, u),
        )
        z[at, direction, u] = i
        z[at, direction, H + u] = f
        z[at, direction, 2 * H + u] = g
        z[at, direction, 3 * H + u] = o
        c[at, direction, u] = now
        y[b, t, direction * H + u] = state
        h[direction, r, u] = state


@cuda_jit
def cell_gradient_cuda(dy, gates, c0, c, walks, n, R, dh, dz, dc0):
    """A thread per running utterance and unit: dz (2, B, 4H), by rank, of dh (2, B, H); dc0 is dc on the way."""
    e = cuda.grid(1)
    H = dh.shape[2]
    direction, r, u = e // (R * H), e // H % R, e % H
    if direction < 2:
        b, start, length = walks[r, 0], walks[r, 1], walks[r, 2]
        t = frame_at(direction, n, length)
        at = start + t
        di, df, dg, do, dc0[direction, b, u] = unit_gradient(
            dy[b, t, direction * H + u] + dh[direction, r, u],
            dc0[direction, b, u],
            gates[at, direction, u],
            gates[at, direction, H + u],
            gates[at, direction, 2 * H + u],
            gates[at, direction, 3 * H + u],
            c[at, direction, u],
            c_before(c0, c, direction, n, b, start, length, u),
        )
        dz[direction, r, u] = di
        dz[direction, r, H + u] = df
        dz[direction, r, 2 * H + u] = dg
        dz[direction, r, 3 * H + u] = do


@cuda_jit
def normalise_gradient_cuda(dz, walks, n, R, variance, gamma, epsilon, normed, da, dgamma, dbeta):
    """A thread per column: da[:, step n's frames] of dz (2, B, 4H), which becomes the last of the G, that of h Wh."""
    i = cuda.grid(1)
    G, _, _, M = normed.shape
    direction, j = i // M, i % M
    if direction < 2:
        count, total = dz.dtype.type(R), dz.dtype.type(0)
        for r in range(R):
            total += dz[direction, r, j]
        dbeta[direction, j] += total
        for g in range(G):
            projected = dz.dtype.type(0)
            for r in range(R):
                projected += dz[direction, r, j] * normed[g, row_at(walks, r, direction, n), direction, j]
            dgamma[g, direction, j] += projected
            factor, scale = gamma[g, direction, j], scale_of(variance[g, n, direction, j], epsilon)
            average, slope = total * (factor / count), projected * (factor / count)
            for r in range(R):
                at = row_at(walks, r, direction, n)
                d = input_gradient(dz[direction, r, j], normed[g, at, direction, j], factor, scale, average, slope)
                da[g, at, direction, j] = d
                if g == G - 1:
                    dz[direction, r, j] = d


# ---- entry points ---------------------------------------------------------------------------------------------------


def ranked(states, walks, back=False):
    device = device_of(states)
    other = device.empty(states.shape, states.dtype)
    launch(rank_cuda, blocks(states.size, THREADS), THREADS, states, walks, int(back), other)
    return other


def running_at(lengths):
    """How many utterances run at each step, a list."""
    return [int(np.count_nonzero(lengths > n)) for n in range(lengths.max())]


def forward(walk, Wh, norm, training, mean, variance, last, hat):
    """From the gates' input part in the cache `walk` of lstm.py to the activated gates, c and y; hat is written, in
    training mean and variance too."""
    epsilon = Wh.dtype.type(norm.epsilon)
    if on_cpu(Wh):
        forward_cpu(
            walk.gates, Wh, walk.h0, walk.c0, walk.lengths, walk.starts, walk.order, training, mean, variance, last,
            norm.gamma, norm.beta, epsilon, hat, walk.c, walk.y,
        )  # fmt: skip
        return
    device, (_, B, H), M = device_of(Wh), walk.h0.shape, Wh.shape[2]
    walks = device.resident(walks_of(walk.lengths, walk.starts, walk.order))
    h, sums, zeros = ranked(walk.h0, walks), device.empty((2, B, M), Wh.dtype), device.resident(np.zeros(M, Wh.dtype))
    steps = B * H, H * M, B * M  # from direction to direction
    for n, R in enumerate(running_at(walk.lengths)):
        product(flat(h), H, 1, flat(Wh), M, 1, flat(sums), R, M, H, bias=zeros, batch=2, steps=steps, split=False)
        statistics = int(training), mean, variance, min(n, last)
        launch(
            normalise_cuda, blocks(2 * M, THREADS), THREADS,
            walk.gates, sums, walks, n, R, *statistics, norm.gamma, norm.beta, epsilon, hat,
        )  # fmt: skip
        launch(cell_cuda, blocks(2 * R * H, THREADS), THREADS, walk.gates, walk.c0, walks, n, R, walk.c, walk.y, h)


def backward(dy, walk, Wh, norm, variance, hat, dgamma, dbeta):
    """da (G, N, 2, 4H), dh0 and dc0 (2, B, H); dgamma and dbeta are added to."""
    device, epsilon = device_of(dy), Wh.dtype.type(norm.epsilon)
    da = device.empty(hat.shape, dy.dtype)
    dh0, dc0 = device.empty(walk.h0.shape, dy.dtype), device.zeros(walk.c0.shape, dy.dtype)
    if on_cpu(dy):
        backward_cpu(
            dy, walk.gates, Wh, walk.c0, walk.c, walk.lengths, walk.starts, walk.order, variance, norm.gamma, epsilon,
            hat, da, dgamma, dbeta, dh0, dc0,
        )  # fmt: skip
        return da, dh0, dc0
    (_, B, H), M = walk.h0.shape, Wh.shape[2]
    walks = device.resident(walks_of(walk.lengths, walk.starts, walk.order))
    dh, dz, zeros = device.zeros((2, B, H), dy.dtype), device.empty((2, B, M), dy.dtype), np.zeros(H, dy.dtype)
    steps = B * M, H * M, B * H
    for n, R in reversed(list(enumerate(running_at(walk.lengths)))):
        known = dy, walk.gates, walk.c0, walk.c, walks
        launch(cell_gradient_cuda, blocks(2 * R * H, THREADS), THREADS, *known, n, R, dh, dz, dc0)
        launch(
            normalise_gradient_cuda, blocks(2 * M, THREADS), THREADS,
            dz, walks, n, R, variance, norm.gamma, epsilon, hat, da, dgamma, dbeta,
        )  # fmt: skip
        bias = device.resident(zeros)
        product(flat(dz), M, 1, flat(Wh), 1, M, flat(dh), R, H, M, bias=bias, batch=2, steps=steps, split=False)
    return da, ranked(dh, walks, back=True), dc0
