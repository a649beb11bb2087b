"""Windows: the current turn and its history, as indices into the turns of a bucket."""

import numpy as np

EMPTY = -1


def previous_turns(conversations: np.ndarray, speakers: np.ndarray | None = None) -> np.ndarray:
    """The turn before each turn.

    Args:
        conversations: number of each turn's conversation [T]; turns lie by conversation, in order.
        speakers: number of each turn's speaker [T], where only turns of the same speaker count; else None.

    Returns:
        Index of the turn before, int64 [T]; `EMPTY` where there is none.
    """
    if speakers is None:
        order, keys = np.arange(len(conversations)), (conversations,)
    else:
        order = np.lexsort((speakers, conversations))
        keys = (conversations[order], speakers[order])
    follows = np.ones(len(order), bool)
    follows[:1] = False
    for key in keys:
        follows[1:] &= key[1:] == key[:-1]
    previous = np.full(len(order), EMPTY, np.int64)
    previous[order[follows]] = order[np.flatnonzero(follows) - 1]
    return previous


def window_slots(targets: np.ndarray, previous: np.ndarray, history_turns: int) -> np.ndarray:
    """The turns in the slots of each window.

    Args:
        targets: index of each window's current turn [N].
        previous: from `previous_turns` [T].
        history_turns: history slots of a window.

    Returns:
        Indices of turns, int64 [N, 1 + history_turns]: slot 0 is the current turn, slot k the turn k before it, `EMPTY`
        where the conversation has no more.
    """
    previous = np.append(previous, EMPTY)  # so that the turn before EMPTY, at index -1, is EMPTY
    slots = np.full((len(targets), 1 + history_turns), EMPTY, np.int64)
    slots[:, 0] = targets
    for k in range(1, 1 + history_turns):
        slots[:, k] = previous[slots[:, k - 1]]
    return slots
