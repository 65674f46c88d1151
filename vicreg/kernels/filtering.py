"""Multiply maps by a matrix along both axes, in one pass over memory.

The matrices are small and constant, and most of their entries are 0. So each pair of them is a function of its own, built by
llvmlite, which numba compiles with: a vector of channels is read once, and every sum of it is straight-line code.
"""

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from llvmlite import binding, ir
from torch import Tensor

_NUMBERS = {torch.float32: (ir.FloatType(), 4), torch.float64: (ir.DoubleType(), 8)}  # and their bytes
_INTEGER = ir.IntType(64)
_NEAR = ["contract"]  # a product and a sum may be one instruction; nothing is reordered


class Layout(NamedTuple):
    """Where maps (N, h, w, C) lie in a flat tensor, in numbers: place (n, i, j) is image * n + rows[i] + columns[j]."""

    image: int
    rows: np.ndarray  # (h,), int64
    columns: np.ndarray  # (w,), int64


class AlongBothAxes:
    """Maps multiplied by matrices (p, h) and (q, w) along their axes.

    Args:
        rows, columns: the matrices; no row of theirs is empty.
        dtype: of the maps, float32 or float64.
    """

    def __init__(self, rows: Tensor, columns: Tensor, dtype: torch.dtype) -> None:
        self._dtype = dtype
        matrices = [tuple(map(tuple, matrix.to(dtype).tolist())) for matrix in (rows, columns)]
        self._buffer = len(columns) * rows.shape[1] * _lanes(_NUMBERS[dtype][1])
        self._function = _compiled(*matrices, dtype)

    def __call__(self, maps: Tensor, at: Layout, *, out: Tensor, to: Layout, count: int, channels: int) -> None:
        """Multiply maps.

        Args:
            maps: of `count` maps (h, w, channels), which lie `at` these places; channels follow each other.
            out: for as many maps (p, q, channels), which lie at `to`.
        """
        half = torch.empty(self._buffer, dtype=self._dtype, device="cpu")
        for tensor in (maps, out):
            assert tensor.dtype == self._dtype and tensor.is_cpu and tensor.is_contiguous(), (tensor.dtype, tensor.stride())
        self._function(
            count, channels, maps.data_ptr(), at.image, at.rows.ctypes.data, at.columns.ctypes.data,
            out.data_ptr(), to.image, to.rows.ctypes.data, to.columns.ctypes.data, half.data_ptr(),
        )  # fmt: skip


@functools.cache
def _lanes(size: int) -> int:
    """Return how many numbers of `size` bytes a vector of this processor holds."""
    return (64 if binding.get_host_cpu_features().get("avx512f") else 32) // size


def _machine() -> binding.TargetMachine:
    """Return the description of this processor that one engine takes as its own."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features().flatten()
    return binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=3, jit=True
    )


_engines: list[Any] = []  # machine code lives as long as the engine that made it


@functools.cache
def _compiled(
    rows: tuple[tuple[float, ...], ...], columns: tuple[tuple[float, ...], ...], dtype: torch.dtype
) -> Callable[..., None]:
    """Return the machine code of one pair of matrices."""
    module = binding.parse_assembly(str(_module(rows, columns, dtype)))
    module.verify()
    engine = binding.create_mcjit_compiler(module, _machine())
    _engines.append(engine)
    engine.finalize_object()
    integer, address = ctypes.c_int64, ctypes.c_void_p
    kind = ctypes.CFUNCTYPE(  # which lets other threads run meanwhile
        None, integer, integer, address, integer, address, address, address, integer, address, address, address
    )
    return kind(engine.get_function_address("multiply"))


def _module(rows: tuple[tuple[float, ...], ...], columns: tuple[tuple[float, ...], ...], dtype: torch.dtype) -> ir.Module:
    number, size = _NUMBERS[dtype]
    module = ir.Module(name="filtering")
    module.triple = binding.get_default_triple()
    many, places = number.as_pointer(), _INTEGER.as_pointer()
    kind = ir.FunctionType(
        ir.VoidType(), [_INTEGER, _INTEGER, many, _INTEGER, places, places, many, _INTEGER, places, places, many]
    )
    function = ir.Function(module, kind, name="multiply")
    code = ir.IRBuilder(function.append_basic_block("begin"))
    count, channels, maps, image, at_rows, at_columns, out, out_image, to_rows, to_columns, half = function.args
    lanes = _lanes(size)
    whole = code.sub(channels, code.srem(channels, _integer(lanes)))
    with _loop(code, _integer(0), count, 1) as n:
        begin, end = code.mul(n, image), code.mul(n, out_image)
        for width, first, last in ((lanes, _integer(0), whole), (1, whole, channels)):
            of_numbers = _Vectors(code, number, size, width)
            height, across = len(rows[0]), len(columns)
            with _loop(code, first, last, width) as c:
                with _loop(code, _integer(0), _integer(height), 1) as row:
                    start = code.add(code.add(begin, c), _read(code, at_rows, row))
                    pixels = [
                        of_numbers.load(maps, code.add(start, _read(code, at_columns, _integer(j))))
                        for j in range(len(columns[0]))
                    ]
                    place = code.mul(row, _integer(across * width))
                    for i, weights in enumerate(columns):
                        of_numbers.store(of_numbers.sum(weights, pixels), half, code.add(place, _integer(i * width)))
                with _loop(code, _integer(0), _integer(across), 1) as column:
                    place = code.mul(column, _integer(width))
                    sums = [of_numbers.load(half, code.add(place, _integer(i * across * width))) for i in range(height)]
                    start = code.add(code.add(end, c), _read(code, to_columns, column))
                    for i, weights in enumerate(rows):
                        of_numbers.store(
                            of_numbers.sum(weights, sums), out, code.add(start, _read(code, to_rows, _integer(i)))
                        )
    code.ret_void()
    return module


class _Vectors:
    """Operations on vectors of `lanes` numbers of `size` bytes."""

    def __init__(self, code: ir.IRBuilder, number: ir.Type, size: int, lanes: int) -> None:
        self._code, self._number, self._size, self._lanes = code, number, size, lanes
        self._vector = ir.VectorType(number, lanes)

    def load(self, numbers: ir.Value, place: ir.Value) -> ir.Value:
        return self._code.load(self._at(numbers, place), align=self._size)

    def store(self, vector: ir.Value, numbers: ir.Value, place: ir.Value) -> None:
        self._code.store(vector, self._at(numbers, place), align=self._size)

    def sum(self, weights: tuple[float, ...], vectors: list[ir.Value]) -> ir.Value:
        """Return the weighted sum of vectors, from the first weight that is not 0 on."""
        total = None
        for weight, vector in zip(weights, vectors, strict=True):
            if weight == 0:
                continue
            constant = ir.Constant(self._vector, [ir.Constant(self._number, weight)] * self._lanes)
            product = vector if weight == 1 else self._code.fmul(vector, constant, flags=_NEAR)
            total = product if total is None else self._code.fadd(total, product, flags=_NEAR)
        assert total is not None, "a row of the matrix is empty"
        return total

    def _at(self, numbers: ir.Value, place: ir.Value) -> ir.Value:
        return self._code.bitcast(self._code.gep(numbers, [place]), self._vector.as_pointer())


def _integer(value: int) -> ir.Constant:
    return ir.Constant(_INTEGER, value)


def _read(code: ir.IRBuilder, places: ir.Value, index: ir.Value) -> ir.Value:
    return code.load(code.gep(places, [index]))


@contextmanager
def _loop(code: ir.IRBuilder, first: ir.Value, last: ir.Value, step: int) -> Iterator[ir.Value]:
    """Build what is built meanwhile as the body of a loop over an integer from `first` to before `last`."""
    before, test = code.block, code.append_basic_block("test")
    body, after = code.append_basic_block("body"), code.append_basic_block("after")
    code.branch(test)
    code.position_at_end(test)
    index = code.phi(_INTEGER)
    index.add_incoming(first, before)
    code.cbranch(code.icmp_signed("<", index, last), body, after)
    code.position_at_end(body)
    yield index
    following = code.add(index, _integer(step))
    index.add_incoming(following, code.block)
    code.branch(test)
    code.position_at_end(after)
