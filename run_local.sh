#!/usr/bin/env bash
# The whole way on one machine: environment, data directory, model, report. `./run_local.sh --help` says more.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="$root/.venv"
stamp="$venv/turnwise-installed"

usage() {
  cat <<'EOF'
Usage:
  ./run_local.sh                      the whole way on generated logs, into runs/sample of the checkout
  ./run_local.sh --input PATTERN... --output_dir DIR [--preset NAME] [--overwrite]
                                      the same on your own logs, e.g. --input 'my/*.jsonl' --output_dir runs/mine;
                                      both are relative to the current directory
  ./run_local.sh test [ARGUMENT...]   lint and tests but the slow ones; the arguments go to pytest, e.g. -m slow

The first run makes .venv from requirements.lock (needs python3.11 with its venv module; PYTHON names another
interpreter); later runs use it again, unless requirements.lock or setup.py changed or the checkout moved.

DIR gets data/ (the data directory) and model/ (the model directory, with evaluation/). What an earlier run finished
there is kept, and the command that would replace it says so, unless --overwrite is given. The sample is always made anew.

  --preset NAME   the trainer's settings: default, masked_lstm or weekly_report
EOF
}

fail() {
  printf 'error: %s\n' "$1" >&2
  exit "${2:-2}"
}

run() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

find_python() {
  local version
  python="${PYTHON:-python3.11}"
  command -v "$python" > /dev/null ||
    fail "$python is not there; on Debian or Ubuntu: sudo apt-get install python3.11 python3.11-venv"
  version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" || fail "$python does not run"
  [[ $version == 3.11 ]] || fail "$python is Python $version; allowed is 3.11"
  # Debian and Ubuntu ship the venv module without ensurepip, which it needs, unless python3.11-venv is installed.
  "$python" -c 'import ensurepip, venv' 2> /dev/null ||
    fail "$python has no complete venv module; on Debian or Ubuntu: sudo apt-get install python3.11-venv"
}

install() {
  # A virtual environment holds absolute paths: it is of no use in a checkout that has moved.
  local wanted
  wanted="$( (cat "$root/requirements.lock" "$root/setup.py" && printf '%s' "$root") | sha256sum | cut -d ' ' -f 1)"
  if [[ -x $venv/bin/python && -f $stamp && $(< "$stamp") == "$wanted" ]]; then
    return
  fi
  [[ $(uname -sm) == "Linux x86_64" ]] || fail "this is $(uname -sm); the lock file is for Linux x86_64"
  find_python
  echo "making $venv; it takes some minutes and 3.3 GB"
  run rm -rf "$venv"
  run "$python" -m venv "$venv"
  run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$root/requirements.lock"
  run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e "$root"
  # Written last: an installation that was cut short has none.
  echo "$wanted" > "$stamp"
}

learn() {
  local data="$1/data" model="$1/model"
  run "$venv/bin/turnwise-pipeline" prepare --input "${input[@]}" --output_dir "$data" "${overwrite[@]}"
  run "$venv/bin/turnwise-trainer" train --data_dir "$data" --model_dir "$model" "${preset[@]}" "${overwrite[@]}"
  run "$venv/bin/turnwise-trainer" evaluate --data_dir "$data" --model_dir "$model"
  run "$venv/bin/turnwise-trainer" predict --data_dir "$data" --model_dir "$model" --windows 10
  printf '\nreport: %s\n' "$model/evaluation/report.html"
}

run_tests() {
  cd "$root"
  run "$venv/bin/ruff" check .
  # A later -m goes over this one.
  run "$venv/bin/python" -m pytest --numprocesses auto --dist loadfile -m 'not slow' "$@"
}

run_sample() {
  local output_dir="$root/runs/sample"
  input=("$output_dir/logs/*.jsonl")
  overwrite=(--overwrite)
  run "$venv/bin/turnwise-pipeline" synthesize --output_dir "$output_dir/logs" --conversations 500
  learn "$output_dir"
}

input=()
preset=()
overwrite=()
output_dir=""

if [[ ${1:-} == test ]]; then
  install
  run_tests "${@:2}"
  exit
fi

while (($#)); do
  case $1 in
    -h | --help)
      usage
      exit
      ;;
    --input)
      shift
      while (($#)) && [[ $1 != --* ]]; do
        input+=("$1")
        shift
      done
      ((${#input[@]})) || fail "--input needs a pattern"
      ;;
    --output_dir)
      (($# > 1)) || fail "--output_dir needs a directory"
      output_dir=$2
      shift 2
      ;;
    --preset)
      (($# > 1)) || fail "--preset needs a name"
      preset=(--preset "$2")
      shift 2
      ;;
    --overwrite)
      overwrite=(--overwrite)
      shift
      ;;
    *) fail "unknown argument $1; allowed are test, --input, --output_dir, --preset, --overwrite and --help" ;;
  esac
done

if ((${#input[@]} == 0)) && [[ -z $output_dir ]]; then
  install
  run_sample
elif ((${#input[@]} == 0)) || [[ -z $output_dir ]]; then
  fail "--input and --output_dir belong together"
else
  install
  learn "$output_dir"
fi
