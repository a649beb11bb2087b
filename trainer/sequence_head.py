"""The head that writes a window's labels one after another."""

import keras
import tensorflow as tf
from keras import ops

from trainer.attentions import ATTENTIONS
from trainer.head import Head
from trainer.losses import label_sequence
from trainer.masking import MASKED_SCORE, masked_softmax

PACKAGE = "turnwise"
# A score of 0 or 1 that only rounding made keeps a finite logit.
TINY = 1e-12


@keras.saving.register_keras_serializable(package=PACKAGE)
class SequenceHead(Head):
    """The decoder of an encoder-decoder: writes the window's labels, in the order of labels.json, then an end token.

    s_0 = tanh(V x) of the features x; at each step c_t = sum_j a_tj h_j over the window's turns h_j that are present,
    a_t = softmax_j(score(s_{t-1}, h_j)); s_t = GRU([e(y_{t-1}); c_t], s_{t-1}), e(y_0) = 0; p_t = softmax(W [s_t; c_t]
    + b) over the end and the labels behind the one written last: no label comes twice, and a label set is written in
    one way only. Training writes the true labels (teacher forcing), else the most probable one is written. Source: the
    textbook (10.1, 11.5), Bahdanau et al. 2015 (`additive`), Luong et al. 2015 (`general`).

    A label's score is the chance that it is written, if every writing that has not come to it yet goes on as the most
    probable one does: sum_t r_t(k) p_t(k), r_1(k) = 1, r_{t+1}(k) = r_t(k) sum_{j<k} p_t(j). That is never more than
    1 - prod_t (1 - p_t(k)), which counts on steps that come after the end or after a label behind k.

    All of it is in float32, whatever the mixed precision: it is little, and probabilities multiply up.
    """

    needs_labels = True

    def __init__(self, labels: int, decoder_attention: str = "additive", **kwargs):
        """Makes the head of `labels` labels; `decoder_attention` names the score of the family `attentions`."""
        kwargs.setdefault("dtype", "float32")
        super().__init__(labels, **kwargs)
        # Its steps are as many as the labels at hand ask for; XLA wants to know before.
        self.supports_jit = False
        self.decoder_attention = decoder_attention
        self.score = ATTENTIONS[decoder_attention](dtype="float32", name="score")
        self.writer = keras.layers.Dense(labels + 1, dtype="float32", name="writer")

    def build(self, features_shape, turns_shape=None, present_shape=None):
        """Makes the weights for features of shape [B, features] and turns of shape [B, slots, D]."""
        slots, size = turns_shape[1:]
        self.start = keras.layers.Dense(size, "tanh", dtype="float32", name="start")
        self.cell = keras.layers.GRUCell(size, dtype="float32", name="cell")
        self.label_table = self.add_weight(shape=(self.labels, size), initializer="random_uniform", name="labels")
        self.start.build(features_shape)
        self.score.build((None, 1, size), (None, 1, slots, size))
        self.cell.build((None, 2 * size))
        self.writer.build((None, 2 * size))
        self.built = True

    def call(self, features, turns, present):
        """Logits float32 [B, labels] of features float32 [B, features]: those of the scores; see the class."""
        state = self.start(features)
        none = ops.zeros((ops.shape(state)[0], self.labels))

        def goes_on(last, state, done, *_):
            return ops.any(done < 1)

        def write(last, state, done, ahead, written, missed):
            logits, state = self._step(last, state, turns, present)
            # After the end, all is left as it is.
            chances = ops.softmax(logits) * (1.0 - done)
            sooner = tf.cumsum(chances, axis=-1, exclusive=True)[:, :-1]
            later = tf.cumsum(chances, axis=-1, exclusive=True, reverse=True)[:, :-1]
            chosen = ops.one_hot(ops.argmax(logits, axis=-1), self.labels + 1) * (1.0 - done)
            return (chosen[:, :-1], state, done + chosen[:, -1:], ahead * (sooner + done),
                    written + ahead * chances[:, :-1], missed + ahead * later)

        values = (none, state, none[:, :1], none + 1.0, none, none)
        _, _, _, ahead, written, missed = ops.while_loop(goes_on, write, values, maximum_iterations=self.labels + 1)
        # Not log(1 - written): where the score is almost 1, the other sum tells by how much.
        return ops.log(written + TINY) - ops.log(missed + ahead + TINY)

    def taught(self, features, turns, present, labels):
        """Logits float32 [B, T, labels + 1] of what comes next, the end last, when the true labels are written.

        T is one more than the most labels of a window; after a window's end, its logits mean nothing.
        """
        features, turns = (ops.cast(values, "float32") for values in (features, turns))
        # A replica may be left without a window.
        steps = 1 + ops.cast(ops.max(ops.sum(labels, axis=-1), initial=0.0), "int32")
        before = ops.pad(label_sequence(labels, steps)[:, :-1, :-1], ((0, 0), (1, 0), (0, 0)))

        def step(carried, last):
            return self._step(last, carried[1], turns, present)

        state = self.start(features)
        none = ops.zeros((ops.shape(state)[0], self.labels + 1))
        logits, _ = tf.scan(step, ops.moveaxis(before, 1, 0), (none, state))
        return ops.moveaxis(logits, 0, 1)

    def _step(self, last, state, turns, present):
        """Logits of what comes next, float32 [B, labels + 1], and the next state.

        Args:
            last: the label written last, one-hot float32 [B, labels]; zeros at the start.
            state: float32 [B, D].
            turns: float32 [B, slots, D].
            present: bool [B, slots].
        """
        weights = masked_softmax(self.score(state[:, None], turns[:, None])[:, 0], present)
        context = ops.einsum("bs,bsd->bd", weights, turns)
        inputs = ops.concatenate([ops.matmul(last, self.label_table), context], axis=-1)
        state, _ = self.cell(inputs, [state])
        logits = self.writer(ops.concatenate([state, context], axis=-1))
        # The labels up to the one written last can't come any more.
        closed = ops.flip(ops.cumsum(ops.flip(last, axis=-1), axis=-1), axis=-1)
        return ops.where(ops.pad(closed, ((0, 0), (0, 1))) > 0, MASKED_SCORE, logits), state

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "decoder_attention": self.decoder_attention}
