"""How compiled kernels see tables: one pointer a table set, one pointer and a row count a matrix.

numba's own arrays are nine words each and counted by reference, and a call between kernels would hand over some three
hundred words.  Here a `NamedTuple` of matrices is one pointer to a *frame*, a row of int64 that names each matrix:

    frame of Tables:  │ address │ rows │ address │ rows │ …  │ setting │ setting │ …
                      └── places ──────┴── enis ──────── …   └── a NamedTuple of ints, in place

    kernel writes                     compiled code does
    tables.enis[row, Eni.SUBNET]      load the address from the frame; load address + (row × columns + 2) × 8
    matrix.shape[0]                   load the row count
    matrix[-1, 0]                     counts from the end, as interpreted
    be32(buffer, at), prefetch(…)     one instruction

A frame does not change while a kernel runs, so its words are loaded once.  The kernels' sources know nothing of this:
they are the same functions that the interpreter runs on NumPy arrays.
"""

import operator
import sys
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numba.extending import NativeValue, lower_getattr_generic, models, register_model, typeof_impl, unbox

_WORD = ir.IntType(64)


class MatrixType(types.Type):
    """A matrix of int64 with a fixed number of columns, or (``columns`` 0) a row of bytes."""

    def __init__(self, columns: int) -> None:
        super().__init__(name=f"Matrix({columns})")
        self.columns = columns

    @property
    def element(self) -> Any:
        """What stands in memory."""
        return types.int64 if self.columns else types.uint8


class FrameType(types.Type):
    """A pointer to a frame; ``fields`` are (name, type, first word), a type of None is an int."""

    def __init__(self, fields: tuple[tuple[str, Any, int], ...]) -> None:
        layout = ", ".join(f"{name}:{kind}@{at}" for name, kind, at in fields)
        # The name is part of every symbol, so a digest stands for the layout.
        super().__init__(name=f"Frame({sha256(layout.encode()).hexdigest()[:16]})")
        self.fields = fields

    def field(self, name: str) -> tuple[Any, int]:
        """Type and first word of a field."""
        return next((kind, at) for known, kind, at in self.fields if known == name)


# numba takes long to make a type, and a run asks for the same few again and again.
_matrix_type = cache(MatrixType)
_frame_type = cache(FrameType)


class Passed:
    """An argument as compiled code takes it: its type, and an address and a count."""

    __slots__ = ("address", "count", "kept", "kind")

    def __init__(self, kind: Any, address: int, count: int, kept: Any) -> None:
        self.kind, self.address, self.count, self.kept = kind, address, count, kept


def passed(value: Any) -> Any:
    """An argument of a kernel for compiled code; integers stay as they are."""
    if isinstance(value, np.ndarray):
        kind = _matrix_type(value.shape[1] if value.ndim == 2 else 0)
        assert value.flags.c_contiguous
        return Passed(kind, value.ctypes.data, len(value), value)
    if isinstance(value, tuple):
        words: list[int] = []
        layout = _frame(value, words)
        frame = np.array(words, dtype=np.int64)
        return Passed(layout, frame.ctypes.data, len(frame), (frame, value))
    return value


def kind_of(value: Any) -> Any:
    """The type of what `passed` gave."""
    return value.kind if isinstance(value, Passed) else types.int64


def _frame(value: Any, words: list[int]) -> FrameType:
    fields: list[tuple[str, Any, int]] = []
    for name, part in zip(value._fields, value, strict=True):
        at = len(words)
        if isinstance(part, np.ndarray):
            fields.append((name, _matrix_type(part.shape[1] if part.ndim == 2 else 0), at))
            assert part.flags.c_contiguous
            words += [part.ctypes.data, len(part)]
        elif isinstance(part, tuple):
            fields.append((name, _frame(part, words), 0))
        else:
            fields.append((name, None, at))
            words.append(int(part))
    return _frame_type(tuple(fields))


@typeof_impl.register(Passed)
def _typeof_passed(value: Passed, context: Any) -> Any:
    return value.kind


@register_model(MatrixType)
class _MatrixModel(models.StructModel):
    def __init__(self, manager: Any, kind: MatrixType) -> None:
        super().__init__(manager, kind, [("data", types.CPointer(kind.element)), ("rows", types.int64)])


@register_model(FrameType)
class _FrameModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: FrameType) -> None:
        super().__init__(manager, kind, _WORD.as_pointer())


def _number(context: Any, value: Any, name: str) -> Any:
    attribute = context.pyapi.object_getattr_string(value, name)
    number = context.pyapi.long_as_longlong(attribute)
    context.pyapi.decref(attribute)
    return number


@unbox(MatrixType)
def _unbox_matrix(kind: MatrixType, value: Any, context: Any) -> NativeValue:
    matrix = cgutils.create_struct_proxy(kind)(context.context, context.builder)
    matrix.data = context.builder.inttoptr(_number(context, value, "address"), context.context.get_value_type(types.CPointer(kind.element)))
    matrix.rows = _number(context, value, "count")
    return NativeValue(matrix._getvalue())


@unbox(FrameType)
def _unbox_frame(kind: FrameType, value: Any, context: Any) -> NativeValue:
    return NativeValue(context.builder.inttoptr(_number(context, value, "address"), _WORD.as_pointer()))


@infer_getattr
class _FrameAttributes(AttributeTemplate):
    key = FrameType

    def generic_resolve(self, kind: Any, name: str) -> Any:  # type: ignore[override]
        found, _ = kind.field(name)
        return types.int64 if found is None else found


def _load_word(builder: Any, frame: Any, at: int) -> Any:
    word = builder.load(builder.gep(frame, [_WORD(at)]))
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


@lower_getattr_generic(FrameType)
def _lower_frame_attribute(context: Any, builder: Any, kind: FrameType, frame: Any, name: str) -> Any:
    found, at = kind.field(name)
    if found is None:
        return _load_word(builder, frame, at)
    if isinstance(found, FrameType):
        return frame
    matrix = cgutils.create_struct_proxy(found)(context, builder)
    matrix.data = builder.inttoptr(_load_word(builder, frame, at), context.get_value_type(types.CPointer(found.element)))
    matrix.rows = _load_word(builder, frame, at + 1)
    return matrix._getvalue()


@infer_getattr
class _MatrixAttributes(AttributeTemplate):
    key = MatrixType

    def resolve_shape(self, kind: MatrixType) -> Any:
        return types.UniTuple(types.int64, 2 if kind.columns else 1)


@lower_getattr_generic(MatrixType)
def _lower_matrix_attribute(context: Any, builder: Any, kind: MatrixType, value: Any, name: str) -> Any:
    matrix = cgutils.create_struct_proxy(kind)(context, builder, value)
    shape = [matrix.rows, _WORD(kind.columns)] if kind.columns else [matrix.rows]
    return cgutils.pack_array(builder, shape)


def _is_index(kind: MatrixType, index: Any) -> bool:
    whole = (types.Integer, types.IntEnumMember)
    if kind.columns:
        return isinstance(index, types.BaseTuple) and len(index) == 2 and all(isinstance(part, whole) for part in list(index))  # type: ignore[call-overload]
    return isinstance(index, whole)


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, arguments: Any, keywords: Any) -> Any:
        kind, index = arguments
        if isinstance(kind, MatrixType) and _is_index(kind, index):
            return signature(kind.element, kind, index)
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, arguments: Any, keywords: Any) -> Any:
        kind, index, _ = arguments
        if isinstance(kind, MatrixType) and _is_index(kind, index):
            return signature(types.none, kind, index, kind.element)
        return None


def _pointer(context: Any, builder: Any, kind: MatrixType, value: Any, index_type: Any, index: Any) -> Any:
    matrix = cgutils.create_struct_proxy(kind)(context, builder, value)
    if kind.columns:
        parts = cgutils.unpack_tuple(builder, index)
        row = context.cast(builder, parts[0], index_type[0], types.int64)
        column = context.cast(builder, parts[1], index_type[1], types.int64)
    else:
        row, column = context.cast(builder, index, index_type, types.int64), None
    row = builder.select(builder.icmp_signed("<", row, _WORD(0)), builder.add(row, matrix.rows), row)
    if column is not None:
        row = builder.add(builder.mul(row, _WORD(kind.columns)), column)
    return builder.gep(matrix.data, [row])


@lower_builtin(operator.getitem, MatrixType, types.Any)
def _lower_getitem(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind, index_type = signature.args
    return builder.load(_pointer(context, builder, kind, arguments[0], index_type, arguments[1]))


@lower_builtin(operator.setitem, MatrixType, types.Any, types.Any)
def _lower_setitem(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind, index_type, _ = signature.args
    builder.store(arguments[2], _pointer(context, builder, kind, arguments[0], index_type, arguments[1]))
    return context.get_dummy_value()


class _Instruction(AbstractTemplate):
    """A kernel of a matrix and whole numbers that gives a whole number, or nothing."""

    result: Any = types.int64

    def generic(self, arguments: Any, keywords: Any) -> Any:
        whole = [types.int64] * (len(arguments) - 1)
        return signature(self.result, arguments[0], *whole) if isinstance(arguments[0], MatrixType) else None


def _loaded(bits: int, swapped: bool) -> Any:
    """The code of a load of so many bits, the bytes in the other order than the machine's, if so, and widened."""

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        whole = ir.IntType(bits)
        address = builder.bitcast(builder.gep(matrix.data, [arguments[1]]), whole.as_pointer())
        value = builder.load(address, align=1)
        if swapped:
            value = builder.bswap(value)
        return value if bits == 64 else builder.zext(value, _WORD)

    return lower


def know_loads(loads: dict[Any, tuple[int, str]]) -> None:
    """Have each of these functions of bytes and an offset stand for one load of so many bits, in an order of bytes."""
    for function, (bits, order) in loads.items():
        infer_global(function)(type(function.__name__, (_Instruction,), {}))
        lower_builtin(function, MatrixType, types.int64)(_loaded(bits, order != sys.byteorder))


def know_prefetch(function: Any) -> None:
    """Have this function of a matrix, a row and a column stand for fetching a cache line ahead of its use."""
    infer_global(function)(type(function.__name__, (_Instruction,), {"result": types.none}))
    lower_builtin(function, MatrixType, types.int64, types.int64)(_lower_prefetch)


def _lower_prefetch(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    matrix = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
    row = builder.mul(arguments[1], _WORD(signature.args[0].columns))
    address = builder.gep(matrix.data, [builder.add(row, arguments[2])])
    byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(fetch, [builder.bitcast(address, byte), flag(0), flag(3), flag(1)])
    return context.get_dummy_value()
