"""A SavedModel for Beam's RunInference: loaded once a process, shared by its threads."""

import concurrent.futures
import functools
import os
import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from pipeline.scoring import TextWindows, answers, batches, joined
from pipeline.turns import from_ipc
from schemas.exit_status import UsageError
from schemas.model_description import ASSET, ModelDescription
from schemas.model_directory import SAVED_MODEL, SAVED_MODEL_FILE

# TensorFlow uses the cores within one batch too, but not all of the time.
THREADS = 2
# Of all bundles of a process together: runners may work on any number of them at once, and a bucket may be large.
_pool = concurrent.futures.ThreadPoolExecutor(THREADS)
_buckets = threading.BoundedSemaphore(THREADS)
OUTPUTS = ("scores", "predicted", "attention", "gate")


class SavedModelHandler(ModelHandler[tuple[int, bytes], PredictionResult, Callable]):
    """Scores buckets: an example is (bucket, `scoring_columns` as IPC bytes), its inference `Answers`.

    Beam's own TensorFlow handler loads Keras models and feeds one tensor; these SavedModels take three.

    Args:
        path: of the SavedModel.
        description: of it.
        target_speakers: whose turns are scored.
        batch_windows: windows at a time.
    """

    def __init__(self, path: str, description: ModelDescription, target_speakers: tuple[str, ...], batch_windows: int):
        super().__init__()
        self._path = path
        self._description = description
        self._target_speakers = target_speakers
        self._batch_windows = batch_windows

    def load_model(self) -> Callable:
        """Loads the SavedModel."""
        return load(self._path, self._description.version)

    def run_inference(
        self, batch: Sequence[tuple[int, bytes]], model: Callable, inference_args: dict | None = None
    ) -> Iterable[PredictionResult]:
        """Scores every window of some buckets."""
        for bucket, columns in batch:
            with _buckets:
                windows = TextWindows(from_ipc(columns), self._description, self._target_speakers)
                parts = _pool.map(
                    lambda part, windows=windows: answers(model, windows, part),
                    batches(len(windows.targets), self._batch_windows),
                )
                scored = joined(list(parts))
            yield PredictionResult((bucket, windows), scored, self._description.version)

    def batch_elements_kwargs(self) -> dict[str, int]:
        """A bucket is batch enough."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_num_bytes(self, batch: Sequence[tuple[int, bytes]]) -> int:
        """The size of some buckets; Beam would pickle them to know it."""
        return sum(len(columns) for _, columns in batch)

    def get_metrics_namespace(self) -> str:
        """Where Beam's own counters of inference stand."""
        return "turnwise"


def find_saved_model(model_dir: str) -> str:
    """The SavedModel of a model directory, or the directory itself if it is one.

    A link on this machine is followed here, once: it may be moved to another model before a worker loads this one.

    Raises:
        UsageError: when no filesystem knows such a path.
    """
    try:
        model_dir = os.path.realpath(model_dir) if os.path.islink(model_dir) else model_dir
        inside = FileSystems.join(model_dir, SAVED_MODEL)
        return inside if FileSystems.exists(FileSystems.join(inside, SAVED_MODEL_FILE)) else model_dir
    except (BeamIOError, OSError, ValueError) as error:
        raise UsageError(f"can't read --model_dir {model_dir}: {error}") from error


def read_description(path: str) -> ModelDescription:
    """What a SavedModel says of itself.

    Raises:
        UsageError: when it can't be read.
    """
    asset = FileSystems.join(path, "assets", ASSET)
    try:
        with FileSystems.open(asset) as file:
            return ModelDescription.from_json(file.read().decode("utf-8"))
    except (BeamIOError, OSError, ValueError) as error:
        raise UsageError(f"--model_dir {path} holds no SavedModel of this product: {error}") from error


@functools.lru_cache(maxsize=1)
def load(path: str, version: str) -> Callable:
    """Loads a SavedModel, or gives the one that was loaded last.

    Args:
        path: of the SavedModel.
        version: of the model there.

    Returns:
        A function from the signature's inputs, arrays, to its outputs, arrays.

    Raises:
        UsageError: when it can't be loaded.
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(path)
        serve = loaded.signatures["serving_default"]
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UsageError(f"can't load the SavedModel {path}: {error}") from error

    def call(texts: np.ndarray, speakers: np.ndarray, numeric: np.ndarray) -> dict[str, np.ndarray]:
        outputs = serve(texts=tf.constant(texts, tf.string), speakers=tf.constant(speakers, tf.string),
                        numeric=tf.constant(numeric, tf.float32))
        return {name: outputs[name].numpy() for name in OUTPUTS}

    # What holds the variables must live as long as the signature.
    call.loaded = loaded
    return call
