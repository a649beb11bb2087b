"""The memory: what of the history matters for the current turn."""

import keras
from keras import ops

from trainer.masking import masked_softmax

PACKAGE = "turnwise"


@keras.saving.register_keras_serializable(package=PACKAGE)
class HistoryMemory(keras.layers.Layer):
    """Weights p = softmax_k(score(u, m_k)) of the history, and the memory h = sum_k p_k m_k.

    - A turn's slot and speaker, when asked for, are learnt vectors added to m_k, for score and sum alike.
    - More heads than one score and sum projections of u and m_k, each its share of the numbers (Vaswani et al. 2017).
    - With several hops, the next one asks with u + h (Sukhbaatar et al. 2015); the memory is the sum of what all found.
    - The null slot has a learnt key and a value of zeros: weight on it says that nothing in the history matters.
    - With `mask_history`, empty slots get weight 0, and a window without any history gets weights and memory of zeros;
      otherwise empty slots compete with whatever vector they have, as in the weekly report (without history all weights
      are equal).
    """

    def __init__(self, score, slots: int, speakers: int, attention_heads: int = 1, hops: int = 1,
                 slot_position: bool = False, slot_speaker: bool = False, null_slot: bool = False,
                 mask_history: bool = True, **kwargs):
        """Makes the memory.

        Args:
            score: of the family `attentions`.
            slots: the current turn and its history.
            speakers: number of speaker ids.
            attention_heads: one scores the vectors as they are; more have projections and must divide the size.
            hops: times that the history is looked up.
            slot_position: add a vector a slot.
            slot_speaker: add a vector a speaker, to the current turn as well.
            null_slot: add the null slot.
            mask_history: give empty slots no weight.
            **kwargs: of `keras.layers.Layer`.
        """
        super().__init__(**kwargs)
        self.score, self.slots, self.speakers = score, slots, speakers
        self.attention_heads, self.hops = attention_heads, hops
        self.slot_position, self.slot_speaker, self.null_slot = slot_position, slot_speaker, null_slot
        self.mask_history = mask_history
        self.projections = {}

    def build(self, turns_shape):
        """Makes the weights for turns of shape [B, slots, D]."""
        size, heads = turns_shape[-1], self.attention_heads
        if size % heads:
            raise ValueError(f"attention_heads: {heads} does not divide the size of a turn's vector, {size}")
        if self.slot_position:
            self.position_table = self.add_weight(shape=(self.slots - 1, size), initializer="random_uniform",
                                                  name="positions")
        if self.slot_speaker:
            # Zeros: a speaker that training never showed adds nothing.
            self.speaker_table = self.add_weight(shape=(self.speakers, size), initializer="zeros", name="speakers")
        if heads > 1:
            names = ("query", *["key"] * self.score.reads_keys, "value", "memory")
            self.projections = {name: keras.layers.Dense(size, use_bias=False, name=name) for name in names}
            for layer in self.projections.values():
                layer.build(turns_shape)
        if self.null_slot and self.score.reads_keys:
            self.null_key = self.add_weight(shape=(heads, size // heads), initializer="random_uniform", name="null_key")
        if not self.score.built:
            keys = self.slots - 1 + self.null_slot
            self.score.build((None, heads, size // heads), (None, heads, keys, size // heads))
        self.built = True

    def call(self, turns, present, speakers):
        """Looks up the history.

        Args:
            turns: float32 [B, slots, D], the current turn u and its history m_k, the newest first.
            present: bool [B, slots], whether the slot holds a turn.
            speakers: int32 [B, slots], speaker ids, 0 for an empty slot.

        Returns:
            The weights float32 [B, slots - 1], in the mean over heads and hops, and the memory float32 [B, D].
        """
        current, history = self._tagged(turns, speakers)
        values = self._heads(history, "value")
        keys = self._heads(history, "key") if self.score.reads_keys else values
        total, weights = ops.zeros_like(current), 0.0
        for _ in range(self.hops):
            found = self._weights(self._heads(current + total, "query"), keys, present[:, 1:])
            memory = ops.einsum("bph,bphd->bpd", ops.cast(found, values.dtype), values)
            total = total + self._joined(memory)
            weights = weights + ops.mean(found, axis=1) / self.hops
        return weights, total

    def _tagged(self, turns, speakers):
        """The current turn [B, D] and the history [B, H, D], with what their slots and speakers add."""
        current, history = turns[:, 0], turns[:, 1:]
        if self.slot_position:
            history = history + ops.cast(self.position_table, history.dtype)
        if self.slot_speaker:
            who = ops.cast(ops.take(self.speaker_table, speakers, axis=0), turns.dtype)
            current, history = current + who[:, 0], history + who[:, 1:]
        return current, history

    def _heads(self, vectors, name: str):
        """Vectors [B, D] or [B, H, D] projected and shared out: [B, P, D / P] or [B, P, H, D / P]."""
        if not self.projections:
            return vectors[:, None]
        size = vectors.shape[-1] // self.attention_heads
        shape = (-1, *vectors.shape[1:-1], self.attention_heads, size)
        return ops.moveaxis(ops.reshape(self.projections[name](vectors), shape), -2, 1)

    def _joined(self, memory):
        """What the heads found, [B, P, D / P], as one vector [B, D]."""
        joined = ops.reshape(memory, (-1, memory.shape[1] * memory.shape[2]))
        return self.projections["memory"](joined) if self.projections else joined

    def _weights(self, query, keys, present):
        """Weights float32 [B, P, H] of queries [B, P, D / P], keys [B, P, H, D / P] and bool [B, H]."""
        mask = present[:, None] if self.mask_history else ops.ones_like(present[:, None])
        if self.null_slot:
            keys = self._with_null(keys)
            mask = ops.concatenate([mask, ops.ones_like(mask[..., :1])], axis=-1)
        weights = masked_softmax(self.score(query, keys), mask)
        return weights[..., :-1] if self.null_slot else weights

    def _with_null(self, keys):
        """Keys [B, P, H, D / P] and the null slot's after them."""
        null = ops.zeros_like(keys[:, :, :1])
        if self.score.reads_keys:
            null = null + ops.cast(self.null_key, keys.dtype)[None, :, None]
        return ops.concatenate([keys, null], axis=2)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "score": keras.saving.serialize_keras_object(self.score), "slots": self.slots,
                "speakers": self.speakers, "attention_heads": self.attention_heads, "hops": self.hops,
                "slot_position": self.slot_position, "slot_speaker": self.slot_speaker, "null_slot": self.null_slot,
                "mask_history": self.mask_history}

    @classmethod
    def from_config(cls, config):
        """Makes the memory that `get_config` describes."""
        return cls(**{**config, "score": keras.saving.deserialize_keras_object(config["score"])})


@keras.saving.register_keras_serializable(package=PACKAGE)
class NoMemory(keras.layers.Layer):
    """The memory of windows without history slots: no weights, and a memory of zeros."""

    slots = 1

    def build(self, turns_shape):
        """Makes nothing."""
        self.built = True

    def call(self, turns, present, speakers):
        """Weights float32 [B, 0] and memory float32 [B, D] of turns float32 [B, 1, D]."""
        return ops.zeros_like(turns[:, 0, :0]), ops.zeros_like(turns[:, 0])
