"""Small SavedModels made by hand, and the predictions that `score` writes with them."""

import gzip
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet

from pipeline.__main__ import main
from schemas.model_description import ASSET, ModelDescription

LABELS = ("long", 'scalar "<b>"\n,', "取消")
DERIVED = ("turn_index", "seconds_since_previous_turn")
FAILING, NOT_A_NUMBER = "explode", "not a number"


def description(**changed):
    """What the model by hand says of itself."""
    values = {
        "version": "0123456789abcdef",
        "labels": LABELS,
        "thresholds": (0.2, 0.5, 0.3),
        "slots": 4,
        "history": "all",
        "numeric_features": DERIVED,
        "speakers": ("user", "agent"),
        "target_speakers": ("user",),
    }
    return ModelDescription(**values | changed)


def write_model(path, said=None, fails=f"({FAILING})"):
    """Writes a SavedModel that tells by its scores what it was given.

    Scores: of `LABELS`, a hundredth of the current text's bytes; the last scalar, 0.5 where it is missing; the share of
    slots that agents hold. Attention: a hundredth of each history text's bytes. Gate: the share of slots that users
    hold. It fails for a current text that matches `fails` and says NaN to `NOT_A_NUMBER`.
    """
    import tensorflow as tf

    said = said or description()
    path.mkdir(parents=True)
    asset = path.parent / f"{path.name}-assets" / ASSET
    asset.parent.mkdir()
    asset.write_text(said.to_json(), "utf-8")

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
            initializer = tf.lookup.TextFileInitializer(str(asset), tf.int64, number, tf.string, whole)
            self.asset = tf.lookup.StaticHashTable(initializer, "")

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, said.slots], tf.string, "texts"),
                tf.TensorSpec([None, said.slots], tf.string, "speakers"),
                tf.TensorSpec([None, len(said.numeric_features)], tf.float32, "numeric"),
            ]
        )
        def serve(self, texts, speakers, numeric):
            bad = tf.strings.regex_full_match(texts[:, 0], fails)
            with tf.control_dependencies([tf.debugging.Assert(~tf.reduce_any(bad), ["a text that it can't take"])]):
                sizes = tf.cast(tf.strings.length(texts), tf.float32) / 100
            sizes = tf.where(texts == NOT_A_NUMBER, float("nan"), sizes)
            scalar = tf.where(tf.math.is_nan(numeric[:, -1]), 0.5, numeric[:, -1])
            share = {name: tf.reduce_mean(tf.cast(speakers == name, tf.float32), 1) for name in ("user", "agent")}
            scores = tf.stack([sizes[:, 0], scalar, share["agent"]], 1)
            predicted = scores >= tf.constant(said.thresholds)
            return {"scores": scores, "predicted": predicted, "attention": sizes[:, 1:], "gate": share["user"]}

    model = Model()
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.serve})
    return path


def score(source, model, directory, *flags):
    """Runs `score` in this process and gives its exit status."""
    command = ["score", "--input", source, "--model_dir", model, "--output_dir", directory, *flags]
    return main([str(argument) for argument in command])


def scored(source, model, directory, *flags):
    """The predictions directory of a log."""
    assert score(source, model, directory, *flags) == 0
    return directory


def predictions(directory):
    """All predictions, in the order of the shards."""
    return [row for path in sorted(directory.glob("predictions-*")) for row in read_shard(path)]


def read_shard(path: pathlib.Path):
    """The rows of a shard of any format."""
    if path.suffix == ".parquet":
        table = pyarrow.parquet.read_table(path)
        return [row | {"scores": dict(row["scores"])} for row in table.to_pylist()]
    if path.suffix == ".gz":
        data = gzip.decompress(path.read_bytes())
    elif path.suffix == ".zst":
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
            data = stream.read()
    else:
        data = path.read_bytes()
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def shard_bytes(directory):
    """{name: bytes} of the shards."""
    return {path.name: path.read_bytes() for path in directory.glob("predictions-*")}
