"""Wrong files for five CUDA exercises: (names to recognise, text in the solution, text of the mistake, ...)."""

# texts of the solutions that several mistakes replace, and longer mistakes
ACCUMULATE = "accumulation forgotten"
ZERO, OF_THREADS = "    total = float32(0)\n", "    cuda.syncthreads()  # the sums of all threads are there\n"
HALVED = "        cuda.syncthreads()  # this halving is done\n"
INTEGERS = ("float32)\n", "int32)\n", "float32\n", "float32, int32\n")

ALL, FROM_0 = "range(cuda.grid(1), x.shape[0], cuda.gridsize(1))", "range(cuda.threadIdx.x, x.shape[0], THREADS)"
LOOP, ONCE, I = f"for i in {ALL}:", "i = cuda.grid(1)\n    if i < x.shape[0]:", "cuda.grid(1)"
SHARES = f"n = -(-x.shape[0] // cuda.gridsize(1))\n    for i in range({I} * n, min(({I} + 1) * n, x.shape[0])):"
RETURN = f"    if {I} >= x.shape[0]:\n        return\n"
COLUMNS = "    for k in range(t, "
STARTS = ["u", "4 * u", "H + u", "4 * u + 1", "2 * H + u", "4 * u + 2", "3 * H + u", "4 * u + 3"]
SIDE_BY_SIDE = [f"z[b, {start}]" for start in STARTS]
OWN, ADD_PARTS = "range(s * n, min((s + 1) * n, B))", f"    if s == 0 and k < K:\n    {ZERO}"
ADD_EACH = "    if k < K:\n        dW[d, k] += total\n    if s < 0:\n"
ROUND, NEW = "        cuda.syncthreads()  # this round is done\n", "        if t < T:\n            part[t] = mean\n"
READ, MEAN = "        cuda.syncthreads()  # all have read their neighbour\n", "float32(0.5) * (part[t] + part[t + 1])"
IN_IF = "        if t < T:\n            cuda.syncthreads()\n            part[t] = mean\n"
SERIAL = f"        for n in range(T - 2 if t == 0 else -1, -1, -1):\n            part[n] = {MEAN}\n".replace("[t", "[n")

WRONG = {
    "cuda_reduction": [
        ("loop over the grid forgotten", LOOP, ONCE),
        ("index out of range, loop over the grid forgotten", f"{LOOP}\n        total += x[i]", f"total = x[{I}]"),
        ("step of one block", "cuda.gridsize(1)", "THREADS"),
        ("block index forgotten", I, "cuda.threadIdx.x"),
        ("every block sums all", ALL, FROM_0),
        ("contiguous elements in a thread", LOOP, SHARES),
        ("off by one at the end", "x.shape[0], ", "x.shape[0] - 1, "),
        (ACCUMULATE, "total += x[i]", "total = x[i]"),
        (ACCUMULATE, "part[t] += part", "part[t] = part"),
        (ACCUMULATE, "half = THREADS // 2", "half = 0"),
        ("first element counted twice", ZERO, f"    total = x[{I}] if {I} < x.shape[0] else float32(0)\n"),
        ("one halving too few", "half > 0", "half > 1"),
        ("divided by the number of threads", "= part[0]", "= part[0] / THREADS"),
        ("race, uninitialised read", OF_THREADS, ""),
        ("race", HALVED, ""),
        ("divergent barrier", HALVED, "            cuda.syncthreads()\n"),
        ("divergent barrier", ZERO, RETURN + ZERO),
        ("race", "sums[cuda.blockIdx.x]", "sums[0]"),
        ("", "sums[cuda.blockIdx.x] =", "sums[cuda.blockIdx.x] +="),
        ("one halving too few, step of one block", "half > 0", "half > 1", "cuda.gridsize(1)", "THREADS"),
    ],
    "cuda_row_softmax": [
        ("maximum forgotten", "z[row, k] - m", "z[row, k]"),
        ("maximum subtracted in one place only", "[row, k] - m) / part", "[row, k]) / part"),
        ("maximum subtracted in one place only", "+= math.exp(z[row, k] - m)", "+= math.exp(z[row, k])"),
        ("maximum of a thread's own columns", "m = part[0]", "m = part[t]"),
        ("maximum begins at 0", "-math.inf", "0"),
        ("maximum begins at 0", "part[t] = largest", "part[t] = largest if t < K else 0"),
        ("exp forgotten", "math.exp(z[row, k] - m) / part", "(z[row, k] - m) / part"),
        ("division forgotten", " / part[0]", ""),
        (ACCUMULATE, "total += math", "total = math"),
        (ACCUMULATE, "part[t] += part", "part[t] = part"),
        (ACCUMULATE, " / part[0]", " / total"),
        (ACCUMULATE, " / part[0]", " / part[t]"),
        ("one halving too few", "half > 0", "half > 1"),
        ("loop over the columns forgotten", "range(t, K, THREADS)", "range(t, min(K, THREADS), THREADS)"),
        ("loop over the columns forgotten", f"{ZERO}{COLUMNS}K", f"{ZERO}{COLUMNS}min(K, THREADS)"),
        ("race", "    cuda.syncthreads()  # everyone has read", "    # everyone has read"),
        ("race", OF_THREADS, ""),
        ("index out of range", "range(t, K, THREADS)", "range(t, K + 1, THREADS)"),
        ("divergent barrier", ZERO, "    if t >= K:\n        return\n" + ZERO),
        ("", *INTEGERS),
        ("maximum begins at 0, one halving too few", "-math.inf", "0", "half > 0", "half > 1"),
    ],
    "cuda_lstm_cell": [
        ("swapped gate order", "2 * H + u", "9 * u", "3 * H + u", "2 * H + u", "9 * u", "3 * H + u"),
        ("f and i exchanged", "f * c[b, u] + i * g", "i * c[b, u] + f * g"),
        ("σ in place of tanh for g", "g = math.tanh", "g = sigmoid"),
        ("σ forgotten", "one / (one + math.exp(-a))", "a"),
        ("tanh of the cell state forgotten", "o * math.tanh(new)", "o * new"),
        ("off by one step", "math.tanh(new)", "math.tanh(c[b, u])"),
        (ACCUMULATE, "f * c[b, u] + i * g", "i * g"),
        ("input gate forgotten", "+ i * g", "+ g"),
        ("forget gate forgotten", "f * c[b, u]", "c[b, u]"),
        ("gates of a unit side by side", *SIDE_BY_SIDE),
        ("first utterance only", "z[b,", "z[0,", "c[b, u] +", "c[0, u] +"),
        ("first utterance only", "z[b,", "z[0,"),
        ("race", "cuda.grid(1), cuda.blockIdx.y", "cuda.grid(1), 0"),
        ("index out of range", "u < H:", "u <= H:"),
        ("off by one at the end", "u < H:", "u < H - 1:"),
        ("block index forgotten, race", I, "cuda.threadIdx.x"),
        ("index out of range", "u, b = cuda.grid(1), cuda.blockIdx.y", "b, u = cuda.grid(2)"),
        ("tanh of the cell state forgotten, σ forgotten", "one / (one + math.exp(-a))", "a", "math.tanh(new)", "new"),
        ("forget gate forgotten, off by one step", "f * c[b, u]", "c[b, u]", "math.tanh(new)", "math.tanh(c[b, u])"),
    ],
    "cuda_weight_gradient": [
        (ACCUMULATE, "total += x", "total = x"),
        (ACCUMULATE, OWN, "range(s, B, PARTS)", "total += x", "total = x"),
        (ACCUMULATE, "total += part", "total = part"),
        (ACCUMULATE, "range(PARTS)", "range(1)"),
        (ACCUMULATE, "dW[d, k] += total", "dW[d, k] = total"),
        ("last part forgotten", "range(PARTS)", "range(PARTS - 1)"),
        ("rest of the batch forgotten", "(B + PARTS - 1) // PARTS", "B // PARTS"),
        ("sum added PARTS times", OWN, "range(B)"),
        ("race, sum added PARTS times", "if s == 0 and", "if"),
        ("old gradient in every part", ADD_PARTS, ADD_PARTS.replace("float32(0)", "(PARTS - 1) * dW[d, k]")),
        ("divided by the batch size", "+= total", "+= total / B"),
        ("index out of range, transposed index in dW", "dW[d, k]", "dW[k, d]"),
        ("sign", "dW[d, k] += total", "dW[d, k] -= total"),
        ("index out of range", "min((s + 1) * n, B)", "(s + 1) * n"),
        ("race, uninitialised read", "    cuda.syncthreads()  # the sums of all parts are there\n", ""),
        ("race", ADD_PARTS, ADD_EACH + "        total = float32(0)\n"),
        ("divergent barrier", ZERO + "    if k", "    if k >= K:\n        return\n" + ZERO + "    if k"),
        ("", *INTEGERS),
        ("divided by the batch size, last part forgotten", "(PARTS)", "(PARTS - 1)", "+= total", "+= total / B"),
    ],
    "cuda_find_the_race": [
        ("race", READ, ""),
        ("race", ROUND, ""),
        ("divergent barrier", READ + NEW, IN_IF),
        ("divergent barrier, race", READ, "        if t + 1 < T:\n            cuda.syncthreads()\n"),
        ("race, uninitialised read", "    cuda.syncthreads()  # all frames are there\n", ""),
        ("one round too few", "range(rounds)", "range(1, rounds)"),
        ("one round too many", "range(rounds)", "range(rounds + 1)"),
        ("one round only", "range(rounds)", "range(min(rounds, 1))"),
        ("left neighbour", MEAN, MEAN.replace("+ 1", "- 1"), "if t + 1 < T", "if t > 0"),
        ("index out of range, uninitialised read", "if t + 1 < T", "if t < T"),
        ("last frame halved", "else part[t]", "else part[t] / 2"),
        ("last frame set to 0", "else part[t]", "else 0"),
        ("mean forgotten", MEAN, "part[t] + part[t + 1]"),
        ("own value forgotten", MEAN, "part[t + 1]"),
        ("neighbour already smoothed", READ + NEW, READ + SERIAL),
        ("race", "cuda.threadIdx.x, cuda.blockIdx.x", "cuda.threadIdx.x, 0"),
        ("index out of range, uninitialised read", "    if t < T:\n        y", "    if True:\n        y"),
        ("", *INTEGERS),
        ("last frame halved, own value forgotten", MEAN, "part[t + 1]", "else part[t]", "else part[t] / 2"),
    ],
}
