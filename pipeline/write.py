"""Shards and rejects to files, each made aside and renamed into place."""

import contextlib
import gzip
import hashlib
import io
import json
import tempfile
import uuid
import zlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import tensorflow as tf
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.turns import Reject
from schemas.data_directory import SPLITS, Shard, shard_name

# The fastest: windows repeat each turn up to six times, so that higher levels cost twice the time for 5 % of the size.
GZIP_LEVEL = 1
GZIP_WBITS = 31
PACK_BYTES = 4 << 20


def write_shard(directory: str, split: int, bucket: int, buckets: int, chunks: Iterable[pa.LargeBinaryArray]) -> Shard:
    """Writes one shard: made aside, then renamed into place."""
    name = shard_name(SPLITS[split], bucket, buckets)
    records = 0
    with tempfile.NamedTemporaryFile(suffix=".tfrecord") as local:
        # Records are only framed one by one. Packing them in large blocks lets other threads work meanwhile.
        with tf.io.TFRecordWriter(local.name) as writer:
            for chunk in chunks:
                for record in chunk.to_pylist():
                    writer.write(record)
                records += len(chunk)
        digest = hashlib.sha256()
        with atomic_file(FileSystems.join(directory, name)) as target:
            packer = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WBITS)
            while block := local.read(PACK_BYTES):
                _write_both(packer.compress(block), target, digest)
            _write_both(packer.flush(), target, digest)
    return Shard(name, SPLITS[split], records, digest.hexdigest())


def _write_both(data: bytes, file, digest) -> None:
    file.write(data)
    digest.update(data)


@contextlib.contextmanager
def atomic_file(path: str) -> Iterator[io.BufferedIOBase]:
    """A file of any Beam filesystem, written aside and renamed into place when all went well."""
    aside = f"{path}.{uuid.uuid4().hex}.part"
    try:
        with FileSystems.create(aside, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield file
    except BaseException:
        FileSystems.delete([aside])
        raise
    FileSystems.rename([aside], [path])


def write_rejects(path: str, rejects: list[Reject], files: list[str]) -> None:
    """Writes rejects as gzipped JSON Lines, ordered by file and position.

    Args:
        path: of the file.
        rejects: what to write.
        files: path of each input file, by its number.
    """
    with atomic_file(path) as raw, gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:
        for reject in sorted(rejects, key=_reject_order):
            row = {"file": files[reject.source], "position": reject.position, "nested": reject.nested}
            row |= {"reason": reject.reason, "content": reject.content}
            if reject.size is not None:
                row["content_bytes"] = reject.size
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def _reject_order(reject: Reject) -> tuple:
    return reject.source, reject.position, reject.nested, reject.reason, reject.content
