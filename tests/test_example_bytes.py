"""Serialised Examples against the libraries' own."""

import hypothesis
import numpy as np
import pyarrow as pa
import tensorflow as tf
from hypothesis import strategies as st

from pipeline.example_bytes import examples, fixed_bytes, join, list_items, take_and_join, take_runs, varints


def runs(values, offsets):
    distinct, indices = np.unique(np.array(values, np.int64), return_inverse=True)
    return take_runs(varints(distinct), indices, offsets)


int64 = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300)


@hypothesis.given(
    rows=st.lists(st.tuples(st.lists(int64, max_size=5), st.binary(max_size=200)), min_size=1, max_size=5)
)
@hypothesis.settings(max_examples=100, deadline=None)
def test_examples_parse_as_what_went_in(rows):
    lists, texts = zip(*rows, strict=True)
    offsets = np.concatenate([[0], np.cumsum([len(some) for some in lists])])
    floats = np.array([[len(some), 0.5] for some in lists], np.float32)
    serialised = examples(
        [
            ("numbers", "int64", runs(sum(lists, []), offsets)),
            ("a" * 130, "float32", fixed_bytes(floats)),
            ("text", "bytes", list_items(pa.array(texts, pa.large_binary()))),
            ("twice", "bytes", join(*[list_items(pa.array(texts, pa.large_binary()))] * 2)),
        ]
    )
    for data, numbers, text, pair in zip(serialised.to_pylist(), lists, texts, floats, strict=True):
        features = tf.train.Example.FromString(data).features.feature
        assert list(features["numbers"].int64_list.value) == numbers
        assert list(features["text"].bytes_list.value) == [text]
        assert list(features["twice"].bytes_list.value) == [text, text]
        assert list(features["a" * 130].float_list.value) == pair.tolist()


def test_varints_are_those_of_protocol_buffers():
    # The example of protobuf.dev/programming-guides/encoding: 150 is 96 01.
    assert varints(np.array([0, 1, 127, 128, 150, -1])).to_pylist() == [
        b"\x00",
        b"\x01",
        b"\x7f",
        b"\x80\x01",
        b"\x96\x01",
        b"\xff" * 9 + b"\x01",
    ]


def test_slots_are_joined_and_the_last_value_stands_for_none():
    values = pa.array([b"a", b"bc", b"-"], pa.large_binary())
    assert take_and_join(values, np.array([[0, 1], [1, -1]])).to_pylist() == [b"abc", b"bc-"]
