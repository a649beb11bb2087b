"""On real dialogues: the SavedModel, given raw texts, scores as the network does on the shards' ids."""

import json

import numpy as np
import pytest

from pipeline.__main__ import main as pipeline
from schemas.exit_status import DONE
from tests.turn_logs import SHARED, prepared
from trainer.__main__ import main as trainer

SETTINGS = ("units=16", "embedding_dim=16", "epochs=1", "global_batch_size=256")
TINY = [word for setting in SETTINGS for word in ("--set", setting)]
SOURCES = {"crosswoz": "data/crosswoz/val.json", "sgd": "data/sgd/dev/dialogues_001.json"}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["default", "weekly_report"])
@pytest.mark.parametrize("source", SOURCES)
def test_raw_texts_score_as_the_shards(source, preset, tmp_path):
    import tensorflow as tf

    from trainer.predictions import predict

    path = SHARED / SOURCES[source]
    if not path.exists():
        pytest.skip(f"the real {source} dialogues are not there")
    log, data, model = tmp_path / "log.jsonl", tmp_path / "data", tmp_path / "model"
    assert pipeline(["convert", "--format", source, "--input", str(path), "--output", str(log)]) == DONE
    prepared(log, data, "--max_tokens", "24")
    flags = ["--data_dir", str(data), "--model_dir", str(model), "--preset", preset]
    assert trainer(["train", *flags, *TINY]) == DONE
    expected = predict(model, data, "test")
    texts = {(row["conversation_id"], row["turn_index"]): row["text"] for row in rows_of(log)}
    current = list(zip(expected.conversation_ids, expected.turn_indices.tolist(), strict=True))
    windows = [[texts.get((name, index - back), "") for back in range(6)] for name, index in current]
    scalars = np.stack([expected.turn_indices, np.full(len(current), np.nan)], 1).astype(np.float32)
    outputs = tf.saved_model.load(str(model / "saved_model")).signatures["serving_default"](
        texts=tf.constant(windows), speakers=tf.fill([len(windows), 6], ""), numeric=tf.constant(scalars)
    )
    assert len(windows) > 50
    for name in ("scores", "attention", "gate"):
        np.testing.assert_allclose(outputs[name], getattr(expected, name), atol=1e-5)
    np.testing.assert_array_equal(outputs["predicted"], expected.predicted)


def rows_of(log):
    return map(json.loads, log.read_text("utf-8").split("\n")[:-1])
