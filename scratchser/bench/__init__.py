"""How fast the CPU side is, beside what a user would take instead: python -m scratchser.bench.

    problem    the fixed model, the fixed utterances, and the useful operations that they need
    ours, torch_peers, stft_peers    the same tasks, by our kernels, by PyTorch, by SciPy and librosa
    child      one contestant in a process of its own, with its own pool of threads
    contest    equal answers first, then alternating rounds
    start      one start in a fresh interpreter
    measure    the sections, as plain dicts
    report     the tables
"""
