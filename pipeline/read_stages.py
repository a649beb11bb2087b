"""What both Beam jobs do with turn logs: read them in parts, and write what is rejected."""

import itertools
import operator
from collections import Counter
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import TaggedOutput

from pipeline import progress
from pipeline.buckets import partition
from pipeline.files import FilePart, SourceFile
from pipeline.overlap import OverlappedDoFn
from pipeline.read import read_turns
from pipeline.turns import Reading, Reject
from pipeline.write import write_rejects
from schemas.data_directory import REJECTED

REJECTS, COUNTS = "rejects", "counts"
PART_BYTES = 32 << 20
# Rejects of a file are sorted on one worker: so many bytes of input for each file of rejects.
REJECT_SHARD_BYTES = 1 << 30


class ReadTurns(OverlappedDoFn):
    """File parts to (bucket, turns as IPC bytes); `rejects` to (number of the file, rejects); `counts` to facts.

    Args:
        reading: how files are read.
        buckets: how many there are.
    """

    stage = "read"

    def __init__(self, reading: Reading, buckets: int):
        self._reading = reading
        self._buckets = buckets

    def process(self, part: FilePart) -> Iterator:
        """Reads one part; a file that could not be cut may be of any size, so what it gives goes on block by block."""
        if part.end is not None:
            yield from super().process(part)
            return
        records = 0
        for read, outputs in self._blocks(part):
            records += read
            yield from outputs
        progress.advance(self.stage, records)

    def work(self, part: FilePart) -> tuple[int, list]:
        """Reads one part at once."""
        blocks = list(self._blocks(part))
        return sum(read for read, _ in blocks), [output for _, outputs in blocks for output in outputs]

    def _blocks(self, part: FilePart) -> Iterator[tuple[int, list]]:
        for turns, rejects in read_turns(part, self._reading):
            counts = TaggedOutput(COUNTS, {"books": {"turns_read": turns.num_rows}})
            yield turns.num_rows, [counts, *partition(turns, self._buckets), *rejected(rejects)]


def rejected(rejects: list[Reject], read: bool = True) -> list[TaggedOutput]:
    """Rejects of one file, and their counts; `read` where they are not yet counted as read."""
    if not rejects:
        return []
    reasons = dict(Counter(reject.reason for reject in rejects))
    counts = {"books": {"turns_read": len(rejects) if read else 0}, "rejected": reasons}
    return [TaggedOutput(REJECTS, (rejects[0].source, rejects)), TaggedOutput(COUNTS, counts)]


def rejected_by_file(rejects: list[Reject]) -> list[TaggedOutput]:
    """Rejects of any files, which were counted as read before, and their counts."""
    of_file = operator.attrgetter("source")
    groups = itertools.groupby(sorted(rejects, key=of_file), of_file)
    return [output for _, found in groups for output in rejected(list(found), read=False)]


def write_all_rejects(rejects: tuple, files: list[SourceFile], directory: str) -> None:
    """Groups rejects by file, so that each is in order in one file of rejects."""
    count = 1 + sum(file.size for file in files) // REJECT_SHARD_BYTES
    paths = [
        FileSystems.join(directory, REJECTED, f"{REJECTED}-{n:05d}-of-{count:05d}.jsonl.gz") for n in range(count)
    ]
    names = [file.path for file in files]

    def write(shard: int, found: Iterable[list[Reject]]) -> None:
        write_rejects(paths[shard], list(itertools.chain.from_iterable(found)), names)

    every_shard = rejects[0].pipeline | "RejectShards" >> beam.Create([(n, []) for n in range(count)])
    _ = (
        (*rejects, every_shard)
        | "AllRejects" >> beam.Flatten()
        | "RejectShard" >> beam.MapTuple(lambda source, found: (source % count, found))
        | "ByRejectShard" >> beam.GroupByKey()
        | "WriteRejects" >> beam.MapTuple(write)
    )
