"""Composes the network from its parts, and reads it back from a file."""

import dataclasses
import pathlib

import keras
import tensorflow as tf
from keras import ops

from schemas.data_directory import Manifest
from schemas.exit_status import TurnwiseError
from trainer.attentions import ATTENTIONS
from trainer.config import Config
from trainer.distinct_turns import distinct_turns, encode_by_length
from trainer.encoders import ENCODERS
from trainer.gates import GATES
from trainer.heads import HEADS

PACKAGE = "turnwise"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What the data says about the network's shape.

    Attributes:
        vocabulary_size: number of token ids, padding included.
        max_tokens: the most tokens of a turn.
        slots: the current turn and its history.
        numeric: number of scalars.
        labels: number of labels.
    """

    vocabulary_size: int
    max_tokens: int
    slots: int
    numeric: int
    labels: int

    @classmethod
    def of(cls, manifest: Manifest) -> "Sizes":
        """The sizes of a data directory."""
        return cls(manifest.vocabulary_size, manifest.max_tokens, 1 + manifest.history_turns,
                   len(manifest.numeric_features), manifest.labels)


@keras.saving.register_keras_serializable(package=PACKAGE)
class IntentClassifier(keras.Model):
    """The memory network: u = f(x_0), m_k = f(x_k), h = attention(u, m), y = head([gate(h, u) h; u; aux]).

    A window is a dict of `token_ids` int32 [B, S, L], `turn_lengths` int [B, S], `turn_keys` int64 [B, S] and `numeric`
    float32 [B, F]. The outputs are a dict of `logits` and `scores` float32 [B, K], `attention` float32 [B, S - 1] and
    `gate` float32 [B]. Source: the weekly report.
    """

    def __init__(self, encoder, attention, gate, head, numeric: int, dropout: float = 0.0, seed: int = 0, **kwargs):
        """Composes the network and makes its weights.

        Args:
            encoder: of the family `encoders`.
            attention: of the family `attentions`.
            gate: of the family `gates`.
            head: of the family `heads`.
            numeric: number of scalars.
            dropout: share of the head's features set to zero in training.
            seed: of the dropout.
            **kwargs: of `keras.Model`.
        """
        super().__init__(**kwargs)
        self.encoder, self.attention, self.gate, self.head = encoder, attention, gate, head
        self.numeric, self.dropout_rate, self.seed = numeric, dropout, seed
        self.dropout = keras.layers.Dropout(dropout, seed=seed)
        # Built here, for loading a file must find the variables in place. Parts read from a file are built already.
        turn, features = (None, encoder.output_dim), (None, 2 * encoder.output_dim + numeric)
        for part, shape in ((encoder, (None, None)), (attention, turn), (gate, turn), (head, features)):
            if not part.built:
                part.build(shape)
        self.built = True

    def call(self, windows, training=None):
        """The outputs of a batch of windows; see the class."""
        turns = distinct_turns(windows["token_ids"], windows["turn_lengths"], windows["turn_keys"])
        encoded = encode_by_length(self.encoder, turns.token_ids, turns.lengths, training=training)
        return self.classify(tf.gather(encoded, turns.positions), windows["turn_lengths"] > 0, windows["numeric"],
                             training=training)

    def classify(self, encoded, present, numeric, training=None):
        """The outputs of encoded turns.

        Args:
            encoded: float32 [B, S, D].
            present: bool [B, S], whether the slot holds a turn.
            numeric: float32 [B, F], z-scored.
            training: whether dropout is active.
        """
        current, history = encoded[:, 0], encoded[:, 1:]
        weights, memory = self.attention(current, history, present[:, 1:])
        gate = self.gate(memory, current)
        features = ops.concatenate([gate * memory, current, numeric], axis=-1)
        logits = self.head(self.dropout(features, training=training))
        return {"logits": logits, "scores": self.head.scores(logits), "attention": weights,
                "gate": ops.mean(gate, axis=-1)}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of the logits; y is float32 [B, K]."""
        return super().compute_loss(x, y, y_pred["logits"], sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """The metrics of the scores; y is float32 [B, K]."""
        return super().compute_metrics(x, y, y_pred["scores"], sample_weight)

    def get_config(self):
        """The constructor's arguments."""
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name))
                 for name in ("encoder", "attention", "gate", "head")}
        return {**super().get_config(), **parts, "numeric": self.numeric, "dropout": self.dropout_rate,
                "seed": self.seed}

    @classmethod
    def from_config(cls, config):
        """Composes the network that `get_config` describes."""
        parts = {name: keras.saving.deserialize_keras_object(config[name])
                 for name in ("encoder", "attention", "gate", "head")}
        return cls(**{**config, **parts})


def build_model(config: Config, sizes: Sizes) -> IntentClassifier:
    """Composes the network of a configuration, with fresh weights."""
    encoder = ENCODERS[config.encoder](sizes.vocabulary_size, config.embedding_dim, config.units, config.mask_padding,
                                       config.padding, config.dropout, config.seed, name="encoder")
    attention = ATTENTIONS[config.attention](config.mask_history, name="attention")
    gate, head = GATES[config.gate](name="gate"), HEADS[config.head](sizes.labels, name="head")
    return IntentClassifier(encoder, attention, gate, head, sizes.numeric, config.dropout, config.seed + 1)


def load_model(path: str | pathlib.Path) -> IntentClassifier:
    """Reads a network from a `.keras` file, in safe mode, without its optimizer.

    Raises:
        TurnwiseError: when the file is missing or damaged.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TurnwiseError(f"can't load the model {path}: {error}") from error
