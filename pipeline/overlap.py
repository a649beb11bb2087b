"""Some elements at a time in one worker: Arrow, TensorFlow and zlib let go of the interpreter while they work."""

import collections
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from pipeline import progress

# Of one bundle. Two keep both the threads and the one that hands over busy.
THREADS = 2
# Of all bundles of a process together: runners may work on any number of them at once, and an element may be large.
_pool = ThreadPoolExecutor(max(THREADS, len(os.sched_getaffinity(0))))


class OverlappedDoFn(beam.DoFn):
    """A DoFn whose `work` runs in threads; what it gives comes out in the order of the elements.

    Subclasses name their `stage` for the progress and implement `work`. Only for the global window.
    """

    stage = ""

    def work(self, *element) -> tuple[int, list]:
        """Works off one element and its side inputs.

        Returns:
            How many records it took, and all outputs.
        """
        raise NotImplementedError

    def start_bundle(self) -> None:
        """Nothing is under way."""
        self._under_way: collections.deque[Future] = collections.deque()

    def process(self, element, *side_inputs) -> Iterator:
        """Takes an element up, and gives what is done when enough are under way."""
        self._under_way.append(_pool.submit(self.work, element, *side_inputs))
        if len(self._under_way) > THREADS:
            yield from self._next()

    def finish_bundle(self) -> Iterator:
        """Gives all that is left."""
        while self._under_way:
            for output in self._next():
                if isinstance(output, TaggedOutput):
                    yield TaggedOutput(output.tag, _windowed(output.value))
                else:
                    yield _windowed(output)

    def _next(self) -> list:
        records, outputs = self._under_way.popleft().result()
        progress.advance(self.stage, records)
        return outputs


def _windowed(value) -> WindowedValue:
    return WindowedValue(value, GlobalWindow().max_timestamp(), (GlobalWindow(),))
