"""Where a training runs: on one device, on all those of a machine, or on those of several machines.

Every device takes an equal part of each batch, and its gradients are summed over all: the result is that of one device.
On several machines one process runs on each, with TF_CONFIG in its environment as TensorFlow has it, e.g.
{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}. All see the same data
directory and the same model directory, into which only the chief writes: worker 0, or the task of type `chief`.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Callable

import tensorflow as tf

from schemas.exit_status import TurnwiseError, UsageError
from trainer.input_pipeline import Share

TF_CONFIG = "TF_CONFIG"


class SeveralWorkers(tf.distribute.MultiWorkerMirroredStrategy):
    """TensorFlow's strategy for several machines, in a form that Keras can use."""

    def reduce(self, reduce_op, value, axis):
        """Reduces values over all devices, as the strategy does.

        Keras 3.15 asks for what the strategy does not know: to reduce a structure of tensors, of a whole batch, and
        the mean over axis 0 of metrics, which are scalars.
        """
        return tf.nest.map_structure(lambda part: self._reduce_one(reduce_op, part, axis), value)

    def _reduce_one(self, reduce_op, value, axis):
        """Reduces one tensor."""
        has_axis = self.experimental_local_results(value)[0].shape.rank
        return super().reduce(reduce_op, value, axis if has_axis else None)


@dataclasses.dataclass(frozen=True)
class Team:
    """Those who share a training.

    Attributes:
        strategy: creates weights and sums gradients; None for a single device.
        worker: number of this process, from 0, the chief.
        workers: number of processes.
    """

    strategy: tf.distribute.Strategy | None = None
    worker: int = 0
    workers: int = 1

    @property
    def devices(self) -> int:
        """Number of devices, over all processes."""
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what all have made."""
        return self.worker == 0

    def scope(self) -> contextlib.AbstractContextManager:
        """In it the network is made."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def dataset(self, make: Callable[[Share], tf.data.Dataset]):
        """What `fit` takes, with a number of steps; `make` gives the batches of a share of all devices."""
        if self.workers == 1:
            # Keras shares out the batches.
            return make(Share())
        local = self.devices // self.workers
        share = Share(range(self.worker * local, (self.worker + 1) * local), self.devices)
        # Endless: otherwise all processes would ask each other before every step whether there is data left.
        return self.strategy.distribute_datasets_from_function(lambda context: make(share).repeat())

    @contextlib.contextmanager
    def output_directory(self, model_dir: pathlib.Path):
        """The directory for what this process writes: the chief's is the model directory, another's is thrown away."""
        if self.is_chief:
            yield model_dir
        else:
            with tempfile.TemporaryDirectory() as scratch:
                yield pathlib.Path(scratch)

    def wait(self) -> None:
        """Returns when all processes have come here.

        Raises:
            TurnwiseError: when one of them has ended before.
        """
        if self.workers == 1:
            return
        with noticing_absence():
            self.strategy.reduce("SUM", self.strategy.run(tf.function(lambda: tf.constant(1))), axis=None)


@contextlib.contextmanager
def noticing_absence():
    """Turns what TensorFlow says when another process has ended too early into a TurnwiseError."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise TurnwiseError("another worker has ended too early; it says why. Start all again to go on") from error


def gather_team(global_batch_size: int) -> Team:
    """The devices that are there: those of TF_CONFIG, else all GPUs, else all logical CPU devices.

    With TF_CONFIG, it waits for the other processes, and nothing may have used TensorFlow's devices before.

    Raises:
        UsageError: when the batch can't be shared out evenly, or TF_CONFIG is wrong.
    """
    worker, workers = _place()
    if workers > 1:
        team = Team(SeveralWorkers(), worker, workers)
    else:
        devices = [device.name for kind in ("GPU", "CPU") for device in tf.config.list_logical_devices(kind)]
        kinds = {name.split(":")[-2] for name in devices}
        devices = [name for name in devices if "GPU" not in kinds or ":GPU:" in name]
        team = Team(tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else None)
    if global_batch_size % team.devices:
        raise UsageError(f"global_batch_size: {global_batch_size} is not divisible by the {team.devices} devices")
    return team


def _place() -> tuple[int, int]:
    """The number of this process, from 0, and how many there are.

    Raises:
        UsageError: when TF_CONFIG does not say.
    """
    text = os.environ.get(TF_CONFIG)
    if not text:
        return 0, 1
    try:
        config = json.loads(text)
        tasks = [(kind, index) for kind in ("chief", "worker")
                 for index in range(len(config["cluster"].get(kind, [])))]
        return tasks.index((config["task"]["type"], config["task"]["index"])), len(tasks)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{TF_CONFIG}: expected a cluster of workers and this one's task, got {text}") from error
