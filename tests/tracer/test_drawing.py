"""The drawing of a launch shows the accesses in its log, and marks its faults."""

import matplotlib.pyplot as plt
import pytest
from launches import convolved, product, random, sums
from planted import add_one, block_sum, convolution, matmul, plant

from scratchser.check import __main__ as check
from scratchser.tracer import trace
from scratchser.tracer.drawing import MARKS, OUT, RACE, UNWRITTEN, draw

NO_BARRIER = plant(block_sum, {"cuda.syncthreads()  # all parts are there": "pass"})
NO_HALO = plant(convolution, {"for i_tile in range(t, N + 2 * R, N):": "for i_tile in range(t, N, N):"})
ONE_SUM = plant(block_sum, {"sums[cuda.blockIdx.x] = part[0]": "sums[0] = part[0]"})


def drawn(report):
    """Texts of the drawing, and its accesses: interval, element, verb, thread."""
    figure = draw(report)
    plt.close(figure)
    texts = figure.axes[0].texts
    boxes = [text.get_gid().split(":") for text in texts if text.get_gid()]
    accesses = {(int(i), name, v, int(t)) for i, name, vs, ts in boxes for v in vs.split("+") for t in ts.split(",")}
    return [text.get_text() for text in texts], accesses


@pytest.mark.parametrize(("launch", "kernel", "shape"), [(sums, block_sum, (4, 7)), (product, matmul, (5, 5, 6, 3))])
def test_the_drawn_accesses_are_those_of_the_log(launch, kernel, shape):
    report, *_ = launch(kernel, *shape)
    expected = set()
    for address, number, thread, interval in zip(*(column.tolist() for column in report.log.accesses()), strict=True):
        memory, verb, _ = report.log.sites[number]
        element = f"{memory.name}{list(memory.element_at(address)[0])}".replace(" ", "")
        if thread < report.log.launch.threads:
            expected.add((report.log.intervals(0).index(interval), element, verb, thread))
    texts, accesses = drawn(report)
    assert accesses == expected and not {*MARKS} & {*texts}


@pytest.mark.parametrize(("launch", "marks", "accesses"), [  # accesses of one element
    (lambda: sums(NO_BARRIER, 4, 7)[0], [RACE, UNWRITTEN], {(0, "part[2]", "writes", 2), (0, "part[2]", "reads", 0)}),
    (lambda: sums(ONE_SUM, 4, 7)[0], [RACE], {(3, "sums[0]", "writes", 0)}),
    (lambda: convolved(NO_HALO, 4, n=8)[0], [UNWRITTEN], {(1, "tile[7]", "reads", 3)}),
    (lambda: trace(add_one, 30, 4, random(118)), [OUT], {(0, "x[117]", "reads", 1), (0, "x[117]", "writes", 1)}),
])  # fmt: skip
def test_a_fault_is_marked_and_explained_in_its_block(launch, marks, accesses):
    texts, found = drawn(report := launch())
    assert [mark for mark in MARKS if mark in texts] == marks
    assert accesses == {access for access in found if access[:2] == min(accesses)[:2]}
    assert str(report.faults()[0]).startswith(texts[1])
    assert ("Only a part is drawn of: x (118,)" in texts) == (marks == [OUT])


def test_the_judge_draws_a_kernel(tmp_path, capsys, pytestconfig):
    for exercise, found in ("cuda_saxpy", 'out.svg shows the reads and writes in "3 bl'), ("nesterov", "no drawing"):
        file = pytestconfig.rootpath / f"tests/check/solutions/{exercise}.py"
        check.main([str(file), "--draw", str(tmp_path / "out.svg")])
        assert found in capsys.readouterr().out
    assert "cuda_saxpy" in (tmp_path / "out.svg").read_text(encoding="utf-8")
