"""No kernel is forgotten where kernels are compiled, counted and accounted for."""

import ast
from pathlib import Path

import numpy as np
import pytest

from scratchser.bench import __main__ as command
from scratchser.bench.cuda import costs, paper_step
from scratchser.bench.cuda import paper_step as launches

KERNELS = Path(__file__).parents[2] / "kernels"
CALLS = (*paper_step.STEP, *paper_step.BESIDES)
MOST_LAUNCHES = 45  # of a training step


def written() -> set[str]:
    """The CUDA kernels of the package by the text of its files, so that none has to be launched to be known."""
    found = set()
    for file in KERNELS.glob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
        kernels = [node.name for node in nodes if isinstance(node, ast.FunctionDef) and "cuda_jit" in decorators(node)]
        mentions = [node for node in nodes if isinstance(node, ast.Name) and node.id == "cuda_jit"]
        assert len(kernels) == len(mentions), f"{file.name}: a kernel that is not written as @cuda_jit, def ..."
        found |= {f"{file.stem}.{kernel}" for kernel in kernels}
    return found


def decorators(function: ast.FunctionDef) -> list[str]:
    return [node.id for node in function.decorator_list if isinstance(node, ast.Name)]


def test_every_kernel_is_launched_by_a_recorded_call():
    assert {launch.name for launch in paper_step.recorded(CALLS)} == written()


def test_every_kernel_has_its_formulas():
    assert {f"{k.py_func.__module__.rpartition('.')[2]}.{k.py_func.__name__}" for k in costs.kernels()} == written()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_every_call_launches_something(call):
    assert paper_step.recorded((call,))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_are_of_the_dtype_or_int32(dtype):
    for launch in paper_step.recorded(CALLS, dtype):
        arrays = [argument for argument in launch.arguments.values() if isinstance(argument, np.ndarray)]
        assert {array.dtype for array in arrays} <= {np.dtype(dtype), np.dtype(np.int32)}, launch.name
        assert all(array.flags.c_contiguous for array in arrays), launch.name
        numbers = {np.asarray(number).dtype for number in launch.arguments.values() if isinstance(number, np.floating)}
        assert numbers <= {np.dtype(dtype)}, launch.name


def test_what_is_issued_is_at_least_what_is_needed():
    """The formulas know nothing of each other; a kernel that did with less would prove one of them wrong."""
    for launch in paper_step.recorded(CALLS):
        issued = costs.issued(launch)
        assert 4 * (issued.global_reads + issued.global_writes) >= costs.needed(launch).bytes, launch.name


@pytest.mark.parametrize("frames", [None, 1, 300, 909])
def test_a_step_has_few_launches_whatever_the_lengths(frames):
    """Two more where the LSTM's weight gradients are summed in parts; none with T."""
    sizes = paper_step.Sizes(np.float32)
    if frames:
        vars(sizes)["lengths"] = np.full(paper_step.BATCH, frames)
    found = sum(launches.launches_of(lambda: paper_step.training_step(sizes)).values())
    assert found <= MOST_LAUNCHES and found in (35, 37)


def test_launches_are_counted_by_kernel(capsys):
    calls = (paper_step.warp, paper_step.probabilities, paper_step.warp)
    counts = launches.launches_of(lambda: paper_step.make(calls, np.float32))
    assert counts == {"vtlp.forward_cuda": 2, "softmax.forward_cuda": 1}
    assert launches.text(counts).splitlines()[2:] == [
        "| vtlp.forward_cuda    |        2 |",
        "| softmax.forward_cuda |        1 |",
        "| together             |        3 |",
    ]
    assert command.main(["--launches"]) == 0
    assert capsys.readouterr().out == launches.text(launches.launches_of(paper_step.step))
