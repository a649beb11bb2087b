"""Windows of a bucket as a SavedModel takes them, and its answers."""

import dataclasses
import re
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.analyse import scalar_columns, scalar_values
from pipeline.conversations import CONVERSATION, Conversations
from pipeline.turns import NUMERIC_PREFIX
from pipeline.windows import previous_turns, window_slots
from schemas.model_description import ModelDescription
from schemas.turn_log import DERIVED_NUMERIC

# Of an error's text, which may show the graph's whole stack.
MAX_REASON = 2000
# TensorFlow numbers functions as it loads them.
FUNCTION_NUMBER = re.compile(r"\[Op:[^\]]*\]")
PLACE = ("source", "position", "nested")


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a model says of N windows.

    Attributes:
        scores: float32 [N, K].
        predicted: bool [N, K].
        attention: float32 [N, H].
        gate: float32 [N].
        failures: {window: why it has no answer}; its row in the other arrays means nothing.
    """

    scores: np.ndarray
    predicted: np.ndarray
    attention: np.ndarray
    gate: np.ndarray
    failures: dict[int, str]


def numeric_columns(description: ModelDescription) -> tuple[str, ...]:
    """The columns of the turn log that a model wants beside those that every log has."""
    return tuple(name for name in description.numeric_features if name not in DERIVED_NUMERIC)


def scoring_columns(conversations: Conversations, numeric_features: tuple[str, ...]) -> pa.Table:
    """The columns that the windows of a bucket are made of, turn by turn in order."""
    turns = conversations.turns.combine_chunks()
    return pa.table(
        {
            CONVERSATION: turns[CONVERSATION],
            "conversation_id": pa.DictionaryArray.from_arrays(
                pa.array(turns[CONVERSATION].to_numpy()), conversations.ids
            ),
            "turn_index": turns["turn_index"],
            "speaker": turns["speaker"].combine_chunks().dictionary_encode(),
            "text": turns["text"].combine_chunks().dictionary_encode(),
            "labels": turns["labels"],
            **{name: turns[name] for name in PLACE},
            **scalar_columns(turns, numeric_features),
        }
    )


def target_turns(columns: pa.Table, target_speakers: tuple[str, ...]) -> np.ndarray:
    """The turns of the target speakers, int64 [N] indices into `scoring_columns`."""
    speaker = columns["speaker"].combine_chunks()
    wanted = pc.is_in(speaker.dictionary, pa.array(target_speakers, pa.string()))
    return np.flatnonzero(wanted.take(speaker.indices).to_numpy(zero_copy_only=False))


class TextWindows:
    """The windows of a bucket's turns of the target speakers, in order.

    Args:
        columns: from `scoring_columns`.
        description: of the model.
        target_speakers: whose turns are scored.
    """

    def __init__(self, columns: pa.Table, description: ModelDescription, target_speakers: tuple[str, ...]):
        self._columns = columns
        self.description = description
        speaker, text = (columns[name].combine_chunks() for name in ("speaker", "text"))
        self.targets = target_turns(columns, target_speakers)
        same = speaker.indices.to_numpy() if description.history == "same_speaker" else None
        self._previous = previous_turns(columns[CONVERSATION].to_numpy(), same)
        # The last entry is an empty slot's.
        self._texts, self._text_codes = _words(text)
        self._speakers, self._speaker_codes = _words(speaker)

    def inputs(self, windows: slice) -> dict[str, np.ndarray]:
        """What the signature takes: `texts` and `speakers` bytes [n, slots] as objects, `numeric` float32 [n, F]."""
        targets = self.targets[windows]
        slots = window_slots(targets, self._previous, self.description.slots - 1)
        numeric = scalar_values(self._columns, self.description.numeric_features, targets)
        return {
            "texts": self._texts[self._text_codes[slots]],
            "speakers": self._speakers[self._speaker_codes[slots]],
            "numeric": numeric.astype(np.float32),
        }

    def truth(self) -> pa.ListArray:
        """The labels that the log has for each window; null where it has none."""
        return self._columns["labels"].take(pa.array(self.targets)).combine_chunks()

    def ids(self) -> pa.Table:
        """`conversation_id` (dictionary), `turn_index` and the place in the input of each window."""
        return self._columns.select(["conversation_id", "turn_index", *PLACE]).take(pa.array(self.targets))

    def rows(self, windows: list[int]) -> list[dict]:
        """The turns of some windows as the log has them."""
        names = ["conversation_id", "turn_index", "speaker", "text", "labels"]
        scalars = [name for name in self._columns.column_names if name.startswith(NUMERIC_PREFIX)]
        taken = self._columns.select([*names, *scalars]).take(pa.array(self.targets[windows], pa.int64()))
        return [{name.removeprefix(NUMERIC_PREFIX): value for name, value in row.items()} for row in taken.to_pylist()]


def _words(column: pa.DictionaryArray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values as bytes, with b"" at the end, and the number of each row's; -1 is the end's."""
    values = np.array([*column.dictionary.cast(pa.binary()).to_pylist(), b""], object)
    return values, np.append(column.indices.to_numpy(), len(values) - 1)


def answers(model: Callable, windows: TextWindows, batch: slice) -> Answers:
    """What a model says of a batch; one that fails is cut in two until the bad windows are alone.

    Args:
        model: from the signature's inputs to its outputs, arrays.
        windows: of a bucket.
        batch: which of them.
    """
    size = batch.stop - batch.start
    if not size:
        return Answers(*_blank(windows, 0), {})
    try:
        outputs = model(**windows.inputs(batch))
    except Exception as error:  # whatever the model's graph may raise: one turn must not stop an archive's scoring
        if size > 1:
            middle = batch.start + size // 2
            return joined([answers(model, windows, half) for half in
                           (slice(batch.start, middle), slice(middle, batch.stop))])
        return Answers(*_blank(windows, 1), {0: _reason(error)})
    values = [outputs[name] for name in ("scores", "predicted", "attention", "gate")]
    finite = np.isfinite(np.column_stack([outputs["scores"], outputs["attention"], outputs["gate"]])).all(axis=1)
    return Answers(*values, dict.fromkeys(np.flatnonzero(~finite).tolist(), "the model's answer is no finite number"))


def _reason(error: Exception) -> str:
    """An error on one line, the same whenever it comes."""
    return " ".join(FUNCTION_NUMBER.sub("", f"{type(error).__name__}: {error}").split())[:MAX_REASON]


def joined(parts: list[Answers]) -> Answers:
    """The answers of batches that follow each other."""
    failures, first = {}, 0
    for part in parts:
        failures |= {first + window: reason for window, reason in part.failures.items()}
        first += len(part.gate)
    names = ("scores", "predicted", "attention", "gate")
    return Answers(*(np.concatenate([getattr(part, name) for part in parts]) for name in names), failures)


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` over so many windows; an empty one when there are none."""
    for start in range(0, max(count, 1), size):
        yield slice(start, min(start + size, count))


def _blank(windows: TextWindows, count: int) -> list[np.ndarray]:
    """The arrays of so many windows without an answer."""
    labels, history = len(windows.description.labels), windows.description.slots - 1
    return [
        np.zeros((count, labels), np.float32),
        np.zeros((count, labels), bool),
        np.zeros((count, history), np.float32),
        np.zeros(count, np.float32),
    ]
