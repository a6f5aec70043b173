"""python -m scratchser.bench: how fast the CPU side is, beside what a user would take instead.

    problem    the fixed model, the fixed utterances, and the useful operations that they need
    ours, torch_peers, stft_peers    the same tasks, by our kernels, by PyTorch, by SciPy and librosa
    child      one contestant in a process of its own, with its own pool of threads
    contest    equal answers first, then alternating rounds
    start      one start in a fresh interpreter
    measure    the sections, as plain dicts
    report     the tables

And without a GPU, what the CUDA side asks of one: --launches and --ptx.

    paper_step      the calls of a training step at the paper's shapes, recorded
    launches        its launches, counted
    ptx             every kernel compiled, and what would be a fault
    occupancy       how many of a kernel's blocks a multiprocessor holds
    roofline        what memory, arithmetic and host allow at best
    kernels_page    docs/kernels.md
"""
