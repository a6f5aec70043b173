"""What replaces an array in a traced kernel: it checks every index and logs the address of every access.

A Memory is an array as declared or passed. An Array is all of it or a view (`row = x[b, t]`) of the same memory.
Addresses are those of the NumPy array, so two arguments that are parts of one buffer overlap as on a GPU.

    space      accesses logged    must be written before it is read
    global     yes                no
    shared     yes                yes, within the block
    local      no                 yes
    constant   no                 no
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np

from scratchser.tracer.log import Log

POISON = 0xFF  # in every byte of unwritten memory: NaN as a float, -1 as an integer


def address_of(data: np.ndarray) -> int:
    return data.__array_interface__["data"][0]


class Memory:
    """One declared array or argument.

    written   a byte for each byte of the array, 0 until it is written; None if reading unwritten memory is allowed
    """

    def __init__(self, log: Log, space: str, name: str, data: np.ndarray, written: bytearray | None = None) -> None:
        self.log, self.space, self.name, self.data, self.written = log, space, name, data, written
        self.start, self.itemsize = address_of(data), data.itemsize
        self.logged = space in ("global", "shared")
        self.number = len(log.memories)
        if self.logged:
            log.memories.append(self)
        self._ones = b"\1" * self.itemsize

    def read(self, address: int, frame: FrameType) -> None:
        if self.written is not None:
            first = address - self.start
            if self.written.find(0, first, first + self.itemsize) >= 0:
                self.log.access_fault("uninitialised", self, "reads", lambda: self.element_at(address), frame)
                if self.logged:
                    self.log.mark_unwritten()
        if self.logged:
            self.log.access(self, "reads", address, frame)

    def write(self, address: int, frame: FrameType) -> None:
        if self.written is not None:
            first = address - self.start
            self.written[first : first + self.itemsize] = self._ones
        if self.logged:
            self.log.access(self, "writes", address, frame)

    def clear(self) -> None:
        """Make it unwritten again."""
        if self.written is not None:
            self.data.view(np.uint8)[...] = POISON
            self.written[:] = bytes(len(self.written))

    def element_at(self, address: int) -> tuple[tuple[int, ...], str]:
        """Index and name of the element that contains the byte at an address."""
        offsets = np.zeros(self.data.shape, np.int64)
        for axis, (length, stride) in enumerate(zip(self.data.shape, self.data.strides, strict=True)):
            offsets += np.arange(length).reshape(-1, *[1] * (self.data.ndim - axis - 1)) * stride
        distance = address - self.start - offsets
        index = tuple(int(i) for i in np.argwhere((distance >= 0) & (distance < self.itemsize))[0])
        return index, f"{self}{_text(index)}"

    def __str__(self) -> str:
        return f"{self.space} array {self.name}"


class Array:
    """A Memory or a part of it, with the indices, slices and properties that kernels use."""

    __slots__ = ("data", "memory", "shape", "start", "strides")

    def __init__(self, memory: Memory, data: np.ndarray | None = None) -> None:
        self.memory = memory
        self.data = memory.data if data is None else data
        self.shape, self.strides, self.start = self.data.shape, self.data.strides, address_of(self.data)

    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)
    dtype = property(lambda self: self.data.dtype)
    T = property(lambda self: Array(self.memory, self.data.T))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        return self._get(index, sys._getframe(1))

    def __setitem__(self, index: Any, value: Any) -> None:
        self._set(index, value, sys._getframe(1))

    def __iter__(self) -> Iterator:
        for i in range(len(self)):
            yield self._get(i, sys._getframe(1))  # the frame of the loop

    def _get(self, index: Any, frame: FrameType) -> Any:
        address = self._address(index)
        if address > 0:
            self.memory.read(address, frame)
            return self.data[index]
        if address == VIEW:
            return self._view(index, "reads", frame)
        self._outside(index, "reads", frame)
        return np.full(self.memory.itemsize, POISON, np.uint8).view(self.dtype)[0]

    def _set(self, index: Any, value: Any, frame: FrameType) -> None:
        address = self._address(index)
        if address > 0:
            self.memory.write(address, frame)
            self.data[index] = value
        elif address == VIEW:
            part = self._view(index, "writes", frame)
            for element in np.ndindex(part.shape):
                part._set(element, value._get(element, frame) if isinstance(value, Array) else value, frame)
        else:
            self._outside(index, "writes", frame)

    def _address(self, index: Any) -> int:
        """The address of one element; VIEW if the index selects several, OUTSIDE if it is out of range."""
        try:
            if type(index) is not tuple:  # of most accesses
                if len(self.shape) > 1:
                    return VIEW
                return self.start + int(index) * self.strides[0] if 0 <= index < self.shape[0] else OUTSIDE
            if len(index) != len(self.shape):
                return VIEW
            address = self.start
            for i, length, stride in zip(index, self.shape, self.strides, strict=True):
                if not 0 <= i < length:
                    return OUTSIDE
                address += int(i) * stride  # int: a kernel's int32 would overflow
        except TypeError:  # a slice or an ellipsis is not compared with numbers
            return VIEW
        return address

    def _view(self, index: Any, verb: str, frame: FrameType) -> Array:
        """A part of the array. Numba cuts slices at the end, so only their negative ends are faults. A part out of
        range is empty, so that its use is a fault as well."""
        full = index if isinstance(index, tuple) else (index,)
        if Ellipsis in full:
            dots = full.index(Ellipsis)
            full = (*full[:dots], *[slice(None)] * (self.ndim - len(full) + 1), *full[dots + 1 :])
        for i, length in zip(full, self.shape, strict=False):
            ends = (i.start or 0, i.stop or 0) if isinstance(i, slice) else (i,)
            if min(ends) < 0 or (not isinstance(i, slice) and i >= length):
                self._outside(index, verb, frame)
                axes = self.ndim - sum(not isinstance(i, slice) for i in full)
                return Array(self.memory, np.empty([0] * axes, self.data.dtype))
        return Array(self.memory, self.data[index])

    def _outside(self, index: Any, verb: str, frame: FrameType) -> None:
        index = index if isinstance(index, tuple) else (index,)
        part = "" if self.data is self.memory.data else "a part of "
        self.memory.log.mark_outside(
            self.memory, verb, _text(index) if part else f"{self.memory.name}{_text(index)}", frame
        )
        name = f"{part}{self.memory}{_text(index)}, shape {self.shape},"
        self.memory.log.access_fault("out of range", self.memory, verb, lambda: (index, name), frame)


VIEW, OUTSIDE = 0, -1


def _text(index: tuple) -> str:
    def one(i: Any) -> str:
        if isinstance(i, slice):
            return ":".join("" if end is None else str(end) for end in (i.start, i.stop))
        return "..." if i is Ellipsis else str(i)

    return f"[{', '.join(map(one, index))}]"
