"""Starts a training from the weights of an earlier model, whose vocabulary, labels and speakers may be others.

Rows that stand for a token, a label or a speaker are carried over by name; all other weights as they are.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from schemas import data_directory, model_directory
from schemas.data_directory import Manifest
from schemas.examples import FIRST_SPEAKER_ID, UNKNOWN_SPEAKER_ID
from schemas.exit_status import UsageError
from trainer.config import Config
from trainer.models import IntentClassifier, Sizes, build_model, load_model
from trainer.word_vectors import read_texts, read_vocabulary

# The asset of the SavedModel that holds the vocabulary.
VOCABULARY = f"{model_directory.SAVED_MODEL}/assets/{pathlib.PurePath(data_directory.VOCABULARY_ASSET).name}"
KINDS = ("vocabulary_size", "labels", "speakers")


@dataclasses.dataclass(frozen=True)
class Source:
    """The earlier model.

    Attributes:
        weights: of its network, in Keras' order.
        words: the text of each token id.
        labels: names in order.
        speakers: names of the ids from `FIRST_SPEAKER_ID` on.
        numeric_features: names of the scalars.
    """

    weights: list[np.ndarray]
    words: list[str]
    labels: list[str]
    speakers: list[str]
    numeric_features: list[str]


def read_source(model_dir: str | pathlib.Path) -> Source:
    """Reads what `carry_over` needs of a model directory.

    Raises:
        UsageError: when it is no completed model directory, or damaged.
        TurnwiseError: when best.keras can't be loaded.
    """
    path = model_directory.require_completed(model_dir)
    try:
        data = model_directory.read_config(path)["data"]
        words = read_vocabulary(path / VOCABULARY, data["sizes"]["vocabulary_size"])
        names = [data[key] for key in ("labels", "speakers", "numeric_features")]
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path / model_directory.CONFIG} lacks the data of the training: {error}") from error
    return Source(load_model(path / model_directory.BEST_MODEL).get_weights(), words, *names)


def warm_start(model: IntentClassifier, source: Source, config: Config, data_dir: str | pathlib.Path,
               manifest: Manifest) -> None:
    """Gives a fresh network for a data directory the weights of an earlier one; says how much of it is known.

    Labels that the data directory's label map has renamed are known by their new names; where two were merged, the new
    one starts from the first.

    Raises:
        UsageError: when the networks differ in more than their tokens, labels and speakers.
    """
    renamed = data_directory.read_label_map(data_dir)
    source = dataclasses.replace(source, labels=[renamed.get(label, label) for label in source.labels])
    if list(manifest.numeric_features) != source.numeric_features:
        raise UsageError(f"warm_start: that model has the scalars {', '.join(source.numeric_features)}, the data "
                         f"{', '.join(manifest.numeric_features)}; they must be the same")
    words = read_texts(data_dir, manifest.vocabulary_size)
    labels = data_directory.read_labels(data_dir)
    carry_over(model, source, config, Sizes.of(manifest), words, labels, list(manifest.speakers))
    print(f"warm start: {len(set(words[1:-1]) & set(source.words)):,} of {len(words) - 2:,} words and "
          f"{len(set(labels) & set(source.labels))} of {len(labels)} labels are known")


def carry_over(model: IntentClassifier, source: Source, config: Config, sizes: Sizes, words: Sequence[str],
               labels: Sequence[str], speakers: Sequence[str]) -> None:
    """Gives a fresh network the weights of an earlier one.

    A token that the earlier model did not know starts as its unknown word, a speaker as its unknown speaker; a label
    keeps its fresh weights.

    Args:
        model: with fresh weights.
        source: the earlier model.
        config: of both networks.
        sizes: of the fresh one.
        words: the text of each of its token ids.
        labels: its labels, in order.
        speakers: names of its speaker ids from `FIRST_SPEAKER_ID` on.

    Raises:
        UsageError: when the networks differ in more than those rows.
    """
    rows = {
        "vocabulary_size": _token_rows(source.words, words),
        "labels": _rows(source.labels, labels, 0, None),
        "speakers": _rows(source.speakers, speakers, FIRST_SPEAKER_ID, UNKNOWN_SPEAKER_ID),
    }
    fresh = model.get_weights()
    if len(fresh) != len(source.weights):
        raise UsageError(f"warm_start: that network has {len(source.weights)} weights, this one {len(fresh)}; the "
                         "settings must be the same")
    names = [weight.path.split("/", 1)[-1] for weight in model.weights]
    each = zip(names, fresh, source.weights, _kinds(model, config, sizes), strict=True)
    model.set_weights([_carried(*weight, rows) for weight in each])
    if list(words) != list(source.words):
        for layer in model._flatten_layers():
            if hasattr(layer, "forget_token_ids"):
                layer.forget_token_ids()


def _kinds(model: IntentClassifier, config: Config, sizes: Sizes) -> list[list[str | None]]:
    """What each axis of each weight counts: a name of `KINDS`, or None for what does not follow from the data.

    Found by building the network for data that have one more of each: whatever part it is made of, the axes that grow
    are those.
    """
    kinds: list[list[str | None]] = [[None] * len(weight.shape) for weight in model.weights]
    for kind in KINDS:
        larger = build_model(config, dataclasses.replace(sizes, **{kind: getattr(sizes, kind) + 1}))
        for axes, weight, other in zip(kinds, model.weights, larger.weights, strict=True):
            for axis, (size, grown) in enumerate(zip(weight.shape, other.shape, strict=True)):
                if size != grown:
                    axes[axis] = kind
    return kinds


def _carried(name: str, fresh: np.ndarray, old: np.ndarray, kinds: Sequence[str | None],
             rows: Mapping[str, tuple[np.ndarray, np.ndarray, int, int]]) -> np.ndarray:
    """A weight with all that the old one knows."""
    if fresh.ndim != old.ndim:
        raise UsageError(f"warm_start: {name} has {old.ndim} axes there and {fresh.ndim} here; the settings must be "
                         "the same")
    targets, sources = [], []
    for axis, kind in enumerate(kinds):
        new_size, old_size = fresh.shape[axis], old.shape[axis]
        if kind is None:
            if new_size != old_size:
                raise UsageError(f"warm_start: {name} has the shape {old.shape} there and {fresh.shape} here; the "
                                 "settings must be the same")
            target = source = np.arange(new_size)
        else:
            target, source, new_count, old_count = rows[kind]
            # What a part counts beside the names, an end token say, stands behind them.
            more = np.arange(new_size - new_count)
            target = np.concatenate([target, new_count + more])
            source = np.concatenate([source, old_count + more])
        targets.append(target)
        sources.append(source)
    if not kinds:
        return old
    carried = fresh.copy()
    carried[np.ix_(*targets)] = old[np.ix_(*sources)]
    return carried


def _token_rows(old: Sequence[str], new: Sequence[str]):
    """Rows of token ids: the first is padding, the last an unknown word."""
    targets, sources, *_ = _rows(old[1:-1], new[1:-1], 1, len(old) - 1)
    return np.append(targets, len(new) - 1), np.append(sources, len(old) - 1), len(new), len(old)


def _rows(old: Sequence[str], new: Sequence[str], first: int, unknown: int | None):
    """(New rows, the old rows that they start from, number of new rows, of old rows).

    Args:
        old, new: names.
        first: the row of the first name; the rows before it stand for the same in both.
        unknown: the old row that a new name starts from; None for none.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(old, first):
        places.setdefault(name, place)
    pairs = [(row, row) for row in range(first)]
    for row, name in enumerate(new, first):
        source = places.get(name, unknown)
        if source is not None:
            pairs.append((row, source))
    targets, sources = np.array(pairs, np.int64).reshape(-1, 2).T
    return targets, sources, first + len(new), first + len(old)
