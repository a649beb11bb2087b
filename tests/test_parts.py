"""Values worked out by hand of read-outs, attention scores, memory, contexts, gates and convolutions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.attentions import ATTENTIONS
from trainer.contexts import GRUContext
from trainer.encoders import Conv1DEncoder, TextCNNEncoder, TransformerEncoder, sinusoids
from trainer.gates import MatchingGate, NoGate, ScalarGate, VectorGate
from trainer.history import HistoryMemory
from trainer.masking import masked_softmax
from trainer.readouts import LastState, MaxState, MeanState, SelfAttention, view_penalty

STATES = tf.constant([[[1.0, -2.0], [3.0, 0.0], [9.0, 9.0]], [[-1.0, -5.0], [7.0, 7.0], [7.0, 7.0]]])
LENGTHS = tf.constant([2, 1])


@pytest.mark.parametrize(("readout", "masked", "unmasked"), [
    (LastState(), [[3, 0], [-1, -5]], [[9, 9], [7, 7]]),
    (LastState(backward_dim=1), [[3, -2], [-1, -5]], [[9, -2], [7, -5]]),
    (MeanState(), [[2, -1], [-1, -5]], [[13 / 3, 7 / 3], [13 / 3, 3]]),
    (MaxState(), [[3, 0], [-1, -5]], [[9, 9], [7, 7]]),
], ids=["last", "last of two directions", "mean", "max"])
def test_readouts(readout, masked, unmasked):
    np.testing.assert_allclose(readout(STATES, LENGTHS), masked, atol=1e-6)
    np.testing.assert_allclose(readout(STATES), unmasked, atol=1e-6)
    np.testing.assert_array_equal(readout(STATES, tf.constant([0, 0])), np.zeros((2, 2)))


def test_masked_softmax():
    scores = tf.constant([[0.0, np.log(3.0), 50.0], [1.0, 2.0, 3.0]])
    weights = masked_softmax(scores, tf.constant([[True, True, False], [False, False, False]]))
    np.testing.assert_allclose(weights, [[0.25, 0.75, 0], [0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(masked_softmax(scores[:1, :2]), [[0.25, 0.75]], atol=1e-6)


def test_self_attention():
    readout = SelfAttention(readout_hops=2, readout_units=1, readout_penalty=0.5)
    readout.build((None, None, 2))
    readout.hidden.kernel.assign([[1.0], [0.0]])
    # View 1 scores tanh(h_1) log 3 / tanh 1, view 2 nothing.
    readout.views.kernel.assign([[np.log(3.0) / np.tanh(1.0), 0.0]])
    states = tf.constant([[[0.0, 4.0], [1.0, 8.0], [5.0, 5.0]]])
    np.testing.assert_allclose(readout.weights_of(states, tf.constant([2])), [[[0.25, 0.75, 0], [0.5, 0.5, 0]]],
                               atol=1e-6)
    np.testing.assert_allclose(readout(states, tf.constant([2])), [[0.75, 7, 0.5, 6]], atol=1e-5)
    # A A^T - I = [[.625 - 1, .5], [.5, .5 - 1]].
    np.testing.assert_allclose(readout.losses, [0.5 * (0.375**2 + 2 * 0.25 + 0.25)], atol=1e-6)
    readout(states, tf.constant([2]), share=0.25)
    np.testing.assert_allclose(readout.losses, [0.125 * (0.375**2 + 2 * 0.25 + 0.25)], atol=1e-6)


def test_views_of_their_own_cost_nothing():
    np.testing.assert_allclose(view_penalty(tf.constant([[[1.0, 0, 0], [0, 0, 1]], [[1, 0, 0], [1, 0, 0]]])), [0, 2])


QUERY = tf.constant([[[3.0, 4.0]]])
KEYS = tf.constant([[[[1.0, 2.0], [0.0, 0.0]]]])


def scored(name, **weights):
    score = ATTENTIONS[name]()
    score.build((None, 1, 2), (None, 1, 2, 2))
    for weight, value in weights.items():
        getattr(score, weight).assign(value)
    return score(QUERY, KEYS)[0, 0]


@pytest.mark.parametrize(("name", "weights", "expected"), [
    ("dot", {}, [11, 0]),
    ("scaled_dot", {}, [11 / np.sqrt(2), 0]),
    ("cosine", {}, [11 / (5 * np.sqrt(5)), 0]),
    # [3, 4] W = [11, 4].
    ("general", {"kernel": [[1, 0], [2, 1]]}, [11 + 8, 0]),
    ("additive", {"query_kernel": [[0.1, 0], [0, 0.1]], "key_kernel": [[0, 1], [1, 0]], "vector": [[2], [1]]},
     [2 * np.tanh(2.3) + np.tanh(1.4), 2 * np.tanh(0.3) + np.tanh(0.4)]),
    ("location", {"kernel": [[1, 0], [1, 2]]}, [7, 8]),
])
def test_scores(name, weights, expected):
    np.testing.assert_allclose(scored(name, **weights), expected, rtol=1e-5)


# A current turn, then three slots of history, the last one empty.
TURNS = tf.constant([[[1.0, 0.0], [np.log(3.0), 5.0], [0.0, 7.0], [0.0, 0.0]]])
PRESENT = tf.constant([[True, True, True, False]])
SPEAKERS = tf.constant([[2, 3, 2, 0]])


def memory_of(**settings):
    memory = HistoryMemory(ATTENTIONS["dot"](), slots=4, speakers=4, **settings)
    memory.build((None, 4, 2))
    return memory


def test_memory():
    weights, memory = memory_of()(TURNS, PRESENT, SPEAKERS)
    np.testing.assert_allclose(weights, [[0.75, 0.25, 0]], atol=1e-6)
    np.testing.assert_allclose(memory, [[0.75 * np.log(3), 0.75 * 5 + 0.25 * 7]], rtol=1e-5)
    weights, _ = memory_of(mask_history=False)(TURNS, PRESENT, SPEAKERS)
    np.testing.assert_allclose(weights, [[0.6, 0.2, 0.2]], atol=1e-6)


def test_the_null_slot_takes_weight_and_gives_nothing():
    memory = memory_of(null_slot=True)
    memory.null_key.assign([[np.log(4.0), 9.0]])
    weights, found = memory(TURNS, PRESENT, SPEAKERS)
    np.testing.assert_allclose(weights, [[3 / 8, 1 / 8, 0]], atol=1e-6)
    np.testing.assert_allclose(found, [[3 / 8 * np.log(3), 3 / 8 * 5 + 1 / 8 * 7]], rtol=1e-5)


def test_slots_and_speakers_are_part_of_keys_and_values():
    memory = memory_of(slot_position=True, slot_speaker=True)
    memory.position_table.assign([[0, 1], [np.log(3.0), 0], [8, 8]])
    memory.speaker_table.assign([[9, 9], [9, 9], [0, 2], [0, 0]])
    # The current turn becomes [1, 2], the history [log 3, 6] and [log 3, 9]: scores log 3 + 12 and log 3 + 18.
    weights, found = memory(TURNS, PRESENT, SPEAKERS)
    second = 1 / (1 + np.exp(-6))
    np.testing.assert_allclose(weights, [[1 - second, second, 0]], atol=1e-6)
    np.testing.assert_allclose(found, [[np.log(3), 6 * (1 - second) + 9 * second]], rtol=1e-5)


def test_hops_ask_with_what_was_found():
    weights, found = memory_of(hops=2)(TURNS, PRESENT, SPEAKERS)
    first = np.array([0.75 * np.log(3), 5.5])
    scores = TURNS[0, 1:3].numpy() @ (np.array([1, 0]) + first)
    second = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    np.testing.assert_allclose(weights[0, :2], (np.array([0.75, 0.25]) + second) / 2, atol=1e-5)
    np.testing.assert_allclose(found[0], first + second @ TURNS[0, 1:3].numpy(), rtol=1e-5)


def test_heads_share_out_the_numbers():
    memory = memory_of(attention_heads=2)
    for layer in memory.projections.values():
        layer.kernel.assign(np.eye(2))
    # The first head scores log 3 and 0, the second 0 and 0.
    weights, found = memory(TURNS, PRESENT, SPEAKERS)
    np.testing.assert_allclose(weights, [[(0.75 + 0.5) / 2, (0.25 + 0.5) / 2, 0]], atol=1e-6)
    np.testing.assert_allclose(found, [[0.75 * np.log(3), 6]], rtol=1e-5)
    with pytest.raises(ValueError, match="attention_heads: 3 does not divide the size of a turn's vector, 2"):
        memory_of(attention_heads=3)


def test_gates():
    memory, current = tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 1.0]])

    def gate_of(gate, kernel, bias):
        gate.build((None, 2), (None, 2))
        gate.dense.kernel.assign(kernel)
        gate.dense.bias.assign(bias)
        return gate(memory, current)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    np.testing.assert_allclose(gate_of(ScalarGate(), [[1], [0], [-1], [2]], [0.5]), [[sigmoid(0.5)]], rtol=1e-6)
    np.testing.assert_allclose(gate_of(VectorGate(), [[1, 0], [0, 1], [0, 0], [0, 0]], [0, 1]),
                               [[sigmoid(1), sigmoid(3)]], rtol=1e-6)
    # Products 3 and 2, differences 2 and 1.
    kernel = [[0], [0], [0], [0], [1], [-1], [2], [-3]]
    np.testing.assert_allclose(gate_of(MatchingGate(), kernel, [0]), [[sigmoid(3 - 2 + 4 - 3)]], rtol=1e-6)
    np.testing.assert_array_equal(NoGate()(memory, current), [[1]])


def test_the_context_reads_from_the_oldest_turn_on():
    keras.utils.set_random_seed(1)
    context = GRUContext()
    context.build((None, 4, 2))
    read = context(TURNS, PRESENT)[0]
    present = np.flip(TURNS[0, :3], 0)[None]
    states = context.gru.cell, np.zeros((1, 2), np.float32)
    expected = []
    for turn in np.moveaxis(present, 1, 0):
        output, [state] = states[0](tf.constant(turn), [tf.constant(states[1])])
        states = states[0], state.numpy()
        expected.insert(0, output.numpy()[0])
    np.testing.assert_allclose(read[:3], TURNS[0, :3] + np.array(expected), atol=1e-5)
    np.testing.assert_array_equal(read[3], [0, 0])


def test_convolutions():
    # The filter w = [1, 10, 100] over 1 2 3, then padding that must not be seen.
    vectors = tf.constant([[[1.0], [2.0], [3.0], [7.0]]])
    expected = {TextCNNEncoder: [321, 32, 3], Conv1DEncoder: [210, 321, 32]}
    for part, values in expected.items():
        encoder = part(units=1, kernel_sizes=(3,))
        encoder.build((None, None, 1))
        encoder.layers[0][0].kernel.assign([[[1]], [[10]], [[100]]])
        np.testing.assert_allclose(encoder(vectors, tf.constant([3]))[0, :3, 0], values)


def test_positions_are_sines_and_cosines():
    table = sinusoids(3, 4).numpy()
    np.testing.assert_allclose(table[2], [np.sin(2), np.sin(0.02), np.cos(2), np.cos(0.02)], rtol=1e-5)
    np.testing.assert_array_equal(table[0], [0, 0, 1, 1])


def test_a_transformer_head_attends_by_scaled_dots():
    encoder = TransformerEncoder(units=2, encoder_heads=1)
    query_key_value = tf.constant([[[1.0, 0.0, 9.0, 9.0, 2.0, 4.0],
                                    [0.0, 0.0, np.sqrt(2.0) * np.log(3.0), 0.0, 6.0, 8.0]]])
    attended = encoder._attend(query_key_value * [[[1], [1]]], tf.constant([[False, True]]))
    np.testing.assert_allclose(attended, [[[6, 8], [6, 8]]])
    flat = tf.constant([[[1.0, 0.0, 0.0, 9.0, 2.0, 4.0], [0.0, 0.0, np.sqrt(2.0) * np.log(3.0), 0.0, 6.0, 8.0]]])
    np.testing.assert_allclose(encoder._attend(flat, None)[0, 0], [0.25 * 2 + 0.75 * 6, 0.25 * 4 + 0.75 * 8], rtol=1e-5)
