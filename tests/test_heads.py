"""Heads against their formulas worked out by hand, and the loss that is told at each token."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas import model_directory
from schemas.exit_status import UsageError
from tests.data_directories import SPEAKERS, make_windows, small_data_directory
from trainer.config import load_config
from trainer.evaluate import evaluate
from trainer.heads import HEADS, ChainHead
from trainer.losses import make_loss
from trainer.models import Sizes, build_model
from trainer.sequence_head import SequenceHead
from trainer.training import compile_model, train

LABELS = 3
SIZE = 4
FEATURES = tf.constant(np.random.default_rng(0).normal(size=(5, 6)), tf.float32)
TURNS = tf.constant(np.random.default_rng(1).normal(size=(5, 3, SIZE)), tf.float32)
PRESENT = tf.constant([[True] * 3, [True, True, False], [True, False, False], [True, False, True], [False] * 3])
TRUE = tf.constant([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1]], tf.float32)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def softmax(values):
    powers = np.exp(values - np.max(values))
    return powers / np.sum(powers)


def built(head):
    """The head with weights for the inputs above."""
    head.build(FEATURES.shape, TURNS.shape, PRESENT.shape)
    return head


def chain():
    """A chain with links."""
    head = built(ChainHead(LABELS))
    # What stands on and below the diagonal is of no use.
    head.links.assign([[9.0, 2.0, -1.0], [9.0, 9.0, 0.5], [9.0, 9.0, 9.0]])
    head.dense.bias.assign([0.5, -1.0, 0.25])
    return head


def test_a_chain_is_taught_with_the_true_labels_before_each():
    head = chain()
    base = head.dense(FEATURES).numpy()
    # T_10 = 2, T_20 = -1, T_21 = 0.5.
    added = [[0, 2, -1], [0, 0, 0], [0, 0, 0.5], [0, 2, -0.5], [0, 0, 0]]
    np.testing.assert_allclose(head.taught(FEATURES, TURNS, PRESENT, TRUE), base + added, atol=1e-6)


def test_a_chain_goes_on_with_its_own_scores():
    head = chain()
    expected = head.dense(FEATURES).numpy()
    expected[:, 1] += 2 * sigmoid(expected[:, 0])
    expected[:, 2] += -1 * sigmoid(expected[:, 0]) + 0.5 * sigmoid(expected[:, 1])
    logits = head(FEATURES, TURNS, PRESENT)
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    np.testing.assert_allclose(head.scores(logits), sigmoid(expected), atol=1e-6)


def sequence(attention="additive", labels=LABELS):
    """A head that writes, with random weights, biases too."""
    keras.utils.set_random_seed(2)
    head = built(SequenceHead(labels, decoder_attention=attention))
    random = np.random.default_rng(3)
    for weight in head.trainable_weights:
        weight.assign(random.normal(0, 0.7, weight.shape))
    return head


def context_of(head, state, turns):
    """The mean of a window's turns [n, D] by the score of the state [D] before."""
    if not len(turns):
        return np.zeros(SIZE)
    score = head.score
    if head.decoder_attention == "general":
        scores = [state @ score.kernel.numpy() @ turn for turn in turns]
    else:
        scores = [np.tanh(state @ score.query_kernel.numpy() + turn @ score.key_kernel.numpy()) @ score.vector.numpy()
                  for turn in turns]
    return softmax(np.reshape(scores, -1)) @ turns


def gru(cell, inputs, state):
    """h = z h + (1 - z) tanh(W x + r (U h + b)), as Keras' GRU."""
    ours, theirs = inputs @ cell.kernel.numpy() + cell.bias.numpy()[0], (
        state @ cell.recurrent_kernel.numpy() + cell.bias.numpy()[1])
    update, reset = (sigmoid(ours[start:start + SIZE] + theirs[start:start + SIZE]) for start in (0, SIZE))
    return update * state + (1 - update) * np.tanh(ours[2 * SIZE:] + reset * theirs[2 * SIZE:])


def distributions(head, row, written):
    """The probabilities of what comes next, labels and end, at each step of a writing (labels in order)."""
    turns = TURNS.numpy()[row][PRESENT.numpy()[row]]
    state = np.tanh(FEATURES.numpy()[row] @ head.start.kernel.numpy() + head.start.bias.numpy())
    result = []
    for last in (None, *written):
        context = context_of(head, state, turns)
        vector = np.zeros(SIZE) if last is None else head.label_table.numpy()[last]
        state = gru(head.cell, np.concatenate([vector, context]), state)
        logits = np.concatenate([state, context]) @ head.writer.kernel.numpy() + head.writer.bias.numpy()
        first = 0 if last is None else last + 1
        result.append(np.concatenate([np.zeros(first), softmax(logits[first:])]))
    return result


@pytest.mark.parametrize("attention", ["additive", "general"])
def test_what_is_taught_is_the_formula(attention):
    head = sequence(attention)
    logits = head.taught(FEATURES, TURNS, PRESENT, TRUE)
    assert logits.shape == (5, 4, LABELS + 1)
    for row in range(5):
        expected = distributions(head, row, np.flatnonzero(TRUE[row]))
        found = tf.nn.softmax(logits)[row, :len(expected)]
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("attention", ["additive", "general"])
def test_scores_are_those_of_the_most_probable_writing(attention):
    head = sequence(attention)
    scores = head.scores(head(FEATURES, TURNS, PRESENT)).numpy()
    for row in range(5):
        written = []
        while (step := distributions(head, row, written)[-1]).argmax() < LABELS:
            written.append(int(step.argmax()))
        expected, left = np.zeros(LABELS), np.ones(LABELS)
        for step in distributions(head, row, written):
            expected += left * step[:-1]
            left *= np.cumsum(step)[:-1] - step[:-1]
        np.testing.assert_allclose(scores[row], expected, atol=1e-5)


def writing_by_chance(probabilities):
    """A head that writes by these odds at every step, whatever the window and what was written."""
    head = sequence(labels=len(probabilities) - 1)
    head.writer.kernel.assign(tf.zeros_like(head.writer.kernel))
    head.writer.bias.assign(np.log(probabilities))
    return head


def test_scores_by_hand():
    # First a .5, b .3, end .2: a is written. Then b .6, end .4: b is written. Then the end.
    # a: 0.5. b: 0.3 + 0.5 * 0.6 = 0.6.
    head = writing_by_chance([0.5, 0.3, 0.2])
    np.testing.assert_allclose(head.scores(head(FEATURES, TURNS, PRESENT)), [[0.5, 0.6]] * 5, atol=1e-6)
    # First a .2, b .1, c .6, end .1: c is written. Then the end. a: 0.2. b: 0.1. c: 0.6.
    head = writing_by_chance([0.2, 0.1, 0.6, 0.1])
    np.testing.assert_allclose(head.scores(head(FEATURES, TURNS, PRESENT)), [[0.2, 0.1, 0.6]] * 5, atol=1e-6)
    # First a .4, b .1, c .3, end .2: a is written. Then b 1/6, c 3/6, end 2/6: c is written. Then the end.
    # a: 0.4. b: 0.1 + 0.4 / 6. c: 0.3 + (0.4 + 0.1) 3 / 6.
    head = writing_by_chance([0.4, 0.1, 0.3, 0.2])
    np.testing.assert_allclose(head.scores(head(FEATURES, TURNS, PRESENT)), [[0.4, 1 / 6, 0.55]] * 5, atol=1e-6)


def test_sure_scores_have_finite_logits():
    head = writing_by_chance(np.exp([50.0, -200.0, 0.0]))
    logits = head(FEATURES, TURNS, PRESENT)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(head.scores(logits), [[1.0, 0.0]] * 5, atol=1e-6)


@pytest.mark.parametrize("attention", ["additive", "general"])
def test_turns_that_are_not_there_and_company_change_nothing(attention):
    head = sequence(attention)
    junk = tf.where(PRESENT[..., None], TURNS, 7.0)
    np.testing.assert_array_equal(head(FEATURES, junk, PRESENT), head(FEATURES, TURNS, PRESENT))
    np.testing.assert_array_equal(head.taught(FEATURES, junk, PRESENT, TRUE),
                                  head.taught(FEATURES, TURNS, PRESENT, TRUE))
    alone = [head(FEATURES[row:row + 1], TURNS[row:row + 1], PRESENT[row:row + 1])[0] for row in range(5)]
    np.testing.assert_allclose(alone, head(FEATURES, TURNS, PRESENT), atol=1e-5)


def test_a_replica_without_windows_writes_nothing():
    head, none = sequence(), [values[:0] for values in (FEATURES, TURNS, PRESENT)]
    assert head(*none).shape == (0, LABELS)
    assert head.taught(*none, TRUE[:0]).shape == (0, 1, LABELS + 1)


def test_it_learns_to_write():
    head, optimizer = sequence(), keras.optimizers.Adam(0.03)
    loss = load_loss("sequence")
    step = tf.function(lambda: descend(head, optimizer, loss))
    for _ in range(80):
        last = step()
    assert last < 0.3
    np.testing.assert_array_equal(head.scores(head(FEATURES, TURNS, PRESENT)) > 0.5, TRUE > 0)


def load_loss(head):
    """The loss that goes with a head."""
    return make_loss(load_config("weekly_report", None, settings_of(head)))


def settings_of(head):
    """The settings that name a head."""
    return [f"head={head}", *["loss=sequence_crossentropy"] * (head == "sequence")]


def descend(head, optimizer, loss):
    """One step down."""
    with tf.GradientTape() as tape:
        value = loss(TRUE, head.taught(FEATURES, TURNS, PRESENT, TRUE))
    optimizer.apply(tape.gradient(value, [weight.value for weight in head.trainable_weights]), head.trainable_weights)
    return value


@pytest.mark.parametrize("head", [head for head in HEADS if HEADS[head].needs_labels])
def test_heads_that_are_taught_from_training_to_serving(head, tmp_path):
    small_data_directory(tmp_path / "data")
    small = ["embedding_dim=6", "units=5", "global_batch_size=16", "shuffle_buffer=8", "epochs=3",
             "optimizer=adam", "learning_rate=0.02"]
    config = load_config("weekly_report", None, [*small, *settings_of(head)])
    progress = train(str(tmp_path / "data"), str(tmp_path / "model"), config)
    assert progress.history["loss"][2] < progress.history["loss"][0]
    report = evaluate(tmp_path / "model", tmp_path / "data", "test", tmp_path / "report")
    assert report["windows"] > 0
    served = tf.saved_model.load(str(tmp_path / "model" / model_directory.SAVED_MODEL))
    turns = make_windows(1, 7)[0].turns
    texts = [turn.text for turn in turns] + [""] * (6 - len(turns))
    outputs = served.signatures["serving_default"](
        texts=tf.constant([texts]), speakers=tf.constant([[SPEAKERS[0]] * 6]), numeric=tf.constant([[1.0, 2.0]]))
    assert np.all((outputs["scores"] > 0) & (outputs["scores"] < 1))


@pytest.mark.parametrize("head", [head for head in HEADS if HEADS[head].needs_labels])
def test_heads_that_are_taught_keep_to_32_bits(head):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        made = built(HEADS[head](LABELS))
        assert {weight.dtype for weight in made.trainable_weights} == {"float32"}
        half, turns = tf.cast(FEATURES, tf.float16), tf.cast(TURNS, tf.float16)
        assert made(half, turns, PRESENT).dtype == made.taught(half, turns, PRESENT, TRUE).dtype == tf.float32
    finally:
        keras.config.set_dtype_policy("float32")


SIZES = Sizes(vocabulary_size=9, max_tokens=5, slots=2, speakers=3, numeric=1, labels=2)
ALPHA = 0.6


@pytest.fixture
def windows():
    """Three windows; the current turn of the last one is empty."""
    ids = np.array([[[3, 4, 5, 0, 0], [6, 7, 0, 0, 0]], [[8, 0, 0, 0, 0], [0] * 5], [[0] * 5, [2, 3, 0, 0, 0]]])
    lengths = np.count_nonzero(ids, axis=-1)
    return {"token_ids": tf.constant(ids, tf.int32), "turn_lengths": tf.constant(lengths, tf.int32),
            "turn_keys": tf.constant([[1, 2], [3, 0], [0, 4]], tf.int64),
            "speakers": tf.constant(np.where(lengths, 2, 0), tf.int32), "numeric": tf.constant([[0.5], [-1.0], [2.0]])}


def make_config(*settings):
    """A configuration that target replication goes with."""
    return load_config("weekly_report", None, ["embedding_dim=4", "units=3", "mask_padding=true", *settings])


def replicating(alpha=ALPHA):
    """A network with target replication, compiled."""
    keras.utils.set_random_seed(4)
    config = make_config(f"target_replication={alpha}")
    model = build_model(config, SIZES)
    compile_model(model, config, 1)
    return model


def crossentropy(labels, logits):
    """The mean over the labels of the cross-entropy, in 64 bits."""
    logits = np.asarray(logits, np.float64)
    return np.mean(np.log1p(np.exp(logits)) - logits * labels, axis=-1)


TWO_LABELS = tf.constant([[1, 0], [0, 1], [1, 1]], tf.float32)


def test_target_replication_by_hand(windows):
    model = replicating()
    outputs = model(windows, training=True)
    at_tokens = crossentropy(TWO_LABELS[:, None], outputs["token_logits"])
    at_end = crossentropy(TWO_LABELS, outputs["logits"])
    # What is told at the last token is what is told of the turn.
    np.testing.assert_allclose(at_tokens[[0, 1], [2, 0]], at_end[:2], rtol=1e-5)
    expected = [ALPHA * np.mean(at_tokens[0, :3]) + (1 - ALPHA) * at_end[0],
                ALPHA * at_tokens[1, 0] + (1 - ALPHA) * at_end[1],
                at_end[2]]
    loss = model.compute_loss(windows, TWO_LABELS, outputs)
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)
    assert np.mean(at_tokens[0, :2]) != pytest.approx(at_end[0], rel=1e-3), "tokens before the last tell something else"


def test_what_stands_at_padding_is_no_target(windows):
    model = replicating()
    loss = model.compute_loss(windows, TWO_LABELS, model(windows, training=True))
    longer = {**windows, "token_ids": windows["token_ids"] + 2 * tf.cast(windows["token_ids"] == 0, tf.int32)}
    again = model.compute_loss(longer, TWO_LABELS, model(longer, training=True))
    assert float(again) == pytest.approx(float(loss), rel=1e-6)


def test_validation_looks_at_the_last_step_alone(windows):
    model = replicating()
    expected = np.mean(crossentropy(TWO_LABELS, model(windows)["logits"]))
    assert model.evaluate(windows, TWO_LABELS, verbose=0)[0] == pytest.approx(expected, rel=1e-5)
    assert "token_logits" not in model(windows)


def test_all_of_the_loss_may_lie_at_the_tokens(windows):
    model = replicating(alpha=1.0)
    outputs = model(windows, training=True)
    at_tokens = crossentropy(TWO_LABELS[:, None], outputs["token_logits"])
    expected = [np.mean(at_tokens[0, :3]), at_tokens[1, 0], crossentropy(TWO_LABELS, outputs["logits"])[2]]
    assert float(model.compute_loss(windows, TWO_LABELS, outputs)) == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize(("settings", "message"), [
    (["encoder=bag"], "encoder=bag (allowed: "),
    (["bidirectional=true"], "bidirectional=true"),
    (["readout=mean"], "readout=mean (allowed: last)"),
    (["mask_padding=false"], "mask_padding=false"),
    (["normalization=batch"], "normalization=batch"),
    (["loss=smooth_f1"], "loss=smooth_f1"),
    (["head=chain"], "head=chain, which is taught with the labels"),
    (["readout=max", "head=chain"], "readout=max (allowed: last); head=chain, which is taught with the labels"),
])
def test_what_target_replication_does_not_go_with(settings, message):
    make_config(*settings)
    with pytest.raises(UsageError) as error:
        make_config("target_replication=0.5", *settings)
    assert str(error.value).startswith(f"target_replication: 0.5 does not go with {message}")


def test_unknown_decoder_attention_is_refused():
    with pytest.raises(UsageError, match="decoder_attention: 'dot' is unknown; allowed: additive, general"):
        make_config("decoder_attention=dot")
