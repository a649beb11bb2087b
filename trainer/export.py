"""Writes the SavedModel: raw texts in, label scores out, with the transform graph and the thresholds inside."""

import hashlib
import json
import pathlib
import shutil
import tempfile
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from schemas import data_directory, model_directory
from schemas.examples import FIRST_SPEAKER_ID, UNKNOWN_SPEAKER_ID
from schemas.exit_status import UsageError
from schemas.model_description import ASSET, ModelDescription
from trainer.decisions import Decision, read_decision
from trainer.distinct_turns import encode_by_length
from trainer.models import IntentClassifier, load_model


def export(model_dir: str | pathlib.Path, data_dir: str | pathlib.Path) -> pathlib.Path:
    """Writes `saved_model/` of a model directory, replacing one that is there.

    Signature `serving_default`: `texts` string [B, slots] (the current turn, then its history, the newest first; ""
    is an empty slot), `speakers` string [B, slots] and `numeric` float32 [B, F] (raw; NaN is a missing value) give
    `scores` float32 [B, K], `predicted` bool [B, K], `attention` float32 [B, slots - 1] and `gate` float32 [B].
    Signature `labels`: no input, gives `labels` string [K]; they are also the asset `labels.json`. The asset
    `model.json` is a `ModelDescription`.

    Args:
        model_dir: holds best.keras, config.json and evaluation/thresholds.json.
        data_dir: the data directory that the model was trained on; its transform graph becomes part of the SavedModel.

    Raises:
        UsageError: when the data directory has no transform graph, or a file of the model directory can't be read.
    """
    path = pathlib.Path(model_dir)
    described = model_directory.read_config(path)
    decision = read_decision(path)
    model = load_model(path / model_directory.BEST_MODEL)
    _make_portable(model)
    transform = load_transform(data_dir)
    target = path / model_directory.SAVED_MODEL
    with tempfile.TemporaryDirectory(prefix="tmp-saved_model-", dir=path) as temporary:
        written = pathlib.Path(temporary) / "model"
        _write(written, model, transform, described["data"], decision, pathlib.Path(temporary))
        shutil.rmtree(target, ignore_errors=True)
        written.rename(target)
    return target


def load_transform(data_dir: str | pathlib.Path):
    """The transform graph of a data directory.

    Raises:
        UsageError: when there is none.
    """
    path = pathlib.Path(data_dir) / data_directory.TRANSFORM_FN
    try:
        return tf.saved_model.load(str(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"can't load the transform graph {path}: {error}") from error


class Transform:
    """Calls a transform graph by parts: texts alone, or scalars alone.

    The graph has inputs that only its analysis needs; those, and the part that is not asked for, get zeros.
    """

    def __init__(self, loaded):
        """Wraps what `load_transform` gave."""
        self.loaded = loaded
        # The signature `serving_default` that tf.Transform writes has lost the inputs' names; the function has them.
        function = loaded.transform_fn
        self.function = function.concrete_functions[0] if hasattr(function, "concrete_functions") else function
        self.inputs = self.function.structured_input_signature[0][0]

    def token_ids(self, texts):
        """Token ids int64 [N, L], padded on the right with 0, of texts string [N]; L is what the longest needs."""
        return self._call(tf.shape(texts)[0], text=texts)["token_ids"]

    def numeric(self, raw):
        """Z-scored scalars float32 [N, F] of raw ones [N, F]; a missing value (NaN) becomes 0."""
        return self._call(tf.shape(raw)[0], numeric=raw)["numeric"] if raw.shape[1] else raw

    def _call(self, rows, **given):
        """The graph's outputs for the given inputs, zeros or "" for all others."""
        blank = {name: _blank(spec, rows) for name, spec in self.inputs.items()}
        return self.function({**blank, **given})


def _blank(spec: tf.TensorSpec, rows) -> tf.Tensor:
    """Zeros, or empty strings, of so many rows."""
    return tf.zeros(tf.concat([[rows], tf.constant(spec.shape[1:].as_list(), tf.int32)], 0), spec.dtype)


class Serving:
    """What the SavedModel computes."""

    def __init__(self, model: IntentClassifier, transform: Transform, max_tokens: int, speakers: Sequence[str],
                 decision: Decision):
        """Takes the network, the transform graph, the most tokens of a turn, the speakers and what makes labels."""
        self.model, self.transform, self.max_tokens = model, transform, max_tokens
        self.speakers = tf.constant(list(speakers), tf.string)
        self.decision = decision

    def __call__(self, texts, speakers, numeric):
        """The outputs of the signature `serving_default`; see `export`."""
        distinct, positions = tf.unique(tf.reshape(texts, [-1]))
        encoded, lengths = self.encode(distinct)
        positions = tf.reshape(positions, tf.shape(texts))
        outputs = self.model.classify(tf.gather(encoded, positions), tf.gather(lengths, positions) > 0,
                                      self.speaker_ids(speakers), self.transform.numeric(numeric))
        scores = self.decision.probabilities(outputs["scores"])
        return {"scores": scores, "predicted": scores >= self.decision.thresholds, "attention": outputs["attention"],
                "gate": outputs["gate"]}

    def speaker_ids(self, speakers):
        """Speaker ids int32 [B, S] of speakers string [B, S], as in the shards; the network itself sees empty slots."""
        # A comparison, not a table: speakers are few, and constants need no place among the assets.
        known = tf.equal(speakers[..., None], self.speakers)
        place = tf.argmax(tf.cast(known, tf.int32), axis=-1, output_type=tf.int32) if self.speakers.shape[0] else 0
        return tf.where(tf.reduce_any(known, axis=-1), FIRST_SPEAKER_ID + place, UNKNOWN_SPEAKER_ID)

    def encode(self, texts):
        """Turn vectors float32 [N, D] and lengths int32 [N] of texts string [N]."""
        ids = tf.cast(self.transform.token_ids(texts), tf.int32)[:, : self.max_tokens]
        lengths = tf.math.count_nonzero(ids, axis=1, dtype=tf.int32)
        ids = tf.pad(ids, [[0, 0], [0, self.max_tokens - tf.shape(ids)[1]]])
        return encode_by_length(self.model.encoder, ids, lengths), lengths


def _make_portable(model: IntentClassifier) -> None:
    """Keeps cuDNN's kernels out of the graph: a SavedModel made on a GPU must load where there is none."""
    for layer in model._flatten_layers():
        if hasattr(layer, "use_cudnn"):
            layer.use_cudnn = False


def _as_asset(path: pathlib.Path) -> tf.lookup.StaticHashTable:
    """A resource that carries the file into the SavedModel's assets; an ExportArchive takes no bare file."""
    return tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(
        str(path), tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE), "")


def _version(model: IntentClassifier, decision: Decision, data: dict) -> str:
    """16 hexadecimal digits of all that the scores follow from."""
    digest = hashlib.sha256(json.dumps([decision.to_json(), data["transform_sha256"]]).encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()[:16]


def _write(path: pathlib.Path, model: IntentClassifier, transform, data: dict, decision: Decision,
           scratch: pathlib.Path) -> None:
    """Writes the SavedModel; `data` is that of config.json, `scratch` a directory for the asset's source."""
    sizes = data["sizes"]
    serving = Serving(model, Transform(transform), sizes["max_tokens"], data["speakers"], decision)
    description = ModelDescription(
        _version(model, decision, data), tuple(data["labels"]), tuple(decision.thresholds.tolist()), sizes["slots"],
        data["history"], *(tuple(data[name]) for name in ("numeric_features", "speakers", "target_speakers")))
    texts = {model_directory.LABELS_ASSET: json.dumps(data["labels"], ensure_ascii=False),
             ASSET: description.to_json()}
    for name, text in texts.items():
        (scratch / name).write_text(text, "utf-8")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.track(transform)
    for name in texts:
        archive.track(_as_asset(scratch / name))
    slots, numeric = sizes["slots"], sizes["numeric"]
    signature = [tf.TensorSpec([None, slots], tf.string, "texts"), tf.TensorSpec([None, slots], tf.string, "speakers"),
                 tf.TensorSpec([None, numeric], tf.float32, "numeric")]
    archive.add_endpoint("serving_default", tf.function(serving.__call__), signature)
    labels = tf.function(lambda: {"labels": tf.constant(data["labels"])})
    archive.add_endpoint(model_directory.LABELS_SIGNATURE, labels, [])
    archive.write_out(path, verbose=False)
