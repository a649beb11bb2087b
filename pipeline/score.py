"""`score`: raw conversation logs to predictions for every turn of the target speakers."""

import argparse
import dataclasses
import functools
import json
import sys

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import StandardOptions

from pipeline import predictions_directory
from pipeline.analyse import add_counts
from pipeline.buckets import bucket_count
from pipeline.files import FilePart, SourceFile, cut, match_files
from pipeline.model_handler import SavedModelHandler, find_saved_model, load, read_description
from pipeline.read_stages import COUNTS, PART_BYTES, REJECTS, ReadTurns, write_all_rejects
from pipeline.runners import beam_options, run_pipeline
from pipeline.score_metrics import figures
from pipeline.score_options import ScoreConfig, config_of
from pipeline.score_stages import OrderBucket, WritePredictions
from pipeline.scoring import numeric_columns
from pipeline.turns import Reading
from pipeline.write import atomic_file
from schemas.exit_status import DataRefused, TurnwiseError, UsageError
from schemas.model_description import ModelDescription
from schemas.predictions_directory import METRICS, REJECTED, SCHEMA_VERSION, Books
from schemas.turn_log import HARMLESS_REASONS
from schemas.visible_text import visible


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a job is going to do.

    Attributes:
        config: what shapes the predictions.
        model: path of the SavedModel.
        description: of the model.
        files: the input.
        buckets: shards of the predictions.
        directory: to write to.
        finished: {bucket: file with what is known of it} of the shards that are there already.
        max_bad_fraction: the input is refused when a larger part of its rows is rejected.
    """

    config: ScoreConfig
    model: str
    description: ModelDescription
    files: list[SourceFile]
    buckets: int
    directory: str
    finished: dict[int, str]
    max_bad_fraction: float

    @property
    def reading(self) -> Reading:
        """How files are read."""
        return Reading(self.config.columns, numeric_columns(self.description), self.config.max_line_bytes)

    @functools.cached_property
    def parts(self) -> list[FilePart]:
        """Parts of the files, each read on its own."""
        return [part for file in self.files for part in cut(file, PART_BYTES)]

    def describe(self) -> str:
        """One line for people."""
        size = sum(file.size for file in self.files)
        kept = f", {len(self.finished)} of them finished before" if self.finished else ""
        return (
            f"{len(self.files)} file(s), {size / 1e6:,.1f} MB, read in {len(self.parts)} part(s), {self.buckets} "
            f"shard(s){kept}; model {self.description.version} with {len(self.description.labels)} labels, turns of "
            f"{', '.join(map(visible, self.config.target_speakers))}"
        )


def run(args: argparse.Namespace, beam_flags: list[str]) -> None:
    """Runs `score` with parsed flags.

    Raises:
        UsageError: for wrong flags, paths or models.
        DataRefused: when too many rows are rejected.
    """
    model = find_saved_model(args.model_dir)
    description = read_description(model)
    config = config_of(args, numeric_columns(description), description.target_speakers)
    if not config.target_speakers:
        raise UsageError(f"the model {args.model_dir} names no speakers to score; name them with --target_speakers")
    files = match_files(args.input)
    buckets = bucket_count(sum(file.size for file in files))
    options = beam_options(beam_flags)
    _try(model, description)
    settings = {
        "schema_version": SCHEMA_VERSION,
        "config": dataclasses.asdict(config),
        "model_version": description.version,
        "input": predictions_directory.describe_input(files),
        "shards": buckets,
    }
    predictions_directory.make_ready(args.output_dir, settings, args.overwrite)
    finished = predictions_directory.finished(args.output_dir)
    plan = Plan(
        config, model, description, files, buckets, args.output_dir, finished, max_bad_fraction=args.max_bad_fraction
    )
    print(f"plan: {plan.describe()}; runner {options.view_as(StandardOptions).runner}", flush=True)
    stages = {"read": len(plan.parts), "order": plan.buckets, "score": plan.buckets}
    run_pipeline(options, functools.partial(score, plan=plan), stages)
    with FileSystems.open(predictions_directory.result_file(plan.directory)) as file:
        result = json.loads(file.read())
    finish(plan, result)


def score(pipeline: beam.Pipeline, plan: Plan) -> None:
    """The whole job."""
    config, description = plan.config, plan.description
    read = (
        pipeline
        | "Parts" >> beam.Create(plan.parts)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(ReadTurns(plan.reading, plan.buckets)).with_outputs(REJECTS, COUNTS, main="turns")
    )
    every_bucket = pipeline | "Buckets" >> beam.Create([(bucket, b"") for bucket in range(plan.buckets)])
    order = beam.ParDo(OrderBucket(plan.directory, description, config.target_speakers, plan.finished))
    ordered = (
        (read.turns, every_bucket)
        | "Together" >> beam.Flatten()
        | "ByBucket" >> beam.GroupByKey()
        | "Order" >> order.with_outputs(REJECTS, COUNTS, main="buckets")
    )
    handler = SavedModelHandler(plan.model, description, config.target_speakers, config.batch_windows)
    write = beam.ParDo(WritePredictions(plan.directory, plan.buckets, description, config))
    written = (
        ordered.buckets
        | "Score" >> RunInference(handler)
        | "Write" >> write.with_outputs(REJECTS, COUNTS, main="facts")
    )
    write_all_rejects((read[REJECTS], ordered[REJECTS], written[REJECTS]), plan.files, plan.directory)
    counts = (read[COUNTS], ordered[COUNTS], written[COUNTS], written.facts)
    _write_result(counts, predictions_directory.result_file(plan.directory))


def finish(plan: Plan, result: dict) -> None:
    """Checks the books, writes what describes the predictions, and says where they are."""
    books = Books(
        turns_read=result["books"].get("turns_read", 0),
        turns_rejected=dict(sorted(result.get("rejected", {}).items())),
        history_only=result["books"]["history_only"],
        scored=result["books"]["scored"],
    )
    rejected = sum(books.turns_rejected.values())
    print(
        f"turns read {books.turns_read:,} = {rejected:,} rejected + {books.history_only:,} history only"
        f" + {books.scored:,} scored"
    )
    for reason, count in books.turns_rejected.items():
        print(f"  rejected {count:,} {reason}")
    wrong = books.imbalance()
    if wrong:
        raise TurnwiseError(f"the books don't balance: {wrong}")
    bad = sum(count for reason, count in books.turns_rejected.items() if reason not in HARMLESS_REASONS)
    if bad > plan.max_bad_fraction * books.turns_read:
        raise DataRefused(
            f"{bad} of {books.turns_read} rows are rejected, more than --max_bad_fraction "
            f"{plan.max_bad_fraction}; they are in {FileSystems.join(plan.directory, REJECTED)}"
        )
    if books.history_only and not books.scored:
        speakers = ", ".join(map(visible, plan.config.target_speakers))
        print(f"warning: no turn is of {speakers}; --target_speakers names others", file=sys.stderr)
    compared = result["compared"]
    metrics = figures(compared, plan.description.labels) if compared["windows"] else None
    predictions_directory.complete(
        plan.directory, plan.description, plan.config.target_speakers, plan.files, result["shards"], books, metrics
    )
    if metrics:
        print(
            f"{metrics['windows']:,} of them have labels in the log: micro-F1 {metrics['micro']['f1']:.4f}, "
            f"macro-F1 {metrics['macro']['f1']:.4f}; {FileSystems.join(plan.directory, METRICS)}"
        )
    print(f"predictions: {plan.directory}")


def _try(model: str, description: ModelDescription) -> None:
    """Asks the model once: one that fails for every turn must not be found out turn by turn.

    Raises:
        UsageError: when it can't be loaded or fails.
    """
    words = np.full((1, description.slots), b"", object)
    numeric = np.full((1, len(description.numeric_features)), np.nan, np.float32)
    try:
        load(model, description.version)(words, words, numeric)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"the SavedModel {model} gives no answer: {error}") from error


def _write_result(counts: tuple, path: str) -> None:
    """Leaves all counts, added up, in one file for `finish`."""

    def write(total: dict) -> None:
        with atomic_file(path) as file:
            file.write(json.dumps(total).encode())

    _ = (
        counts
        | "AllCounts" >> beam.Flatten()
        | "AddUp" >> beam.CombineGlobally(add_counts)
        | "WriteResult" >> beam.Map(write)
    )
