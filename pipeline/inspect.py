"""`inspect`: windows of a shard as a person reads them, and a data directory checked against its manifest."""

import argparse
import gzip
import itertools
import pathlib
import zlib
from collections.abc import Iterator

from schemas import data_directory
from schemas.data_directory import Manifest, Shard, read_labels, read_manifest, sha256_of
from schemas.examples import EMPTY_SPEAKER_ID, FIRST_SPEAKER_ID, parsing_spec
from schemas.exit_status import DataRefused, UsageError
from schemas.quiet_import import import_module
from schemas.visible_text import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `inspect`."""
    parser.add_argument("path", help="a shard, or a data directory (its first train shard is shown)")
    parser.add_argument("--records", type=int, default=5, help="windows to show (default 5)")
    parser.add_argument("--skip", type=int, default=0, help="windows to pass over first")
    parser.add_argument("--verify", action="store_true", help="check every file against the manifest instead")


def run(args: argparse.Namespace) -> None:
    """Runs `inspect` with parsed flags.

    Raises:
        UsageError: when the path is not there, no shard of a data directory and no data directory.
        DataRefused: when `--verify` finds a difference.
    """
    path = pathlib.Path(args.path)
    if not path.exists():
        raise UsageError(f"{path} is not there")
    directory = path if path.is_dir() else path.parent
    manifest = read_manifest(directory)
    import_module("tensorflow", args.verbose)
    if args.verify:
        problems = differences(directory, manifest)
        if problems:
            raise DataRefused(f"{directory} differs from its manifest: {'; '.join(problems)}")
        records = sum(shard.records for shard in manifest.shards)
        print(
            f"{directory}: {len(manifest.shards)} shards with {records:,} records and the books are as in the manifest"
        )
        return
    shard = shard_at(path, manifest)
    window_texts = show(directory, manifest, shard)
    print(f"{shard.name}: {shard.records:,} windows")
    for text in itertools.islice(window_texts, args.skip, args.skip + args.records):
        print(f"\n{text}")


def shard_at(path: pathlib.Path, manifest: Manifest) -> Shard:
    """The shard of a path; of a directory, its first train shard with records.

    Raises:
        UsageError: when the manifest has no such shard.
    """
    if path.is_dir():
        filled = [shard for shard in manifest.shards_of("train") if shard.records]
        return (filled or manifest.shards_of("train"))[0]
    for shard in manifest.shards:
        if shard.name == path.name:
            return shard
    raise UsageError(f"{path} is no shard of {path.parent}: its manifest lists {manifest.shards[0].name} and so on")


def show(directory: pathlib.Path, manifest: Manifest, shard: Shard) -> Iterator[str]:
    """The windows of a shard as text: labels, scalars, and each slot's speaker and tokens."""
    import tensorflow as tf

    tokens = (directory / data_directory.VOCABULARY_ASSET).read_text("utf-8").split("\n")[:-1]
    words = ["", *tokens, "[unknown]"]
    speakers = {EMPTY_SPEAKER_ID: "", **dict(enumerate(manifest.speakers, FIRST_SPEAKER_ID))}
    labels = read_labels(directory)
    spec = parsing_spec(manifest.sizes)
    for record in tf.data.TFRecordDataset(str(directory / shard.name), compression_type="GZIP"):
        window = {name: value.numpy() for name, value in tf.io.parse_single_example(record, spec).items()}
        conversation = visible(window["conversation_id"].decode("utf-8"))
        present = [visible(label) for label, there in zip(labels, window["labels"], strict=True) if there]
        scalars = zip(manifest.numeric_features, window["numeric"], strict=True)
        lines = [
            f"conversation {conversation}  turn {window['turn_index']}",
            f"  labels   {', '.join(present) or '(none)'}",
            f"  scalars  {', '.join(f'{name} {value:+.2f}' for name, value in scalars)}",
        ]
        ends = window["turn_lengths"].cumsum()
        for slot, (length, end) in enumerate(zip(window["turn_lengths"], ends, strict=True)):
            if window["speakers"][slot] == EMPTY_SPEAKER_ID:
                lines.append(f"  -{slot}  (no turn)")
                continue
            text = " ".join(words[token] for token in window["token_ids"][end - length : end])
            speaker = visible(speakers.get(window["speakers"][slot], "[unknown speaker]"))
            lines.append(f"  {f'-{slot}' if slot else ' 0'}  {speaker}: {visible(text)}")
        yield "\n".join(lines)


def count_lines(path: pathlib.Path) -> int:
    """The lines of a gzipped file."""
    with gzip.open(path) as file:
        return sum(1 for _ in file)


def differences(directory: pathlib.Path, manifest: Manifest) -> list[str]:
    """What differs between a data directory and its manifest: files, counts, hashes, books; each in words."""
    import tensorflow as tf

    problems = list(manifest.books.imbalances())
    listed = {shard.name for shard in manifest.shards}
    there = {path.name for path in directory.glob("*.tfrecord.gz")}
    problems += [f"{name} is not in the manifest" for name in sorted(there - listed)]
    problems += [f"{name} is missing" for name in sorted(listed - there)]
    for shard in manifest.shards:
        if shard.name not in there:
            continue
        if sha256_of(directory / shard.name) != shard.sha256:
            problems.append(f"{shard.name} has another sha256")
        try:
            dataset = tf.data.TFRecordDataset(str(directory / shard.name), compression_type="GZIP")
            records = int(dataset.reduce(0, lambda count, _: count + 1))
        except tf.errors.OpError:
            problems.append(f"{shard.name} can't be read to its end")
            continue
        if records != shard.records:
            problems.append(f"{shard.name} has {records} records, {shard.records} in the manifest")
    for split, windows in manifest.books.windows.items():
        records = sum(shard.records for shard in manifest.shards_of(split))
        if records != windows:
            problems.append(f"the {split} shards have {records} records, the books {windows}")
    rejected = sum(manifest.books.turns_rejected.values())
    try:
        lines = sum(map(count_lines, (directory / data_directory.REJECTED).glob("*.gz")))
    except (OSError, EOFError, zlib.error) as error:
        return [*problems, f"the rejects can't be read: {error}"]
    if lines != rejected:
        problems.append(f"{lines} rejects are written, {rejected} in the books")
    if len(read_labels(directory)) != manifest.labels:
        problems.append(f"labels.json has {len(read_labels(directory))} labels, {manifest.labels} in the manifest")
    return problems
