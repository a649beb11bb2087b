"""Settings: presets, files, `--set`, and what is refused."""

import dataclasses

import pytest

from schemas.exit_status import UsageError
from trainer.config import PRESETS, Config, from_dict, load_config


def test_weekly_report_is_the_network_to_the_letter():
    config = load_config("weekly_report")
    assert dataclasses.replace(config, learning_rate=0.1, global_batch_size=1, epochs=1) == Config(
        preset="weekly_report", encoder="lstm", embedding_dim=100, units=128, mask_padding=False, padding="left",
        attention="dot", mask_history=False, gate="scalar", head="sigmoid", dropout=0.0, loss="binary_crossentropy",
        optimizer="rmsprop", learning_rate=0.1, global_batch_size=1, epochs=1, early_stopping_patience=None,
        keep_best=False, threshold=0.5)


def test_settings_go_over_the_file_over_the_preset(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("preset: weekly_report\nunits: 7\nepochs: 3\nlearning_rate: 1e-4\nearly_stopping_patience: null\n")
    config = load_config(None, str(file), ["epochs=5", "mask_history=true"])
    assert config == dataclasses.replace(PRESETS["weekly_report"], units=7, epochs=5, learning_rate=1e-4,
                                         mask_history=True)
    assert load_config("default", str(file)).preset == "default"
    file.write_text("")
    assert load_config(None, str(file)) == PRESETS["default"]


def test_round_trip():
    for config in PRESETS.values():
        assert from_dict(config.to_dict()) == config
    with pytest.raises(UsageError, match="lacks units"):
        from_dict({key: value for key, value in Config().to_dict().items() if key != "units"})


@pytest.mark.parametrize(("setting", "message"), [
    ("unit=3", "unknown setting 'unit'; allowed: preset, embedding, "),
    ("units", "--set units: expected key=value"),
    ("units=many", "units: expected an integer, got 'many'"),
    ("units=2.5", "units: expected an integer, got 2.5"),
    ("units=true", "units: expected an integer, got True"),
    ("units=0", "units: 0 is out of range; allowed: at least 1"),
    ("dropout=1", "dropout: 1.0 is out of range; allowed: at least 0 and less than 1"),
    ("dropout=high", "dropout: expected a number or null, got 'high'"),
    ("dropout=true", "dropout: expected a number or null, got True"),
    ("threshold=1.5", "threshold: 1.5 is out of range; allowed: at least 0 and at most 1"),
    ("learning_rate=0", "learning_rate: 0.0 is out of range; allowed: more than 0"),
    ("learning_rate=.nan", "learning_rate: nan is out of range"),
    ("learning_rate=.inf", "learning_rate: inf is out of range"),
    ("mask_history=1", "mask_history: expected true or false, got 1"),
    ("early_stopping_patience=no", "early_stopping_patience: expected an integer or null, got False"),
    ("encoder=[lstm]", "encoder: expected a name, got ['lstm']"),
    ("encoder=elmo", "encoder: 'elmo' is unknown; allowed: "),
    ("optimizer=magic", "optimizer: 'magic' is unknown; allowed: rmsprop, "),
    ("monitor=loss", "monitor: 'loss' is unknown; allowed: val_loss, val_micro_f1"),
    ("preset=best", "preset: 'best' is unknown; allowed: weekly_report, masked_lstm, default"),
    ("units={", "--set units={: not valid YAML"),
    ("units=2020-13-45", "--set units=2020-13-45: not valid YAML"),
    ("preset=[1]", "preset: [1] is unknown; allowed: "),
])
def test_what_is_refused(setting, message):
    with pytest.raises(UsageError) as error:
        load_config(None, None, [setting])
    assert message in str(error.value)


def test_files_that_are_refused(tmp_path):
    with pytest.raises(UsageError, match="can't read --config .*none.yaml"):
        load_config(None, str(tmp_path / "none.yaml"))
    file = tmp_path / "list.yaml"
    file.write_text("- units\n")
    with pytest.raises(UsageError, match="list.yaml: expected a mapping of settings, got list"):
        load_config(None, str(file))
    file.write_text("!!python/object/apply:os.system [echo]\n")
    with pytest.raises(UsageError, match="not valid YAML"):
        load_config(None, str(file))
