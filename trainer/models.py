"""Composes the network from its parts, and reads it back from a file."""

import dataclasses
import pathlib

import keras
import tensorflow as tf
from keras import ops

from schemas.data_directory import Manifest
from schemas.examples import EMPTY_SPEAKER_ID, FIRST_SPEAKER_ID
from schemas.exit_status import TurnwiseError, UsageError
from trainer.attentions import ATTENTIONS
from trainer.config import Config, arguments_of
from trainer.contexts import CONTEXTS
from trainer.distinct_turns import distinct_turns, encode_by_length
from trainer.embeddings import EMBEDDINGS
from trainer.encoders import ENCODERS
from trainer.gates import GATES
from trainer.heads import HEADS
from trainer.history import HistoryMemory, NoMemory
from trainer.masking import token_mask
from trainer.normalizations import NORMALIZATIONS
from trainer.readouts import READOUTS
from trainer.turn_encoder import TurnEncoder

PACKAGE = "turnwise"
PARTS = ("encoder", "context", "memory", "gate", "normalization", "head")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What the data says about the network's shape.

    Attributes:
        vocabulary_size: number of token ids, padding included.
        max_tokens: the most tokens of a turn.
        slots: the current turn and its history.
        speakers: number of speaker ids, those of empty slots and unknown speakers included.
        numeric: number of scalars.
        labels: number of labels.
    """

    vocabulary_size: int
    max_tokens: int
    slots: int
    speakers: int
    numeric: int
    labels: int

    @classmethod
    def of(cls, manifest: Manifest) -> "Sizes":
        """The sizes of a data directory."""
        return cls(manifest.vocabulary_size, manifest.max_tokens, 1 + manifest.history_turns,
                   FIRST_SPEAKER_ID + len(manifest.speakers), len(manifest.numeric_features), manifest.labels)


@keras.saving.register_keras_serializable(package=PACKAGE)
class IntentClassifier(keras.Model):
    """The memory network: u = f(x_0), m_k = f(x_k), h = memory(u, m), y = head([gate(h, u) h; u; aux]).

    A window is a dict of `token_ids` int32 [B, S, L], `turn_lengths` int [B, S], `turn_keys` int64 [B, S],
    `speakers` int32 [B, S], `numeric` float32 [B, F]. The outputs are a dict of `logits` and `scores` float32 [B, K],
    `attention` float32 [B, S - 1] and `gate` float32 [B]. Source: the weekly report.
    """

    def __init__(self, encoder, context, memory, gate, normalization, head, numeric: int, hidden_units: int = 0,
                 gate_penalty: float = 0.0, target_replication: float = 0.0, dropout: float = 0.0, seed: int = 0,
                 **kwargs):
        """Composes the network and makes its weights.

        Args:
            encoder: a `TurnEncoder`.
            context: of the family `contexts`.
            memory: a `HistoryMemory`.
            gate: of the family `gates`.
            normalization: of the family `normalizations`, of the head's features.
            head: of the family `heads`.
            numeric: number of scalars.
            hidden_units: size of a hidden layer before the head; 0 for none.
            gate_penalty: price of an open gate: times the mean gate of windows with history, it is added to the loss.
            target_replication: share alpha of the loss that is the mean over the current turn's tokens of the loss of
                the labels told from the state there; the rest is that of the last one (Lipton et al. 2016).
            dropout: share of the head's features set to zero in training.
            seed: of the dropout.
            **kwargs: of `keras.Model`.
        """
        super().__init__(**kwargs)
        self.encoder, self.context, self.memory, self.gate = encoder, context, memory, gate
        self.normalization, self.head = normalization, head
        self.numeric, self.hidden_units, self.gate_penalty = numeric, hidden_units, gate_penalty
        self.target_replication, self.dropout_rate, self.seed = target_replication, dropout, seed
        self.dropout = keras.layers.Dropout(dropout, seed=seed)
        self.hidden_dropout = keras.layers.Dropout(dropout, seed=seed + 1)
        self.hidden = keras.layers.Dense(hidden_units, "relu", name="hidden") if hidden_units else None
        self._build_parts()

    def _build_parts(self) -> None:
        """Makes the weights now, for loading a file must find them in place; parts read from a file have theirs."""
        if not self.encoder.built:
            self.encoder.build((None, None), (None,))
        size, slots = self.encoder.output_dim, self.memory.slots
        turns, turn, present = (None, slots, size), (None, size), (None, slots)
        features = (None, 2 * size + self.numeric)
        shapes = [(self.context, (turns, present)), (self.memory, (turns,)), (self.gate, (turn, turn)),
                  (self.normalization, (features,))]
        if self.hidden:
            shapes.append((self.hidden, (features,)))
            features = (None, self.hidden_units)
        shapes.append((self.head, (features, turns, present)))
        for part, given in shapes:
            if not part.built:
                part.build(*given)
        self.built = True

    def call(self, windows, training=None):
        """The outputs of a batch of windows; see the class."""
        turns = distinct_turns(windows["token_ids"], windows["turn_lengths"], windows["turn_keys"])
        if self.compiled and self.jit_compile:
            # XLA can't compile parts whose sizes follow from the data.
            encoded = self.encoder(turns.token_ids, turns.lengths, training=training)
        else:
            encoded = encode_by_length(self.encoder, turns.token_ids, turns.lengths, training=training)
        outputs = self.classify(tf.gather(encoded, turns.positions), windows["turn_lengths"] > 0, windows["speakers"],
                                windows["numeric"], training=training)
        if training and self.target_replication:
            outputs["token_logits"] = self._token_logits(windows, outputs)
        return outputs if training or self.head.needs_labels else public_outputs(outputs)

    def classify(self, encoded, present, speakers, numeric, training=None):
        """The outputs of encoded turns, and what the loss needs beside them.

        Args:
            encoded: float32 [B, S, D].
            present: bool [B, S], whether the slot holds a turn.
            speakers: int32 [B, S].
            numeric: float32 [B, F], z-scored.
            training: whether dropout is active.
        """
        speakers = ops.where(present, speakers, EMPTY_SPEAKER_ID)
        turns = self.context(encoded, present)
        weights, memory = self.memory(turns, present, speakers)
        current = turns[:, 0]
        gate = self.gate(memory, current)
        if training and self.gate_penalty:
            self.add_loss(self.gate_penalty * _mean_gate(gate, present))
        features = self._features(gate * memory, current, numeric, training)
        logits = self.head(features, turns, present)
        return {"logits": ops.cast(logits, "float32"), "scores": self.head.scores(logits), "attention": weights,
                "gate": ops.cast(ops.mean(gate, axis=-1), "float32"), "features": features, "turns": turns,
                "present": present, "gated": gate * memory}

    def _features(self, gated, current, numeric, training):
        """What the head sees, [B, features], of gated memory and current turn [B, D] and scalars [B, F]."""
        numeric = ops.cast(numeric, current.dtype)
        features = self.normalization(ops.concatenate([gated, current, numeric], axis=-1))
        features = self.dropout(features, training=training)
        return features if self.hidden is None else self.hidden_dropout(self.hidden(features), training=training)

    def _token_logits(self, windows, outputs):
        """Logits told from the state at each token of the current turn, float32 [B, L, K]; the memory is the turn's."""
        lengths = windows["turn_lengths"][:, 0]
        length = ops.maximum(ops.max(lengths), 1)
        states = self.encoder.states(windows["token_ids"][:, 0, :length], lengths, training=True)
        numeric, gated = (ops.repeat(values[:, None], length, axis=1)
                          for values in (windows["numeric"], outputs["gated"]))
        features = self._features(gated, states, numeric, True)
        return ops.cast(self.head(features, outputs["turns"], outputs["present"]), "float32")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of the logits; y is float32 [B, K]."""
        logits = y_pred["logits"]
        if self.head.needs_labels:
            logits = self.head.taught(y_pred["features"], y_pred["turns"], y_pred["present"], y)
        if "token_logits" in y_pred:
            y, logits, sample_weight = self._replicated(y, logits, y_pred["token_logits"], x["turn_lengths"][:, 0])
        return super().compute_loss(x, y, logits, sample_weight, training)

    def _replicated(self, labels, logits, token_logits, lengths):
        """Labels, logits and weights of windows, then of their tokens; their weighted mean is the replicated loss.

        A window whose current turn is empty has no tokens: all of its loss is that of the window.
        """
        alpha, length = self.target_replication, ops.shape(token_logits)[1]
        # The loss is a mean over all rows, of which there are 1 + L a window.
        rows = ops.cast(1 + length, "float32")
        present = ops.cast(token_mask(token_logits, lengths), "float32")
        share = present / ops.cast(ops.maximum(lengths, 1), "float32")[:, None]
        weights = ops.concatenate([ops.where(lengths > 0, 1.0 - alpha, 1.0), alpha * ops.reshape(share, (-1,))])
        repeated = ops.repeat(labels, length, axis=0)
        flat = ops.reshape(token_logits, (-1, self.head.labels))
        return ops.concatenate([labels, repeated]), ops.concatenate([logits, flat]), weights * rows

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """The metrics of the scores; y is float32 [B, K]."""
        return super().compute_metrics(x, y, y_pred["scores"], sample_weight)

    def get_config(self):
        """The constructor's arguments."""
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in PARTS}
        return {**super().get_config(), **parts, "numeric": self.numeric, "hidden_units": self.hidden_units,
                "gate_penalty": self.gate_penalty, "target_replication": self.target_replication,
                "dropout": self.dropout_rate, "seed": self.seed}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes the network that `get_config` describes."""
        parts = {name: keras.saving.deserialize_keras_object(config[name], custom_objects) for name in PARTS}
        return cls(**{**config, **parts})


def public_outputs(outputs: dict) -> dict:
    """The outputs that a batch of windows has for everyone; see `IntentClassifier`."""
    return {name: outputs[name] for name in ("logits", "scores", "attention", "gate")}


def _mean_gate(gate, present):
    """The mean gate over the windows with history, of gates [B, 1] or [B, D] and bool [B, slots]."""
    has_history = ops.cast(ops.any(present[:, 1:], axis=1), "float32")
    gates = ops.mean(ops.cast(gate, "float32"), axis=-1)
    return ops.sum(gates * has_history) / ops.maximum(ops.sum(has_history), 1.0)


def build_model(config: Config, sizes: Sizes) -> IntentClassifier:
    """Composes the network that the configuration names, with fresh weights.

    Raises:
        UsageError: when sizes do not go together.
    """
    try:
        return _composed(config, sizes)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _composed(config: Config, sizes: Sizes) -> IntentClassifier:
    """The network; a ValueError says which sizes do not go together."""
    embedding = _part(EMBEDDINGS[config.embedding], config, sizes, name="embedding")
    reader = _part(ENCODERS[config.encoder], config, sizes, name="reader")
    readout = _part(READOUTS[config.readout], config, sizes, backward_dim=reader.backward_dim, name="readout")
    encoder = _part(TurnEncoder, config, sizes, embedding=embedding, reader=reader, readout=readout, name="encoder")
    memory = NoMemory(name="memory")
    if sizes.slots > 1:
        score = ATTENTIONS[config.attention](name="score")
        memory = _part(HistoryMemory, config, sizes, score=score, name="memory")
    context, gate = CONTEXTS[config.context](name="context"), GATES[config.gate](name="gate")
    normalization = NORMALIZATIONS[config.normalization](name="normalization")
    head = _part(HEADS[config.head], config, sizes, name="head")
    return _part(IntentClassifier, config, sizes, encoder=encoder, context=context, memory=memory, gate=gate,
                 normalization=normalization, head=head, seed=config.seed + 100)


def _part(part, config: Config, sizes: Sizes, name: str | None = None, **given):
    """Makes a part: an argument of its constructor is what is given, or a size or setting of that name."""
    return part(name=name, **arguments_of(part, config, **{**dataclasses.asdict(sizes), **given}))


def load_model(path: str | pathlib.Path) -> IntentClassifier:
    """Reads a network from a `.keras` file, in safe mode, without its optimizer.

    Raises:
        TurnwiseError: when the file is missing or damaged.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TurnwiseError(f"can't load the model {path}: {error}") from error
