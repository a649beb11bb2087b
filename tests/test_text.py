"""Tokenizers, and that whole columns are taken apart as TensorFlow does it text by text."""

import hypothesis
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from pipeline.text import TOKENIZERS, compile_spacer, tokenize
from pipeline.tokens import (
    SEPARATOR,
    count_tokens,
    look_up,
    merge_counts,
    most_frequent,
    sequence_keys,
    space_column,
    tokenize_column,
)

SPACERS = {name: compile_spacer(name) for name in TOKENIZERS}


def tokens_of(text, tokenizer="unicode", max_tokens=100):
    return [token.decode() for token in tokenize(tf.constant([text]), tokenizer, max_tokens).to_list()[0]]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello,  World!!\t don't", ["hello", ",", "world", "!", "!", "don", "'", "t"]),
        ("ＡＢｃ１　你好，世界", ["abc1", "你", "好", ",", "世", "界"]),
        ("カナ한국 mixed_up", ["カ", "ナ", "한", "국", "mixed_up"]),
        ("Ünïcode e\u0301té 3.5€", ["ünïcode", "e\u0301té", "3", ".", "5", "€"]),
        ("😀👍🏽ok", ["😀", "👍", "🏽", "ok"]),
        ("a\u200db \u202eright\u202c", ["ab", "right"]),
        ("a\u00a0b\r\nc\x01d\u2028e\u3000f", ["a", "b", "c", "d", "e", "f"]),
        ("Nul\x00 Byte", ["nul", "byte"]),
        ("", []),
        (" \u3000\n\u200b", []),
    ],
)
def test_unicode(text, tokens):
    assert tokens_of(text) == tokens


def test_whitespace_keeps_words_and_char_takes_them_apart():
    assert tokens_of(" Ab,c \u3000 你好\n", "whitespace") == ["Ab,c", "你好"]
    assert tokens_of("Ab ，你", "char") == ["a", "b", ",", "你"]


def test_long_texts_are_cut():
    assert tokens_of("a b c d", max_tokens=2) == ["a", "b"]
    lists, lengths = tokenize_column(pa.array(["a b c d", "e"]).dictionary_encode(), SPACERS["unicode"], 2)
    assert lists.to_pylist() == [["a", "b"], ["e"]] and lengths.tolist() == [4, 1]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@hypothesis.given(texts=st.lists(st.text(max_size=12) | st.sampled_from(["ΑΣ", "İ", "", "Ａ", "ß", "ǅ"]), max_size=6))
@hypothesis.settings(max_examples=150, deadline=None)
def test_columns_are_taken_apart_as_texts_alone(tokenizer, texts):
    lists, lengths = tokenize_column(pa.array(texts, pa.string()).dictionary_encode(), SPACERS[tokenizer], 5)
    expected = [tokens_of(text, tokenizer) for text in texts]
    assert lists.to_pylist() == [tokens[:5] for tokens in expected]
    assert lengths.tolist() == [len(tokens) for tokens in expected]


def test_a_text_with_the_separator_is_spaced_too():
    texts = pa.array([f"A{SEPARATOR}b", "C"])
    assert space_column(texts, SPACERS["unicode"]).to_pylist() == [f"a {SEPARATOR} b", "c"]


def test_counts_add_up_and_are_ordered_by_count_then_falling_token():
    def tokens(*texts):
        return tokenize_column(pa.array(texts).dictionary_encode(), SPACERS["unicode"], 9)[0]

    counts = merge_counts([count_tokens(tokens("b a", "a c")), count_tokens(tokens("c", "d"))])
    assert most_frequent(counts, 10, 1).to_pylist() == [
        {"token": "c", "count": 2},
        {"token": "a", "count": 2},
        {"token": "d", "count": 1},
        {"token": "b", "count": 1},
    ]
    assert most_frequent(counts, 10, 2)["token"].to_pylist() == ["c", "a"]
    assert most_frequent(counts, 1, 1)["token"].to_pylist() == ["c"]
    assert look_up(pa.array(["a", "z", "c"]), pa.array(["c", "a"])).tolist() == [2, 3, 1]


def test_keys_are_equal_for_equal_sequences_alone():
    ids = np.array([1, 2, 1, 2, 2, 1, 1, 2, 3])
    keys = sequence_keys(ids, np.array([0, 2, 4, 6, 6, 9]))
    assert keys[0] == keys[1]
    assert len(set(keys.tolist())) == 4
    assert keys[3] == 0 and np.count_nonzero(keys) == 4


def test_keys_of_many_short_sequences_differ():
    pairs = np.array(np.meshgrid(np.arange(1, 300), np.arange(1, 300))).reshape(2, -1).T
    keys = sequence_keys(pairs.ravel(), np.arange(len(pairs) + 1) * 2)
    assert len(np.unique(keys)) == len(pairs)
