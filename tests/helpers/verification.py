"""docs/verification.md, written from the tests: python tests/helpers/verification.py > docs/verification.md"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), *(str(TESTS / folder) for folder in ("helpers", "kernels", "kernels/cuda", "tracer"))]

from scratchser.bench.cuda import paper_step  # noqa: E402

# The kernels that the `gpu` variants of the tests launched on one NVIDIA H200 on 2026-11-29: pytest -m cuda -k gpu
# prints them at its end
RAN_ON_H200 = """
batchnorm.add_products_cuda batchnorm.average_cuda batchnorm.centre_cuda batchnorm.gradient_cuda batchnorm.scale_cuda
batchnorm_frame.cell_cuda batchnorm_frame.cell_gradient_cuda batchnorm_frame.normalise_cuda
batchnorm_frame.normalise_gradient_cuda batchnorm_frame.rank_cuda
conv2d.add_weight_gradient_cuda conv2d.forward_cuda conv2d.input_gradient_cuda conv2d.weight_gradient_cuda
frames.add_columns_cuda frames.gather_cuda frames.scatter_cuda frames.states_before_cuda
linear.backward_cuda linear.forward_cuda
lstm.backward_cuda lstm.forward_cuda lstm.readout_backward_cuda lstm.readout_forward_cuda
matmul.add_parts_cuda matmul.product_cuda mean_variance.squares_cuda mean_variance.sums_cuda
nesterov.step_cuda norms.chunks_cuda norms.segments_cuda pool.backward_cuda pool.forward_cuda
softmax.forward_cuda softmax.loss_cuda statistics.remember_cuda stft.forward_cuda stream.transpose_cuda
vtlp.backward_cuda vtlp.batch_cuda vtlp.forward_cuda
"""

HEAD = """\
# How the CUDA kernels are verified

There are four kinds of evidence. They are different, so the table has a column for each of them but the second,
which is the same for all kernels.

- **executed as Python**: the kernel's Python code ran on the CPU, and its results were compared with the CPU side. It
  ran in Numba's simulator (`tests/kernels/test_simulator.py`) and under the tracer (`scratchser/tracer`). The tracer
  reports races, barriers that not all threads reach, reads of uninitialised memory and indices out of range. The CPU
  side is compared with the reference implementations in `scratchser/reference`, and backward passes with finite
  differences.
- **executed as compiled PTX**: the GPU variants of the tests (`pytest -m cuda -k gpu`) ran on a substitute for the CUDA
  driver, which executes on the CPU the PTX that numba-cuda generates and launches. It reports races, uninitialised and
  out-of-range accesses, divergent barriers, and work on two streams that is not ordered. On 2026-11-30 (commit 7d608e3)
  109 tests launched all 41 kernels: all passed, nothing was reported; so did commit 4acbf01. CI does not do this.
- **compiled to machine code**: NVIDIA's compilers compiled it for compute capability 7.5, 8.0, 9.0, 10.0 and 12.0 in
  both precisions. A float32 kernel has no instruction in double precision, and no kernel spills registers
  (`tests/bench/test_ptx.py`, [kernels.md](kernels.md)).
- **executed on a card**: the tests launched it on a GPU and compared its results with the CPU side. This was done on
  2026-11-29 with one NVIDIA H200 ([gpu.md](gpu.md)). CI has no GPU.

| kernel | executed as Python by | compiled to machine code | executed on a card |
|---|---|---|---|
"""

FAULTS = """
## Planted faults

A check that never fails proves little. So the tests plant faults into the kernels: one line is replaced by another, and
the fault must be found. It is found by the tracer ("race", "divergence", "uninitialised", "out of range") or by the
comparison of the results ("result"). Each row below is one test case in the file of its heading. Planted faults do not
run on a card.

The compile check is tested with kernels that compute in double precision, spill, or need too much of a block
(`tests/bench/test_ptx.py`). The tracer is tested with kernels of its own, for several block sizes, in
`tests/tracer/test_planted_faults.py`:

"""

STRESS = """
## Stress campaigns

The scripts in `tests/stress` try what no single test can. Their short versions run in the default tests. Figures of
2026-11-30, two busy cores of an AMD EPYC:

- **killed runs** (`python tests/stress/kills.py --moments 60 --seed 0`): 60 runs, 50 kills at random moments; all
  60 resumed to the same bits as a run that was not killed (predictions, metrics, checkpoints).
- **mutated files** (`python tests/stress/fuzz.py --inputs 100000 --seed 0`): 99,999 label files, manifests and sound
  files (WAV, RF64, W64, AIFF, AU, FLAC, OGG, CAF, NIST) in 438 s: no traceback, no hang, at most 304 MB of memory.
  16,622 were read, 60,431 had problems that name the file, 22,946 were refused with one line.
- **full disks and unusable folders** (`python tests/stress/disk.py --limits 20 --seed 0`): 20 runs whose files could
  not grow beyond a random size: all failed with one line and resumed to the same bits. A read-only folder ends a run
  with one line; a user without a name and a home trains.
"""

TESTED_WITH = {"frames": "lstm", "stream": "lstm", "batchnorm_frame": "batchnorm", "statistics": "batchnorm"}


def kernel_rows() -> Iterator[str]:
    for name in paper_step.kernel_names():
        module = name.partition(".")[0]
        card = "H200" if name in RAN_ON_H200.split() else "no"
        yield f"| {name} | tests/kernels/cuda/test_{TESTED_WITH.get(module, module)}_cuda.py | yes | {card} |"


def tracer_tests() -> Iterator[str]:
    """The tests of the tracer that plant a fault."""
    module = importlib.import_module("test_planted_faults")
    for name, test in vars(module).items():
        if name.startswith("test_") and "plant(" in inspect.getsource(test):
            yield f"- `{name}`"


def fault_rows(file: Path) -> Iterator[str]:
    """The table of a test file, if it plants faults. The last four entries of a case are shown."""
    module = importlib.import_module(file.stem)
    planted = [case[-4:] for case in getattr(module, "FAULTS", ())]
    planted += [("multiply", *case) for case in getattr(module, "MULTIPLY", ())]
    if planted:
        yield f"\n### tests/kernels/cuda/{file.name}\n\n| function | line | replaced by | found as |\n|---|---|---|---|"
    for function, line, replacement, kind in planted:
        cells = (f"`{cell}`".replace("|", "\\|") for cell in (line, replacement))
        yield f"| {function} | {' | '.join(cells)} | {kind} |"


def text() -> str:
    faults = [row for file in sorted(TESTS.glob("kernels/cuda/test_*_cuda.py")) for row in fault_rows(file)]
    return HEAD + "\n".join(kernel_rows()) + "\n" + FAULTS + "\n".join([*tracer_tests(), *faults]) + "\n" + STRESS


if __name__ == "__main__":
    sys.stdout.write(text())
