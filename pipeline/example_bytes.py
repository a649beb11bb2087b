"""Serialised `tf.train.Example`s, column by column.

The libraries' own encoders write the features of an Example in random order, so the same windows would give other bytes
each time. This one writes them in the order given, as protocol buffers' wire format has it
(https://protobuf.dev/programming-guides/encoding/), for whole columns with Arrow and numpy.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# (field number << 3) | wire type 2, length-delimited.
EXAMPLE_FEATURES, MAP_ENTRY, ENTRY_KEY, ENTRY_VALUE, LIST_VALUES = b"\x0a", b"\x0a", b"\x0a", b"\x12", b"\x0a"
LIST_FIELDS = {"bytes": b"\x0a", "float32": b"\x12", "int64": b"\x1a"}


def varints(values: np.ndarray) -> pa.LargeBinaryArray:
    """Each integer as a varint; negative ones as 64-bit two's complement, ten bytes.

    Args:
        values: int64 [N].

    Returns:
        Binary [N].
    """
    sizes = varint_sizes(values)
    return _binary(_varint_bytes(values, sizes), np.concatenate([[0], np.cumsum(sizes)]))


def take_runs(values: pa.LargeBinaryArray, indices: np.ndarray, offsets: np.ndarray) -> pa.LargeBinaryArray:
    """Joins the values of each run of indices.

    Args:
        values: binary [V].
        indices: into the values, flat.
        offsets: run t is indices[offsets[t]:offsets[t + 1]], int64 [T + 1].

    Returns:
        Binary [T].
    """
    taken = values.take(pa.array(indices))
    _, ends, data = taken.buffers()
    return _binary(np.frombuffer(data or b"", np.uint8), np.frombuffer(ends, np.int64)[offsets])


def fixed_bytes(values: np.ndarray) -> pa.LargeBinaryArray:
    """The memory of each row, little-endian.

    Args:
        values: float32, or uint8 for integers below 128 [N, M].

    Returns:
        Binary [N].
    """
    rows = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    size = rows.shape[1] * rows.itemsize
    return _binary(rows.view(np.uint8).ravel(), np.arange(len(rows) + 1) * size)


def take_and_join(values: pa.LargeBinaryArray, slots: np.ndarray) -> pa.LargeBinaryArray:
    """Joins, for each row, the values its slots name.

    Args:
        values: binary [T].
        slots: indices, -1 for the last value, int64 [N, S].

    Returns:
        Binary [N].
    """
    return join(*(values.take(pa.array(slot % len(values))) for slot in slots.T))


def join(*pieces: pa.LargeBinaryArray | bytes) -> pa.LargeBinaryArray:
    """Joins binary columns (and constants) row by row."""
    scalars = [pa.scalar(piece, pa.large_binary()) if isinstance(piece, bytes) else piece for piece in pieces]
    return pc.binary_join_element_wise(*scalars, pa.scalar(b"", pa.large_binary()))


def list_items(values: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Each value as an item of a list: field 1 with its size."""
    return join(LIST_VALUES, _size(values), values)


def examples(features: list[tuple[str, str, pa.LargeBinaryArray]]) -> pa.LargeBinaryArray:
    """Serialised Examples.

    Args:
        features: (name, dtype as in `schemas.examples.Feature`, values) in order. Values are binary [N]: of `int64` the
            joined varints, of `float32` the joined floats, of `bytes` the joined `list_items`.

    Returns:
        Binary [N].
    """
    entries = join(*(_entry(name.encode(), dtype, values) for name, dtype, values in features))
    return join(EXAMPLE_FEATURES, _size(entries), entries)


def _entry(name: bytes, dtype: str, values: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """One entry of the map from name to Feature."""
    # Of int64 and float32, field 1 of the list holds all values packed; of bytes, it is there once for each value.
    contents = values if dtype == "bytes" else list_items(values)
    feature = join(LIST_FIELDS[dtype], _size(contents), contents)
    key = join(ENTRY_KEY + _length(name) + name + ENTRY_VALUE, _size(feature))
    entry = join(key, feature)
    return join(MAP_ENTRY, _size(entry), entry)


def _size(values: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return varints(pc.binary_length(values).to_numpy())


def _length(data: bytes) -> bytes:
    return varints(np.array([len(data)]))[0].as_py()


def varint_sizes(values: np.ndarray) -> np.ndarray:
    """How many bytes each integer takes as a varint, int64 [N]."""
    unsigned = values.astype(np.uint64)
    sizes = np.ones(len(values), np.int64)
    for bits in range(7, 64, 7):
        larger = unsigned >= np.uint64(1 << bits)
        if not larger.any():
            break
        sizes += larger
    return sizes


def _varint_bytes(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    unsigned = values.astype(np.uint64)
    ends = np.cumsum(sizes)
    data = np.empty(ends[-1] if len(ends) else 0, np.uint8)
    starts, rest = ends - sizes, sizes
    for place in range(10):
        more = np.uint8(0x80) * (rest > place + 1)
        data[starts + place] = ((unsigned >> np.uint64(7 * place)) & np.uint64(0x7F)).astype(np.uint8) | more
        longer = rest > place + 1
        if not longer.any():
            break
        unsigned, starts, rest = unsigned[longer], starts[longer], rest[longer]
    return data


def _binary(data: np.ndarray, offsets: np.ndarray) -> pa.LargeBinaryArray:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets, np.int64)), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
