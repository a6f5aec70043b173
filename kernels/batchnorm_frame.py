"""Bi-LSTM with frame-wise batch normalisation, eqs. (6) to (9).

The statistics of a step couple all utterances that still run at it, so the time loop takes them all together, step by
step. batchnorm.py has the other kinds and the entry points, lstm.py the loop without normalisation.

    at step n, R utterances run        a[r] = what is normalised, G of them: frame-8  x Wx + h Wh
                                                                             frame-9  x Wx, and h Wh
    forward    mean     = 1/R Σ_r a[r]        variance = 1/R Σ_r (a[r] - mean)²
               hat[r]   = (a[r] - mean) scale,  scale = 1 / √(variance + ε)         0 for a single r
               z[r]     = β + Σ_g γ[g] hat[g, r]                                    the input of the gates
    backward   dβ      += Σ_r dz[r]      dγ[g] += Σ_r dz[r] hat[g, r]
               da[g, r] = scale (γ dz[r] - 1/R Σ γ dz - hat[g, r] 1/R Σ γ dz hat)

gates, z        (N, 2, 4H)           normed (hat), da   (G, N, 2, 4H)      γ (G, 2, 4H)      β (2, 4H)
mean, variance  (G, steps, 2, 4H)    in training this batch's, else the running ones: a step after `last` uses `last`'s
"""

from typing import NamedTuple

import numpy as np

from scratchser.kernels.machine.compile import cuda, cuda_device, cuda_jit, jit, pjit, prange
from scratchser.kernels.machine.contiguous import add_range, copy_range, fill_range
from scratchser.kernels.machine.device import Array, blocks, device_of, launch, on_cpu
from scratchser.kernels.matmul import Matrix, Operand, Panel, Rows, multiply_along, pack_all, product
from scratchser.kernels.parts.cell import cell, cell_gradient, unit, unit_gradient
from scratchser.kernels.parts.frames import c_before, count_running, flat, frame_at, row_of, sequences_of
from scratchser.kernels.parts.statistics import input_gradient, scale_of, scales_of
from scratchser.kernels.parts.tile import COLS, panel_width

THREADS = 128  # of a block


class Scaling(NamedTuple):
    """γ, β and ε."""

    gamma: Array
    beta: Array
    epsilon: float


class Statistics(NamedTuple):
    """Means and variances of the steps, and the last step that has any."""

    mean: Array
    variance: Array
    last: int


class Gradients(NamedTuple):
    """What backward computes: dgamma and dbeta are added to, the others are written."""

    da: Array
    dgamma: Array
    dbeta: Array
    dh0: Array
    dc0: Array


# ---- CPU: columns of the rows of one step ---------------------------------------------------------------------------


@jit
def mean_and_variance_of(rows, count, mean, variance):
    """Write the mean and variance (M,) of the first `count` of rows (B, M)."""
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
    """Turn a row (M,) into its hat, and add γ hat to the gates (M,)."""
    for j in range(len(row)):
        row[j] = (row[j] - mean[j]) * scale[j]
    for j in range(len(row)):
        gates[j] += gamma[j] * row[j]


@jit
def gradients_of(dgates, hats, count, gamma, scale, dgamma, mean, projected):
    """Turn hats (B, M) into da, and add to dγ (M,). mean and projected (M,) are workspace."""
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


# ---- CPU: the time loop, a core per direction: a step needs all of the step before ----------------------------------


@pjit
def forward_cpu(z, Wh, h0, c0, utterances, training, statistics, scaling, normed, c, y):
    """z (N, 2, 4H) holds x Wx and becomes the activated gates i f g o.

    normed, c (N, 2, H) and y (B, T, 2H) are written, in training the statistics too.
    """
    lengths, starts, order = utterances
    (mean, variance, last), (gamma, beta, epsilon) = statistics, scaling
    (G, N, _, M), (B, T, _), H = normed.shape, y.shape, Wh.shape[1]
    no_floor, zero = z.dtype.type(-np.inf), z.dtype.type(0)
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
            rows, step = count_running(order, lengths, n), min(n, last)
            # parts[0] = x Wx; h Wh is added to it (frame-8), or becomes parts[1] (frame-9)
            if G == 2:
                fill_range(zero, flat_parts, hidden, rows * M)
            for r in range(rows):
                at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                copy_range(flat_z, at * M, flat_parts, r * M, M)
            for j in range(0, M, COLS):
                count = min(COLS, M - j)
                width, part = panel_width(count, H), Matrix(hidden + j, M)
                columns = Panel(j * H, width, count, width)
                multiply_along(
                    flat_h, Rows(rows, 0, H, 0, 1, H), panel, columns, flat_parts, part, no_floor, flat_parts, part
                )
            # gates = β + Σ γ hat
            for r in range(rows):
                gates[r] = beta[direction]
            for g in range(G):
                if training:
                    mean_and_variance_of(parts[g], rows, mean[g, step, direction], variance[g, step, direction])
                scales_of(variance[g, step, direction], epsilon, scale)
                for r in range(rows):
                    normalise(parts[g, r], mean[g, step, direction], scale, gamma[g, direction], gates[r])
                    at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                    copy_range(flat_parts, (g * B + r) * M, flat_normed, (g * 2 * N + at) * M, M)
            # the cells, and copies of what they give
            for r in range(rows):
                cell(gates[r], cell_state[r], h[r])
                at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                copy_range(flat_gates, r * M, flat_z, at * M, M)
                copy_range(flat_cell, r * H, flat_c, at * H, H)
                t = frame_at(direction, n, lengths[order[r]])
                copy_range(flat_h, r * H, flat_y, (2 * (order[r] * T + t) + direction) * H, H)


@pjit
def backward_cpu(dy, gates, Wh, c0, c, utterances, variance, scaling, normed, gradients):
    """Write and add to the gradients; dh0 and dc0 (2, B, H)."""
    lengths, starts, order = utterances
    (gamma, _, epsilon), (da, dgamma, dbeta, dh0, dc0) = scaling, gradients
    (G, N, _, M), (B, T, _), H = normed.shape, dy.shape, Wh.shape[1]
    no_floor, zero = da.dtype.type(-np.inf), da.dtype.type(0)
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
            rows = count_running(order, lengths, n)
            # the gradient of the gates: dh holds da[-1] Whᵀ of the step after
            for r in range(rows):
                utterance = order[r]
                length, start = lengths[utterance], starts[utterance]
                at, t = row_of(start, direction, n, length), frame_at(direction, n, length)
                copy_range(flat_z, at * M, gate, 0, M)
                copy_range(flat_c, at * H, now, 0, H)
                if n > 0:
                    copy_range(flat_c, row_of(start, direction, n - 1, length) * H, before, 0, H)
                else:
                    copy_range(flat_c0, (direction * B + utterance) * H, before, 0, H)
                add_range(flat_dy, (2 * (utterance * T + t) + direction) * H, flat_dh, r * H, H)
                cell_gradient(dh[r], dc[r], gate, now, before, dgates[r], squashed)
                fill_range(zero, flat_dh, r * H, H)
                dbeta[direction] += dgates[r]
            # through the normalisation
            for g in range(G):
                for r in range(rows):
                    at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                    copy_range(flat_normed, (g * 2 * N + at) * M, flat_hats, r * M, M)
                scales_of(variance[g, n, direction], epsilon, scale)
                gradients_of(dgates, hats, rows, gamma[g, direction], scale, dgamma[g, direction], average, projected)
                for r in range(rows):
                    at = row_of(starts[order[r]], direction, n, lengths[order[r]])
                    copy_range(flat_hats, r * M, flat_da, (g * 2 * N + at) * M, M)
            # da[-1] Whᵀ for the step before: the last of the G contains h Wh
            for j in range(0, H, COLS):
                count = min(COLS, H - j)
                width, part = panel_width(count, M), Matrix(j, H)
                matrix, columns = Rows(rows, 0, M, 0, 1, M), Panel(j * M, width, count, width)
                multiply_along(flat_hats, matrix, panel, columns, flat_dh, part, no_floor, flat_dh, part)
        for r in range(B):
            dh0[direction, order[r]], dc0[direction, order[r]] = dh[r], dc[r]


# ---- CUDA: the host loops over the steps, with three launches each for both directions together ----------------------
#
#     h  ──▶  h Wh, matmul.py's product  ──▶  statistics and z  ──▶  cell  ──▶  h
#                                             a thread per column    a thread per utterance and unit
#
# States lie by rank, the longest utterance first, so that those that run at step n are the first R rows.
# sequences (B, 3): see frames.sequences_of.


@cuda_jit
def rank_cuda(states, sequences, inverse, ranked):
    """ranked[direction, r] = states[direction, utterance of rank r], both (2, B, H); `inverse` undoes it."""
    i = cuda.grid(1)
    _, B, H = states.shape
    direction, r, u = i // (B * H), i // H % B, i % H
    if direction < 2:
        if inverse:
            ranked[direction, sequences[r, 0], u] = states[direction, r, u]
        else:
            ranked[direction, r, u] = states[direction, sequences[r, 0], u]


@cuda_device
def row_at(sequences, r, direction, n):
    """The real frame of step n for rank r."""
    return sequences[r, 1] + frame_at(direction, n, sequences[r, 2])


@cuda_device
def element(z, sums, g, G, at, r, direction, j):
    """Element j of a[g], which is normalised: x Wx is in z, h Wh in sums."""
    if G == 1:
        return z[at, direction, j] + sums[direction, r, j]
    if g == 0:
        return z[at, direction, j]
    return sums[direction, r, j]


@cuda_jit
def normalise_cuda(z, sums, sequences, n, R, training, mean, variance, step, gamma, beta, epsilon, normed):
    """Normalise step n, a thread per column.

    z                (N, 2, 4H) holds x Wx and becomes the input of the gates
    sums             (2, B, 4H) h Wh by rank
    R                utterances that run
    mean, variance   entries [:, step] are written in training, else used
    normed           is written
    """
    i = cuda.grid(1)
    G, _, _, M = normed.shape
    direction, j = i // M, i % M
    if direction < 2:
        count, shift = z.dtype.type(R), beta[direction, j]
        for g in range(G):
            if training:
                average, spread = z.dtype.type(0), z.dtype.type(0)
                for r in range(R):
                    average += element(z, sums, g, G, row_at(sequences, r, direction, n), r, direction, j)
                average /= count
                for r in range(R):
                    deviation = element(z, sums, g, G, row_at(sequences, r, direction, n), r, direction, j) - average
                    spread += deviation * deviation
                spread /= count
                mean[g, step, direction, j], variance[g, step, direction, j] = average, spread
            else:
                average, spread = mean[g, step, direction, j], variance[g, step, direction, j]
            scale, factor = scale_of(spread, epsilon), gamma[g, direction, j]
            for r in range(R):
                at = row_at(sequences, r, direction, n)
                hat = (element(z, sums, g, G, at, r, direction, j) - average) * scale
                normed[g, at, direction, j] = hat
                if g == 0:
                    z[at, direction, j] = shift + factor * hat
                else:
                    z[at, direction, j] += factor * hat


@cuda_jit
def cell_cuda(z, c0, sequences, n, R, c, y, h):
    """A thread per running utterance and unit: z becomes the gates. c, y and h (2, B, H), by rank, are written."""
    e = cuda.grid(1)
    H = h.shape[2]
    direction, r, u = e // (R * H), e // H % R, e % H
    if direction < 2:
        b, start, length = sequences[r, 0], sequences[r, 1], sequences[r, 2]
        t = frame_at(direction, n, length)
        at = start + t
        i, f, g, o, next_c, next_h = unit(
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
        c[at, direction, u] = next_c
        y[b, t, direction * H + u] = next_h
        h[direction, r, u] = next_h


@cuda_jit
def cell_gradient_cuda(dy, gates, c0, c, sequences, n, R, dh, dz, dc0):
    """A thread per running utterance and unit: dz (2, B, 4H), by rank, from dh (2, B, H). dc0 holds dc meanwhile."""
    e = cuda.grid(1)
    H = dh.shape[2]
    direction, r, u = e // (R * H), e // H % R, e % H
    if direction < 2:
        b, start, length = sequences[r, 0], sequences[r, 1], sequences[r, 2]
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
def normalise_gradient_cuda(dz, sequences, n, R, variance, gamma, epsilon, normed, da, dgamma, dbeta):
    """da[:, frames of step n] from dz (2, B, 4H), a thread per column. dz becomes the last of the G, that of h Wh."""
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
                projected += dz[direction, r, j] * normed[g, row_at(sequences, r, direction, n), direction, j]
            dgamma[g, direction, j] += projected
            factor, scale = gamma[g, direction, j], scale_of(variance[g, n, direction, j], epsilon)
            average, slope = total * (factor / count), projected * (factor / count)
            for r in range(R):
                at = row_at(sequences, r, direction, n)
                d = input_gradient(dz[direction, r, j], normed[g, at, direction, j], factor, scale, average, slope)
                da[g, at, direction, j] = d
                if g == G - 1:
                    dz[direction, r, j] = d


# ---- entry points ---------------------------------------------------------------------------------------------------


def ranked(states, sequences, inverse=False):
    """states (2, B, H) sorted by rank; with `inverse`, from ranks back to utterances."""
    device = device_of(states)
    result = device.empty(states.shape, states.dtype)
    launch(rank_cuda, blocks(states.size, THREADS), THREADS, states, sequences, int(inverse), result)
    return result


def running_counts(lengths):
    """How many utterances run at each step, a list."""
    return [int(np.count_nonzero(lengths > n)) for n in range(lengths.max())]


def forward(cache, Wh, norm, training, mean, variance, last, hat):
    """Turn the input part in cache.gates (lstm.Cache) into the activated gates.

    cache.c, cache.y and hat are written, in training mean and variance too.
    """
    scaling = Scaling(norm.gamma, norm.beta, Wh.dtype.type(norm.epsilon))
    if on_cpu(Wh):
        statistics = Statistics(mean, variance, last)
        states = cache.h0, cache.c0, cache.utterances
        forward_cpu(cache.gates, Wh, *states, training, statistics, scaling, hat, cache.c, cache.y)
        return
    device, (_, B, H), M = device_of(Wh), cache.h0.shape, Wh.shape[2]
    sequences = device.resident(sequences_of(cache.utterances))
    h, sums = ranked(cache.h0, sequences), device.empty((2, B, M), Wh.dtype)
    zeros = device.resident(np.zeros(M, Wh.dtype))
    A, weights = Operand(flat(h), H, 1, B * H), Operand(flat(Wh), M, 1, H * M)
    for n, R in enumerate(running_counts(cache.utterances.lengths)):
        product(A, weights, flat(sums), R, M, H, bias=zeros, batch=2, step=B * M, split=False)
        statistics = int(training), mean, variance, min(n, last)
        launch(
            normalise_cuda, blocks(2 * M, THREADS), THREADS,
            cache.gates, sums, sequences, n, R, *statistics, *scaling, hat,
        )  # fmt: skip
        states = cache.c0, sequences, n, R, cache.c, cache.y, h
        launch(cell_cuda, blocks(2 * R * H, THREADS), THREADS, cache.gates, *states)


def backward(dy, cache, Wh, norm, variance, hat, dgamma, dbeta):
    """Returns da (G, N, 2, 4H), dh0 and dc0 (2, B, H); dgamma and dbeta are added to."""
    device, scaling = device_of(dy), Scaling(norm.gamma, norm.beta, Wh.dtype.type(norm.epsilon))
    da = device.empty(hat.shape, dy.dtype)
    dh0, dc0 = device.empty(cache.h0.shape, dy.dtype), device.zeros(cache.c0.shape, dy.dtype)
    if on_cpu(dy):
        states = cache.c0, cache.c, cache.utterances
        gradients = Gradients(da, dgamma, dbeta, dh0, dc0)
        backward_cpu(dy, cache.gates, Wh, *states, variance, scaling, hat, gradients)
        return da, dh0, dc0
    (_, B, H), M = cache.h0.shape, Wh.shape[2]
    sequences = device.resident(sequences_of(cache.utterances))
    dh, dz = device.zeros((2, B, H), dy.dtype), device.empty((2, B, M), dy.dtype)
    zeros = device.resident(np.zeros(H, dy.dtype))
    A, weights = Operand(flat(dz), M, 1, B * M), Operand(flat(Wh), 1, M, H * M)
    for n, R in reversed(list(enumerate(running_counts(cache.utterances.lengths)))):
        states = dy, cache.gates, cache.c0, cache.c, sequences
        launch(cell_gradient_cuda, blocks(2 * R * H, THREADS), THREADS, *states, n, R, dh, dz, dc0)
        launch(
            normalise_gradient_cuda, blocks(2 * M, THREADS), THREADS,
            dz, sequences, n, R, variance, norm.gamma, scaling.epsilon, hat, da, dgamma, dbeta,
        )  # fmt: skip
        product(A, weights, flat(dh), R, H, M, bias=zeros, batch=2, step=B * H, split=False)
    return da, ranked(dh, sequences, inverse=True), dc0
