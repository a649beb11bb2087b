"""retrain.yaml: what is allowed in it, where its paths lead, and what of it is recorded."""

import dataclasses
import json

import pytest

from schemas.exit_status import UsageError
from trainer.retrain_config import as_flags, read_retrain_config

LEAST = "inputs: {patterns: ['logs/{date}/*.jsonl']}\nruns_dir: runs\nserving_dir: /srv/models\n"


def config_of(tmp_path, text):
    """Reads a retrain.yaml of this text."""
    file = tmp_path / "retrain.yaml"
    file.write_text(text, "utf-8")
    return read_retrain_config(file)


def test_defaults_and_relative_paths(tmp_path):
    config = config_of(tmp_path, LEAST)
    assert config.inputs.patterns == (f"{tmp_path}/logs/{{date}}/*.jsonl",)
    assert (config.runs_dir, config.serving_dir) == (str(tmp_path / "runs"), "/srv/models")
    assert (config.inputs.window_days, config.inputs.lag_days, config.inputs.min_volume) == (1, 0, 0.2)
    assert (config.keep, config.train.warm_start, config.score) == (5, True, None)
    assert "running" not in config.notify.outcomes
    assert config.policy["allowed_drops"] == {"micro_f1": 0.01, "macro_f1": 0.02, "exact_match": None, "label_f1": 0.05}


def test_paths_inside_sections_and_a_policy_file(tmp_path):
    (tmp_path / "policy.yaml").write_text("min_support: 7\n")
    config = config_of(tmp_path, LEAST + """
policy: policy.yaml
prepare: {label_map: map.yaml, tokenizer: char}
train: {config: settings.yaml, settings: {embedding_file: vectors.txt, units: 8}}
score: {patterns: [archive/*.jsonl], flags: {label_map: map.yaml}}
""")
    assert config.policy["min_support"] == 7
    assert config.prepare == {"label_map": str(tmp_path / "map.yaml"), "tokenizer": "char"}
    assert config.train.config == str(tmp_path / "settings.yaml")
    assert config.train.settings == {"embedding_file": str(tmp_path / "vectors.txt"), "units": 8}
    assert config.score.patterns == (str(tmp_path / "archive/*.jsonl"),)
    assert config.score.flags == {"label_map": str(tmp_path / "map.yaml")}


@pytest.mark.parametrize(("text", "message"), [
    ("", "inputs is missing"),
    ("inputs: {patterns: [a]}\nruns_dir: r\n", "serving_dir is missing"),
    (LEAST + "input: x", "unknown key input; known: inputs, runs_dir, serving_dir, prepare,"),
    (LEAST + "keep: 1", "keep: 1 is not allowed; allowed: a whole number of at least 2"),
    (LEAST + "train: {epochs: 3}", "unknown key train.epochs; known: preset, config, settings, warm_start"),
    (LEAST + "train: {warm_start: maybe}", "train.warm_start: 'maybe' is not allowed; allowed: true or false"),
    (LEAST + "prepare: {input: x}", "prepare: .* is not allowed; allowed: other flags than input, output_dir"),
    (LEAST + "prepare: {--seed: 1}", "prepare: .* is not allowed; allowed: a mapping from flags, without their dashes"),
    (LEAST + "policy: {floor: 1}", "policy: unknown key floor; known: floors,"),
    (LEAST + "policy: nowhere.yaml", "--policy .*nowhere.yaml: can't be read"),
    (LEAST + "drift: {label: 1}", "unknown key drift.label; known: labels,"),
    (LEAST + "notify: {webhook: 'ftp://x'}", "notify.webhook: .* begins with http:// or https://"),
    (LEAST + "notify: {command: mail}", "notify.command: 'mail' is not allowed; allowed: a list of strings"),
    (LEAST + "notify: {outcomes: [success]}", "notify.outcomes: .*allowed: a list of promoted, refused, data_refused,"),
    (LEAST + "score: {}", "score.patterns is missing"),
    ("inputs: {patterns: []}\nruns_dir: r\nserving_dir: s", "inputs.patterns: .*allowed: a list of paths"),
    (LEAST.replace("}\nruns", ", window_days: 0}\nruns"), "inputs.window_days: 0 is not allowed"),
])
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        config_of(tmp_path, text)


def test_secrets_are_not_recorded(tmp_path):
    config = config_of(tmp_path, LEAST + """
prepare: {s3_secret_access_key: hush, s3_session_token: hush, max_tokens: 32}
score: {patterns: [a], flags: {api_key: hush}}
notify: {webhook: 'https://user:hush@example.org/hooks/hush', command: [mail, --password, hush]}
""")
    text = json.dumps(config.record())
    assert "hush" not in text
    assert config.record()["prepare"]["max_tokens"] == 32
    assert config.record()["notify"]["webhook"].startswith("https://example.org/")
    assert config.record()["notify"]["command"][0] == "mail"
    # What they are given is the whole truth.
    assert dataclasses.asdict(config.notify)["command"] == ("mail", "--password", "hush")


def test_flags():
    assert as_flags({"seed": 3, "numeric_features": ["a", "b"], "columns": {"text": "utterance"}, "no_attention": True,
                     "overwrite": False, "label_map": None, "split": "train:8"}) == [
        "--seed=3", "--numeric_features=a,b", "--columns=text=utterance", "--no_attention", "--split=train:8"]
