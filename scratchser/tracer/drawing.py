"""Draw which thread reads and writes which element: one panel for each interval between two barriers.

    report = trace(kernel, grid, block, *arguments)
    draw(report, "my kernel", "kernel.svg")

Arrays are rows or grids of cells, and threads have a number and a colour. A key below the drawing explains the marks.
The drawing is made for small launches. It shows one block: the first one with a fault, or block 0 if there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice, pairwise
from math import prod
from os.path import basename
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from scratchser.tracer.arrays import Memory
from scratchser.tracer.races import racing
from scratchser.tracer.report import Report

COLUMNS, ROWS, OUTSIDE, PANELS, THREADS, FAULTS = 16, 10, 4, 8, 64, 2  # the most that is drawn of each
WIDTH, NARROWEST = 25, 21  # of the drawing, in cells: wider ones would have tiny letters on a page
TOP, ASIDE, KEY = 1.6, 1.9, 7  # cells for a name and column indices, for an element out of range, for a part of the key
GAP, LETTER, SPACE = 1, 0.36, 2  # cells between arrays, for a letter of a name, for the space of an array
INCH, LETTERS = 0.36, 5  # side of a cell, letters that fit into it
BLACK, RED, GREY, PALE = "#222222", "#c00000", "#777777", "#b8b8b8"
# Text as text, in one font, and the same file every time
SVG: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "draw", "font.sans-serif": ["DejaVu Sans"]}
MARKS = {"!": "race", "?": "read before written", "×": "index out of range"}
RACE, UNWRITTEN, OUT = MARKS


def draw(report: Report, title: str = "", file: Path | str | None = None) -> Figure:
    """Draw the accesses of a traced launch.

    title   above the drawing, such as the name of the kernel
    file    written if given, as SVG or PNG by its ending

    Returns the matplotlib figure. A grey line below the title says of what only a part is drawn.
    Raises ValueError for a launch that was refused.
    """
    if not report.log.intervals(0):
        raise ValueError(f"nothing to draw: {report.launch[0]}")
    page = Page(Scene(report))
    page.header(title)
    for interval in page.scene.shown:
        page.panel(interval)
    page.key()
    page.axes.set(xlim=(-0.5, page.width + 0.5), ylim=(page.y + 0.5, -0.5))
    page.figure.set_size_inches((page.width + 1) * INCH, (page.y + 1) * INCH)
    if file:
        with plt.rc_context(SVG):
            page.figure.savefig(file, metadata={"Date": None} if str(file).endswith(".svg") else None)
    return page.figure


class Scene:
    """The accesses of one block. A place is (interval, array, element); the element is an address, or a text if its
    index is out of range.

    threads   place -> verb -> numbers of the threads in the block
    marks     place -> those of MARKS
    lines     interval -> files and lines of its accesses
    """

    def __init__(self, report: Report) -> None:
        log, self.faults = report.log, [*dict.fromkeys(map(str, report.faults()))]
        self.launch, size, accesses = log.launch, log.launch.threads, log.accesses()
        race, unwritten = racing(log, accesses), np.isin(np.arange(len(accesses.thread)), log.unwritten)
        at_fault = [*accesses.thread[race | unwritten], *(access.thread for access in log.outside)]
        self.block = int(min(at_fault, default=0)) // size
        self.threads: dict[tuple, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        self.marks: dict[tuple, set[str]] = defaultdict(set)
        self.lines: dict[int, set[tuple[str, int]]] = defaultdict(set)
        table = np.stack([accesses.interval, accesses.address, accesses.site, accesses.thread, race, unwritten], axis=1)
        own = np.unique(table[accesses.thread // size == self.block], axis=0)
        for interval, address, number, thread, raced, unread in own.tolist():
            memory, verb, line = log.sites[number]
            self._add((interval, memory, address), verb, thread, line, RACE * raced + UNWRITTEN * unread)
        for memory, verb, element, line, thread, interval in log.outside:
            self._add((interval, memory, element), verb, thread, line, OUT)
        self.intervals, self.used = log.intervals(self.block), sorted(self.lines)
        first = min((self.used.index(interval) for interval, *_ in self.marks), default=0)
        self.shown = self.used[max(0, first + 1 - PANELS) :][:PANELS]
        self.active = set().union(*(threads for verbs in self.threads.values() for threads in verbs.values()))
        self.memories = sorted({memory for _, memory, _ in self.threads}, key=lambda memory: memory.number)

    def _add(self, place: tuple, verb: str, thread: int, line: Any, marks: str) -> None:
        block, number = divmod(thread, self.launch.threads)
        if block == self.block:
            self.threads[place][verb].add(number)
            self.lines[place[0]].add((basename(line.file), line.position[0]))
            for mark in marks:
                self.marks[place].add(mark)

    def outside(self, interval: int, memory: Memory) -> list[str]:
        found = [place[2] for place, marks in self.marks.items() if place[:2] == (interval, memory) and OUT in marks]
        return found[:OUTSIDE]


class Grid:
    """What is drawn of an array, and where in a panel. The rows of an array of more than two axes have several indices.

    cells   element -> column, row, name
    """

    def __init__(self, memory: Memory, scene: Scene) -> None:
        shape = memory.data.shape
        axes = len(shape) - max(1, len(shape) // 2)  # of the rows
        offsets = np.tensordot(np.indices(shape), memory.data.strides, (0, 0))
        addresses = memory.start + offsets.reshape(prod(shape[:axes]), prod(shape[axes:]))
        elements = [element for _, array, element in scene.threads if array is memory and isinstance(element, int)]
        used = np.nonzero(np.isin(addresses, elements))
        i = int(used[0].min()) if used[0].max(initial=0) >= ROWS else 0
        j = int(used[1].min()) if used[1].max(initial=0) >= COLUMNS else 0
        self.rows = [",".join(map(str, index)) for index in islice(np.ndindex(shape[:axes]), i, i + ROWS)]
        self.columns = [",".join(map(str, index)) for index in islice(np.ndindex(shape[axes:]), j, j + COLUMNS)]
        self.cells: dict[int | str, tuple[float, float, str]] = {
            int(addresses[i + y, j + x]): (x, y, f"{memory.name}[{f'{row},{column}'.strip(',')}]")
            for y, row in enumerate(self.rows)
            for x, column in enumerate(self.columns)
        }
        self.cut = len(self.cells) < addresses.size
        self.memory, self.x, self.y, self.height = memory, 0.0, 0.0, TOP + len(self.rows)
        self.left = 0.5 + max(map(len, self.rows), default=0) / LETTERS if axes else 0.0  # for the row indices
        aside = ASIDE * max(len(scene.outside(interval, memory)) for interval in scene.shown)
        self.width = max(self.left + len(self.columns) + aside, LETTER * len(memory.name) + SPACE)


class Page:
    """A figure in units of a cell, with y downwards; `y` is where the next part begins."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.y = scene, 0.0
        self.figure = plt.figure()
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.axis("off")
        self.grids = [Grid(memory, scene) for memory in scene.memories]
        self.width, self.panel_height, x, y, height = float(NARROWEST), 0.0, 0.0, 0.0, 0.0
        fit = sum(grid.width + GAP for grid in self.grids) <= WIDTH + GAP
        space = ""
        for grid in self.grids:  # side by side while they fit; if not all do, global above shared memory
            if x > 0 and (x + grid.width > WIDTH or not (fit or grid.memory.space == space)):
                x, y, height = 0.0, y + height + 0.5, 0.0
            grid.x, grid.y, space = x, y, grid.memory.space
            x, height = x + grid.width + GAP, max(height, grid.height)
            self.width, self.panel_height = max(self.width, x - GAP), y + height

    def header(self, title: str) -> None:
        scene, launch = self.scene, self.scene.launch
        block = f"{launch.block_name(scene.block)} of {launch.blocks}, {launch.threads} threads"
        self.paragraph(f"{title}: {block}" if title else block, size=13, weight="bold")
        for fault in scene.faults[:FAULTS]:
            self.paragraph(fault, color=RED)
        cut = [f"{grid.memory.name} {grid.memory.data.shape}" for grid in self.grids if grid.cut]
        cut += [f"{len(scene.used)} intervals"] * (len(scene.used) > PANELS)
        cut += [f"{launch.threads} threads"] * (launch.threads > THREADS)
        cut += [f"{len(scene.faults)} faults"] * (len(scene.faults) > FAULTS)
        if cut:
            self.paragraph(f"Only a part is drawn of: {', '.join(cut)}", color=GREY)
        across = min(launch.block.x, 16)
        self.text(0, self.y + 1, "threads", ha="left", weight="bold")
        if launch.block.y > 1:
            self.text(0, self.y + 1.7, "x across, y down", ha="left", size=7, color=GREY)
        for thread in range(min(launch.threads, THREADS)):
            x, y = 3.5 + thread % across, self.y + 0.5 + thread // across
            self.box((x, y, 1, 1), ["writes"] if thread in scene.active else [], [thread], self.colour(thread))
        self.y = y + 1.8

    def panel(self, interval: int) -> None:
        self.rule()
        count, number = len(self.scene.intervals), self.scene.intervals.index(interval)
        name = f"after barrier {number}" if number else "before barrier 1" if count > 1 else "no barrier"
        self.text(0, self.y + 0.6, name, ha="left", weight="bold", size=11)
        lines = [f"{file}:{line}" for file, line in sorted(self.scene.lines[interval])]
        source = lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"
        self.text(self.width, self.y + 0.6, source, ha="right", color=GREY)
        self.y += 1.2
        for grid in self.grids:
            self.array(grid, interval)
        self.y += self.panel_height + 0.7

    def array(self, grid: Grid, interval: int) -> None:
        x, y, memory = grid.x + grid.left, self.y + grid.y + TOP, grid.memory
        for i, row in enumerate(grid.rows):
            self.text(x - 0.25, y + i + 0.5, row, ha="right", size=8, color=GREY)
        for j, column in enumerate(grid.columns):
            self.text(x + j + 0.5, y - 0.35, column, size=8, color=GREY)
        self.axes.hlines(np.arange(len(grid.rows) + 1) + y, x, x + len(grid.columns), color=PALE, lw=0.8)
        self.axes.vlines(np.arange(len(grid.columns) + 1) + x, y, y + len(grid.rows), color=PALE, lw=0.8)
        outside = self.scene.outside(interval, memory)
        for i, element in enumerate(outside):
            right = len(grid.columns) + ASIDE * (i + 0.5)
            self.text(x + right, y - 0.35, element, size=8, color=RED)
            grid.cells[element] = right - 0.5, 0, element
        places = [(interval, memory, element) for element in grid.cells]
        places = [place for place in places if place in self.scene.threads]
        for place in places:
            right, down, name = grid.cells[place[2]]
            label = f"{self.scene.intervals.index(interval)}:{name}".replace(" ", "")
            self.cell(x + right, y + down, self.scene.threads[place], self.scene.marks.get(place, ()), label)
        colour = BLACK if places else GREY
        self.text(grid.x, y - 1.1, memory.name, ha="left", weight="bold", size=11, color=colour)
        self.text(grid.x + 0.4 + LETTER * len(memory.name), y - 1.1, memory.space, ha="left", color=GREY)

    def key(self) -> None:
        """What the cells mean; of the marks only those that occur."""
        self.rule()
        number = min(self.scene.active, default=0)
        reads, writes = {"reads": {number}}, {"writes": {number}}
        items: list = [(reads, "", f"thread {number} reads"), (writes, "", f"thread {number} writes")]
        items.append((reads | writes, "", "reads and writes"))
        if any(len(threads) > 4 for verbs in self.scene.threads.values() for threads in verbs.values()):
            items.append(({"reads": set(range(8))}, "", "several threads"))
        items += [({}, mark, name) for mark, name in MARKS.items() if mark in set().union(*self.scene.marks.values())]
        for i, (verbs, mark, name) in enumerate(items):
            x, y = i % 3 * KEY, self.y + 0.5 + i // 3 * 1.5
            self.cell(x, y, verbs, mark)
            self.text(x + 1.4, y + 0.5, name, ha="left")
        self.y = y + 1

    def cell(self, x: float, y: float, verbs: dict[str, set[int]], marks: Iterable[str], label: str = "") -> None:
        """A box for each thread, or for more than four threads a grey box for each verb."""
        threads = sorted(set().union(*verbs.values()))
        if len(threads) <= 4:
            margin = 0.08 if len(threads) > 1 else 0  # shows which boxes belong together
            width = 1 - 2 * margin if len(threads) <= 1 else 0.5 - margin
            height = 1 - 2 * margin if len(threads) <= 2 else 0.5 - margin
            for i, thread in enumerate(threads):
                place = x + margin + i % 2 * width, y + margin + i // 2 * height, width, height
                own = sorted(verb for verb in verbs if thread in verbs[verb])
                self.box(place, own, [thread], self.colour(thread), label)
        else:
            height = 1 / len(verbs)
            for i, verb in enumerate(sorted(verbs)):
                self.box((x, y + i * height, 1, height), [verb], sorted(verbs[verb]), GREY, label)
        for i, mark in enumerate(sorted(marks)):
            style = "--" if mark == OUT else "-"
            self.axes.add_patch(Rectangle((x, y), 1, 1, fill=False, ec=RED, lw=2, ls=style, zorder=3))
            self.axes.add_patch(Circle((x + 0.97, y + 0.03 + 0.94 * i), 0.2, color=RED, zorder=4))
            self.text(x + 0.97, y + 0.03 + 0.94 * i, mark, size=7, color="white", weight="bold", zorder=5)

    def box(self, place: tuple, verbs: list[str], threads: list[int], colour: Any, label: str = "") -> None:
        """An outline if the threads read, filled if they write, or both."""
        x, y, width, height = place
        insets = {"reads": 0.07 * height, "writes": (0.16 if "reads" in verbs else 0.04) * height}
        for verb in verbs:
            corner, size = (x + insets[verb], y + insets[verb]), (width - 2 * insets[verb], height - 2 * insets[verb])
            line = 1.5 * height if verb == "reads" else 0
            self.axes.add_patch(Rectangle(corner, *size, color=colour, fill=verb == "writes", lw=line))
        lines = _short(threads).split("\n")
        size = min(10, 35 * width / max(map(len, lines)), 20 * height / len(lines))  # points
        pale = "writes" not in verbs or np.dot(to_rgb(colour), [0.3, 0.6, 0.1]) > 0.6
        gid = f"{label}:{'+'.join(verbs)}:{','.join(map(str, threads))}" if label else None
        self.text(x + width / 2, y + height / 2, "\n".join(lines), size=size, color=BLACK if pale else "white", gid=gid)

    def colour(self, thread: int) -> Any:
        count = self.scene.launch.threads
        return plt.get_cmap("Dark2")(thread) if count <= 8 else plt.get_cmap("turbo")(0.05 + 0.9 * thread / (count - 1))

    def rule(self) -> None:
        self.axes.plot([0, self.width], [self.y, self.y], color=BLACK, lw=0.8)

    def text(self, x: float, y: float, text: str, ha: str = "center", size: float = 9, **style: Any) -> None:
        style = {"va": "center_baseline", "linespacing": 0.9, "color": BLACK, **style}
        self.axes.text(x, y, text, ha=ha, size=size, **style)

    def paragraph(self, text: str, size: int = 9, **style: Any) -> None:
        for line in wrap(text, int(self.width * LETTERS * 9 / size)):
            self.text(0, self.y + 0.5, line, ha="left", size=size, **style)
            self.y += 0.08 * size


def _short(numbers: list[int]) -> str:
    """0–7, 0,8…56 or 5 threads."""
    first, last, steps = numbers[0], numbers[-1], {b - a for a, b in pairwise(numbers)}
    if len(steps) > 1:
        return f"{len(numbers)}\nthreads"
    return f"{first}–{last}" if steps == {1} else f"{first},{numbers[1]}\n…{last}" if steps else f"{first}"
