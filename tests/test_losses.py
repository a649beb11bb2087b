"""Losses against figures worked out by hand or given by the sources."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas import data_directory
from schemas.data_directory import LabelCounts
from schemas.exit_status import UsageError
from tests.data_directories import small_data_directory
from trainer.config import load_config
from trainer.losses import (
    LOSSES,
    AsymmetricLoss,
    BinaryCrossentropy,
    FocalLoss,
    Hinge,
    SequenceCrossentropy,
    SmoothF1,
    WeightedBinaryCrossentropy,
    label_sequence,
    make_loss,
    positive_weights,
)

COUNTS = LabelCounts(10, (5, 1, 0))


def logit(probability):
    return np.log(probability / (1 - probability))


def make(name, *settings):
    """The loss of a configuration."""
    head = ["head=sequence"] if name == "sequence_crossentropy" else []
    return make_loss(load_config("weekly_report", None, [f"loss={name}", *head, *settings]), COUNTS)


def test_binary_crossentropy_has_the_minus_sign():
    # -[1 log 0.8 + (1 - 0) log(1 - 0.4)] / 2
    expected = -(math.log(0.8) + math.log(0.6)) / 2
    value = BinaryCrossentropy()(np.array([[1.0, 0.0]]), logit(np.array([[0.8, 0.4]])))
    assert float(value) == pytest.approx(expected, rel=1e-6)
    assert expected > 0


def test_binary_crossentropy_is_the_stable_form_of_tensorflow():
    logits = np.array([[-1000.0, -3.0, 0.0], [2.5, 40.0, 1000.0]], np.float32)
    labels = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], np.float32)
    expected = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    np.testing.assert_allclose(BinaryCrossentropy(reduction=None)(labels, logits), np.mean(expected, -1), rtol=1e-6)
    assert float(BinaryCrossentropy()(labels[:1, :1], logits[:1, :1])) == 1000.0


def test_binary_crossentropy_is_the_weekly_reports_away_from_the_ends():
    random = np.random.default_rng(0)
    probabilities, labels = random.uniform(0.01, 0.99, (8, 4)), random.integers(0, 2, (8, 4)).astype(float)
    expected = keras.losses.BinaryCrossentropy()(labels, probabilities)
    assert float(BinaryCrossentropy()(labels, logit(probabilities))) == pytest.approx(float(expected), rel=1e-5)


def test_smoothed_labels_lie_nearer_to_a_half():
    # s = 0.2: the targets of 1 and 0 are 0.9 and 0.1.
    labels, logits = np.array([[1.0, 0.0]]), logit(np.array([[0.8, 0.4]]))
    positive = -(0.9 * math.log(0.8) + 0.1 * math.log(0.2))
    negative = -(0.1 * math.log(0.4) + 0.9 * math.log(0.6))
    value = BinaryCrossentropy(label_smoothing=0.2)(labels, logits)
    assert float(value) == pytest.approx((positive + negative) / 2, rel=1e-6)
    for same in (FocalLoss(0.0, label_smoothing=0.2), AsymmetricLoss(0.0, 0.0, label_smoothing=0.2),
                 WeightedBinaryCrossentropy([1.0, 1.0], label_smoothing=0.2)):
        assert float(same(labels, logits)) == pytest.approx(float(value), rel=1e-6)


def test_weighted_binary_crossentropy():
    # -[3 log 0.8 + log(1 - 0.4)] / 2: the second label's weight is of its positives alone.
    labels, logits = np.array([[1.0, 0.0]]), logit(np.array([[0.8, 0.4]]))
    value = WeightedBinaryCrossentropy([3.0, 5.0])(labels, logits)
    assert float(value) == pytest.approx(-(3 * math.log(0.8) + math.log(0.6)) / 2, rel=1e-6)
    random = np.random.default_rng(1)
    logits, labels = random.normal(0, 5, (8, 3)).astype(np.float32), random.integers(0, 2, (8, 3)).astype(np.float32)
    expected = tf.nn.weighted_cross_entropy_with_logits(labels, logits, np.array([1, 2, 9], np.float32))
    value = WeightedBinaryCrossentropy([1.0, 2.0, 9.0], reduction=None)(labels, logits)
    np.testing.assert_allclose(value, np.mean(expected, -1), rtol=1e-5)


def test_class_weights_are_a_positive_weight():
    # Class weights {0: 0.5, 1: 4} as (4 - 0.5) t + 0.5 are 0.5 times a positive weight of 8.
    labels, logits = np.array([[1.0], [0.0], [1.0]], np.float32), np.array([[0.3], [-0.7], [2.0]], np.float32)
    weights = 3.5 * labels + 0.5
    expected = np.mean(weights * tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))
    assert 0.5 * float(WeightedBinaryCrossentropy([8.0])(labels, logits)) == pytest.approx(expected, rel=1e-6)


def test_positive_weights_are_negatives_over_positives_within_limits():
    counts = LabelCounts(100, (50, 10, 2, 0, 90))
    assert positive_weights(counts, 20.0) == [1.0, 9.0, 20.0, 20.0, 1.0]
    assert make("weighted_binary_crossentropy", "positive_weight_limit=4").positive_weights == [1.0, 4.0, 4.0]


def test_label_counts_of_a_data_directory(tmp_path):
    manifest = small_data_directory(tmp_path / "data", transform=False)
    counts = data_directory.read_label_counts(tmp_path / "data", manifest)
    assert counts.windows == manifest.books.windows["train"] > max(counts.labels) >= min(counts.labels) > 0
    (tmp_path / "data" / data_directory.LABELS).write_text(json.dumps({"labels": ["a"]}))
    with pytest.raises(UsageError, match="can't read the label counts in .*labels.json: 'train_counts'"):
        data_directory.read_label_counts(tmp_path / "data", manifest)


def test_focal():
    # Of a positive told with 0.9: (1 - 0.9)^2 * -log 0.9; of a negative told with 0.9: 0.9^2 * -log(1 - 0.9).
    expected = (0.01 * 0.1053605 + 0.81 * 2.3025851) / 2
    value = FocalLoss(2.0)(np.array([[1.0, 0.0]]), logit(np.array([[0.9, 0.9]])))
    assert float(value) == pytest.approx(expected, rel=1e-5)
    random = np.random.default_rng(2)
    logits, labels = random.normal(0, 3, (8, 3)).astype(np.float32), random.integers(0, 2, (8, 3)).astype(np.float32)
    theirs = keras.losses.BinaryFocalCrossentropy(gamma=1.5, from_logits=True)(labels, logits)
    assert float(FocalLoss(1.5)(labels, logits)) == pytest.approx(float(theirs), rel=1e-4)


def test_asymmetric():
    # Positive at 0.6, exponent 1: 0.4 * -log 0.6; negative at 0.3, exponent 2: 0.3^2 * -log 0.7.
    labels, logits = np.array([[1.0, 0.0]]), logit(np.array([[0.6, 0.3]]))
    value = AsymmetricLoss(focal_gamma=2.0, focal_gamma_positive=1.0)(labels, logits)
    assert float(value) == pytest.approx((0.4 * 0.5108256 + 0.09 * 0.3566749) / 2, rel=1e-5)
    assert float(AsymmetricLoss(3.0, 3.0)(labels, logits)) == pytest.approx(float(FocalLoss(3.0)(labels, logits)))


def test_smooth_f1_is_the_textbooks():
    # 2 (0.9 + 0.6 + 0.4) / (3 + 2.1) = 0.745098
    labels, logits = np.array([[1.0], [0.0], [1.0], [1.0]]), logit(np.array([[0.9], [0.2], [0.6], [0.4]]))
    values = SmoothF1(reduction=None)(labels, logits)
    np.testing.assert_allclose(values, [1 - 0.745098] * 4, atol=1e-6)
    assert float(SmoothF1(epsilon=1.0)(labels, logits)) == pytest.approx(1 - (3.8 + 1) / (5.1 + 1), rel=1e-6)


def test_smooth_f1_is_a_mean_over_the_labels_that_are_there():
    # First label: 2 * 0.5 / (1 + 1) = 0.5. Second: no positive, scores 0.5: 0. Third: no positive, no score: not there.
    labels = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    logits = np.array([[0.0, 0.0, -1e3], [0.0, 0.0, -1e3]])
    assert float(SmoothF1()(labels, logits)) == pytest.approx(1 - (0.5 + 0.0) / 2, rel=1e-6)
    assert float(SmoothF1()(labels[1:], logits[1:] - 1e3)) == 1.0


def test_hinge():
    # max(1 - 0.5, 0) = 0.5, max(1 - 2, 0) = 0, max(1 + 0.3, 0) = 1.3
    value = Hinge()(np.array([[1.0, 0.0, 0.0]]), np.array([[0.5, -2.0, 0.3]]))
    assert float(value) == pytest.approx((0.5 + 0.0 + 1.3) / 3, rel=1e-6)
    labels, logits = np.eye(3), np.random.default_rng(3).normal(0, 2, (3, 3))
    assert float(Hinge()(labels, logits)) == pytest.approx(float(keras.losses.Hinge()(labels, logits)), rel=1e-6)


def test_labels_in_order_then_the_end():
    steps = label_sequence(np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], np.float32), 4)
    assert np.argmax(steps, -1).tolist() == [[0, 2, 3, 0], [3, 0, 0, 0], [0, 1, 2, 3]]
    assert np.sum(steps, -1).tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]


def one_step(probabilities):
    """Logits of two steps [B, 2, 3]: probabilities float [B, 3] first, then a sure end."""
    first = np.log(np.array(probabilities, np.float32))
    return np.stack([first, np.full_like(first, -1e3) + [0, 0, 1e3]], axis=1)


def test_sequence_crossentropy_of_one_label_is_the_textbooks_crossentropy():
    # Target [0, 1, 0], prediction [.228, .619, .153]: 0.47965.
    value = SequenceCrossentropy()(np.array([[0.0, 1.0]]), one_step([[0.228, 0.619, 0.153]]))
    assert float(value) == pytest.approx(0.47965, abs=1e-5)
    # Targets [1, 0, 0], [0, 1, 0], [0, 0, 1], the third the end: 0.0945899.
    probabilities = [[0.9, 0.05, 0.05], [0.05, 0.89, 0.06], [0.05, 0.01, 0.94]]
    value = SequenceCrossentropy()(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), one_step(probabilities))
    assert float(value) == pytest.approx(0.0945899, abs=1e-6)


def test_sequence_crossentropy_is_the_likelihood_of_the_label_set():
    steps = np.log(np.array([[[0.5, 0.3, 0.2], [0.1, 0.7, 0.2], [0.3, 0.3, 0.4]]] * 2, np.float32))
    values = SequenceCrossentropy(reduction=None)(np.array([[1.0, 1.0], [0.0, 0.0]]), steps)
    np.testing.assert_allclose(values, [-math.log(0.5 * 0.7 * 0.4), -math.log(0.2)], rtol=1e-6)


def logits_for(name, value):
    """Logits of five windows of three labels, alternating in sign."""
    shape = (5, 3, 4) if name == "sequence_crossentropy" else (5, 3)
    return tf.Variable(value * (-1.0) ** np.arange(np.prod(shape)).reshape(shape), dtype=tf.float32)


LABELS = np.array([[1.0, 0.0, 1.0]] * 5, np.float32)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls_towards_the_labels_and_can_be_written_down(name):
    loss, logits = make(name), logits_for(name, 0.0)
    with tf.GradientTape() as tape:
        value = loss(LABELS, logits)
    gradient = tape.gradient(value, logits)
    towards = label_sequence(LABELS, 3) if name == "sequence_crossentropy" else LABELS
    assert np.all(np.sign(gradient) == 1 - 2 * towards)
    config = loss.get_config()
    assert type(loss).from_config(config).get_config() == config
    again = keras.losses.deserialize(json.loads(json.dumps(keras.losses.serialize(loss))))
    assert again.get_config() == config
    assert float(again(LABELS, logits)) == float(value)
    assert type(loss).from_config({**config, "reduction": None})(LABELS, logits).shape == (5,)


@pytest.mark.parametrize("value", [-1e3, -30.0, 0.0, 30.0, 1e3])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_finite_with_finite_gradients(name, value):
    logits = logits_for(name, value)
    with tf.GradientTape() as tape:
        loss = make(name)(LABELS, logits)
    assert loss.dtype == tf.float32
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_losses_take_their_settings():
    assert make("focal", "focal_gamma=3", "label_smoothing=0.1").get_config().items() >= {
        "focal_gamma": 3.0, "label_smoothing": 0.1}.items()
    assert make("asymmetric", "focal_gamma=4", "focal_gamma_positive=1").get_config().items() >= {
        "focal_gamma": 4.0, "focal_gamma_positive": 1.0}.items()
    assert make("weighted_binary_crossentropy", "label_smoothing=0.1").label_smoothing == 0.1


@pytest.mark.parametrize(("settings", "message"), [
    (["head=sequence"], "head=sequence and loss=sequence_crossentropy go together, and with nothing else; got "
                        "head=sequence and loss=binary_crossentropy"),
    (["loss=sequence_crossentropy", "head=chain"], "got head=chain and loss=sequence_crossentropy"),
    (["loss=hinge", "label_smoothing=0.1"], "label_smoothing: 0.1 means nothing to loss=hinge"),
    (["loss=smooth_f1", "label_smoothing=0.1"], "label_smoothing: 0.1 means nothing to loss=smooth_f1"),
    (["loss=sequence_crossentropy", "head=sequence", "label_smoothing=0.1"], "label_smoothing: 0.1 means nothing to"),
])
def test_what_does_not_go_together(settings, message):
    with pytest.raises(UsageError) as error:
        load_config("weekly_report", None, settings)
    assert message in str(error.value)
