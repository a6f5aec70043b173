"""Every kernel is compiled and counted, and a training step has few launches."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from scratchser.bench import __main__ as main
from scratchser.bench.cuda import costs, paper_step

KERNELS = Path(__file__).parents[2] / "kernels"


def written() -> set[str]:
    """The CUDA kernels in the source files."""
    found = set()
    for file in KERNELS.rglob("*.py"):
        text = file.read_text("utf-8")
        kernels = re.findall(r"^@cuda_jit\ndef (\w+)", text, re.MULTILINE)
        uses = re.findall(r"@cuda_jit|(?<!def )cuda_jit\(", text)
        assert len(kernels) == len(uses), f"{file.name}: a kernel that is not written as @cuda_jit, def ..."
        found |= {f"{file.stem}.{kernel}" for kernel in kernels}
    return found


@cache
def launches(dtype=np.float32):
    return paper_step.recorded(paper_step.ALL, dtype)


def test_every_kernel_is_recorded_and_those_of_a_training_step_have_formulas():
    assert {launch.name for launch in launches()} == written()
    step = {launch.name for launch in paper_step.recorded([paper_step.training_step])}
    assert step == {costs.name_of(kernel) for kernel in costs.FORMULAS}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_are_of_the_dtype_or_integers_of_32_bits(dtype):
    for launch in launches(dtype):
        arrays = [argument for argument in launch.arguments.values() if isinstance(argument, np.ndarray)]
        assert {array.dtype for array in arrays} <= {np.dtype(dtype), np.dtype(np.int32), np.dtype(np.uint32)}, (
            launch.name
        )
        assert all(array.flags.c_contiguous for array in arrays), launch.name
        numbers = {np.asarray(number).dtype for number in launch.arguments.values() if isinstance(number, np.floating)}
        assert numbers <= {np.dtype(dtype)}, launch.name


@pytest.mark.parametrize(("frames", "number"), [(1, 35), (909, 37)])
def test_the_launches_of_a_step_do_not_depend_on_the_lengths(frames, number):
    """Except for two more, if the LSTM's weight gradients are summed in parts."""
    sizes = paper_step.Sizes(np.float32, np.full(paper_step.BATCH, frames))
    assert len(costs.recorded(lambda: paper_step.training_step(sizes))) == number


def test_launches_are_counted_by_kernel(capsys):
    assert main.main(["--launches"]) == 0
    rows = dict(re.findall(r"^\| (\S+) +\| +(\d+) \|$", capsys.readouterr().out, re.MULTILINE))
    assert rows["conv2d.forward_cuda"] == "4" and rows["conv2d.input_gradient_cuda"] == "3"
    assert rows.pop("total") == "35" == str(sum(map(int, rows.values())))
