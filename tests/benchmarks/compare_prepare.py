"""Times `prepare` on turn logs, beside another program that does the same job.

usage: compare_prepare.py LOG.jsonl [LOG.jsonl ...] [--reference PROGRAM.py] [--runs 3]

Each run is a process of its own. The programs take turns, so that a machine whose speed drifts favours none. The
reference gets `LOG OUT_DIR --runner=FnApiRunner`. Prints each run, then medians: seconds from start to end, CPU
seconds, peak memory.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def measure(command: list[str]) -> dict:
    """Runs a command; gives its `wall` and `cpu` seconds and its `memory` peak in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"ended with {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", type=pathlib.Path)
    parser.add_argument("--reference", help="the program to compare with")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    for log in args.logs:
        runs: dict[str, list[dict]] = {}
        for _ in range(args.runs):
            with tempfile.TemporaryDirectory() as scratch:
                commands = {
                    "prepare": ["-m", "pipeline", "prepare", "--input", str(log), "--output_dir", f"{scratch}/a"]
                }
                if args.reference:
                    commands["reference"] = [args.reference, str(log), f"{scratch}/b", "--runner=FnApiRunner"]
                for name, command in commands.items():
                    runs.setdefault(name, []).append(measure([sys.executable, *command]))
                    print(f"{log.name} {name} {json.dumps(runs[name][-1])}", flush=True)
        medians = {
            name: {key: statistics.median(run[key] for run in some) for key in some[0]} for name, some in runs.items()
        }
        for name, median in medians.items():
            figures = f"{median['wall']:8.1f} s {median['cpu']:8.1f} CPU s {median['memory']:8.0f} MB"
            print(f"{log.name:<20} {name:<10} {figures}")
        if args.reference:
            ratios = {key: medians["reference"][key] / value for key, value in medians["prepare"].items()}
            print(
                f"{log.name:<20} reference / prepare: "
                + ", ".join(f"{key} {ratio:.2f}" for key, ratio in ratios.items())
            )


if __name__ == "__main__":
    main()
