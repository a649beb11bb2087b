"""Finds the distinct turns of a batch, so that each is encoded once.

Neighbouring windows share all turns but one, and people say "yes, thanks" a lot: a batch holds several times fewer
distinct turns than slots. Encoding those and gathering gives the outputs and gradients of encoding every slot.
"""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class DistinctTurns:
    """The distinct turns of a batch.

    Attributes:
        token_ids: int32 [N, L'], a row a distinct turn, padded on the right with 0.
        lengths: int32 [N], their tokens; 0 for the empty turn.
        positions: int32 [B, S], the row of each slot's turn.
    """

    token_ids: tf.Tensor
    lengths: tf.Tensor
    positions: tf.Tensor


def distinct_turns(token_ids, turn_lengths, turn_keys, *, crop: bool) -> DistinctTurns:
    """Finds the distinct turns of a batch, in the order in which they first appear.

    Args:
        token_ids: int32 [B, S, L], padded on the right with 0.
        turn_lengths: int [B, S], tokens of each slot.
        turn_keys: int64 [B, S], equal for equal turns; 0 for an empty slot.
        crop: cut the padding that the longest distinct turn does not need; at least one position stays.
    """
    keys, positions = tf.unique(tf.reshape(turn_keys, [-1]))
    slots = tf.size(positions)
    first = tf.math.unsorted_segment_min(tf.range(slots), positions, tf.size(keys))
    ids = tf.gather(tf.reshape(token_ids, [-1, tf.shape(token_ids)[2]]), first)
    lengths = tf.cast(tf.gather(tf.reshape(turn_lengths, [-1]), first), tf.int32)
    if crop:
        ids = crop_padding(ids, lengths)
    return DistinctTurns(ids, lengths, tf.reshape(positions, tf.shape(turn_keys)))


def crop_padding(token_ids, lengths):
    """Cuts the columns of token_ids int32 [N, L] beyond the longest of lengths int32 [N]; at least one column stays."""
    longest = tf.maximum(tf.reduce_max(lengths), 1)
    return token_ids[:, :longest]
