"""`prepare`: raw conversation logs to a data directory."""

import argparse
import dataclasses
import functools
import json

import apache_beam as beam
import tensorflow_transform.beam as tft_beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, StandardOptions
from apache_beam.pvalue import AsSingleton

from pipeline import data_directory
from pipeline.analyse import Learning, add_counts
from pipeline.buckets import bucket_count
from pipeline.encode import Windowing
from pipeline.files import FilePart, SourceFile, cut, match_files
from pipeline.options import PrepareConfig, config_of
from pipeline.read_stages import COUNTS, PART_BYTES, REJECTS, ReadTurns, write_all_rejects
from pipeline.runners import beam_options, run_pipeline
from pipeline.stages import (
    FACTS,
    TOKEN_COUNTS,
    WINDOW_KEYS,
    AnalyseBucket,
    MergeTokenCounts,
    WriteWindows,
    duplicates_across_splits,
    learn,
)
from pipeline.statistics import books_of, check_books, statistics_of, summary
from pipeline.tokens import most_frequent
from pipeline.transform import adapter_config, analysis_rows, preprocessing
from pipeline.turns import Reading, from_ipc
from pipeline.write import atomic_file
from schemas.data_directory import REJECTED, TRANSFORM


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a job is going to do.

    Attributes:
        config: what shapes the data directory.
        files: the input.
        parts: of the files, each read on its own.
        buckets: shards of each split.
        directory: to write to.
        scratch: directory of intermediate files.
    """

    config: PrepareConfig
    files: list[SourceFile]
    parts: list[FilePart]
    buckets: int
    directory: str
    scratch: str

    @property
    def reading(self) -> Reading:
        """How files are read."""
        return Reading(self.config.columns, self.config.numeric_features, self.config.max_line_bytes)

    @property
    def learning(self) -> Learning:
        """How buckets are analysed."""
        config = self.config
        return Learning(config.split, config.seed, config.max_tokens, config.label_map, config.numeric_features)

    @property
    def windowing(self) -> Windowing:
        """How windows are made."""
        config = self.config
        return Windowing(config.history_turns, config.history == "same_speaker", self.learning.scalars)

    @property
    def result(self) -> str:
        """Where the job leaves its counts for the command."""
        return FileSystems.join(self.scratch, "result.json")

    def describe(self) -> str:
        """One line for people."""
        size = sum(file.size for file in self.files)
        return (
            f"{len(self.files)} file(s), {size / 1e6:,.1f} MB, read in {len(self.parts)} part(s), "
            f"{self.buckets} bucket(s), as many shards a split"
        )


def run(args: argparse.Namespace, beam_flags: list[str]) -> None:
    """Runs `prepare` with parsed flags.

    Raises:
        UsageError: for wrong flags or paths.
        DataRefused: when too many rows are rejected or nothing is there to learn from.
    """
    config = config_of(args)
    files = match_files(args.input)
    parts = [part for file in files for part in cut(file, PART_BYTES)]
    options = beam_options(beam_flags)
    if not args.dry_run:
        data_directory.make_ready(args.output_dir, args.overwrite)
    # Workers on other machines leave their counts there: a dry run has no output directory to do so.
    place = options.view_as(GoogleCloudOptions).temp_location if args.dry_run else args.output_dir
    with data_directory.scratch(place) as scratch:
        plan = Plan(config, files, parts, bucket_count(sum(file.size for file in files)), args.output_dir, scratch)
        print(f"plan: {plan.describe()}; runner {options.view_as(StandardOptions).runner}", flush=True)
        stages = {"read": len(parts), "analyse": plan.buckets} | ({} if args.dry_run else {"write": plan.buckets})
        run_pipeline(options, functools.partial(check if args.dry_run else prepare, plan=plan), stages)
        with FileSystems.open(plan.result) as file:
            result = json.loads(file.read())
    finish(plan, result, args.dry_run)


def check(pipeline: beam.Pipeline, plan: Plan) -> None:
    """The job of `--dry_run`: reads, orders and counts."""
    read, analysed, learnt = _analysed(pipeline, plan)
    _write_result((read[COUNTS], analysed[COUNTS]), learnt, plan.result)


def prepare(pipeline: beam.Pipeline, plan: Plan) -> None:
    """The whole job."""
    config, scalars = plan.config, plan.learning.scalars
    with tft_beam.Context(temp_dir=FileSystems.join(plan.scratch, "transform")):
        read, analysed, learnt = _analysed(pipeline, plan)
        rows = (
            analysed[TOKEN_COUNTS]
            | "AddUpTokens" >> beam.CombineGlobally(MergeTokenCounts())
            | "Vocabulary" >> beam.Map(_analysis_rows, AsSingleton(learnt), config)
        )
        transform_fn = (rows, adapter_config(len(scalars))) | tft_beam.AnalyzeDataset(
            preprocessing(config.tokenizer, config.max_tokens)
        )
        _ = transform_fn | tft_beam.WriteTransformFn(FileSystems.join(plan.directory, TRANSFORM))
        write = WriteWindows(plan.directory, plan.buckets, plan.windowing)
        written = analysed.buckets | "WriteWindows" >> beam.ParDo(
            write, AsSingleton(learnt), AsSingleton(transform_fn[0])
        ).with_outputs(WINDOW_KEYS, main="counts")
        duplicates = (
            written[WINDOW_KEYS] | "ByKey" >> beam.GroupByKey() | "AcrossSplits" >> beam.Map(duplicates_across_splits)
        )
        write_all_rejects((read[REJECTS], analysed[REJECTS]), plan.files, plan.directory)
        _write_result((read[COUNTS], analysed[COUNTS], written.counts, duplicates), learnt, plan.result)


def _analysed(pipeline: beam.Pipeline, plan: Plan) -> tuple:
    """Read, grouped by bucket, ordered and counted: outputs of the two steps, and what is learnt from them."""
    config = plan.config
    read = (
        pipeline
        | "Parts" >> beam.Create(plan.parts)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(ReadTurns(plan.reading, plan.buckets)).with_outputs(REJECTS, COUNTS, main="turns")
    )
    every_bucket = pipeline | "Buckets" >> beam.Create([(bucket, b"") for bucket in range(plan.buckets)])
    analyse = beam.ParDo(AnalyseBucket(plan.learning, config.tokenizer))
    analysed = (
        (read.turns, every_bucket)
        | "Together" >> beam.Flatten()
        | "ByBucket" >> beam.GroupByKey()
        | "Analyse" >> analyse.with_outputs(REJECTS, COUNTS, FACTS, TOKEN_COUNTS, main="buckets")
    )
    learnt = analysed[FACTS] | "AllFacts" >> beam.combiners.ToList() | "Learn" >> beam.Map(learn)
    return read, analysed, learnt


def _analysis_rows(token_counts: bytes, learnt: dict, config: PrepareConfig):
    vocabulary = most_frequent(from_ipc(token_counts), config.vocabulary_size, config.min_token_count)
    return analysis_rows(vocabulary, learnt["mean"], learnt["scale"])


def _write_result(counts: tuple, learnt: beam.PCollection, path: str) -> None:
    """Leaves all counts, added up, in one file for `finish`."""

    def write(total: dict, learnt: dict) -> None:
        names = ("labels", "speakers", "target_speakers")
        with atomic_file(path) as file:
            file.write(json.dumps(total | {"learnt": {name: learnt[name] for name in names}}).encode())

    _ = (
        counts
        | "AllCounts" >> beam.Flatten()
        | "AddUp" >> beam.CombineGlobally(add_counts)
        | "WriteResult" >> beam.Map(write, AsSingleton(learnt))
    )


def finish(plan: Plan, result: dict, dry_run: bool) -> None:
    """Checks the books, writes what describes the data, and says where it is."""
    books = books_of(result, dry_run)
    statistics = statistics_of(result)
    print(summary(books, statistics))
    check_books(books, plan.config.max_bad_fraction, FileSystems.join(plan.directory, REJECTED), dry_run)
    if dry_run:
        print("dry run: nothing was written")
        return
    scalars = plan.learning.scalars
    data_directory.complete(plan.directory, plan.config, scalars, plan.files, result, books, statistics)
    print(f"data directory: {plan.directory}")
