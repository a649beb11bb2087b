"""Airflow DAG: retrains every night. Put it into the DAGs folder of Airflow 3.

Airflow and Turnwise each have an environment of their own; the task runs Turnwise's program on the worker.
"""

import datetime
import subprocess

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

PROGRAM = "/srv/turnwise/venv/bin/turnwise-trainer"
CONFIG = "/srv/turnwise/retrain.yaml"
LOCKED = 75
# What trying again would not mend.
FINAL = {2: "wrong usage or configuration", 3: "the data are refused", 4: "the model is refused"}


@dag(
    schedule="15 2 * * *",
    start_date=datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    catchup=False,
    max_active_runs=1,
    tags=["turnwise"],
    doc_md=__doc__,
)
def turnwise_retrain():
    """The DAG: one task, which has its stages and their resumption in itself."""

    @task(retries=2, retry_delay=datetime.timedelta(minutes=15), execution_timeout=datetime.timedelta(hours=12))
    def retrain():
        """One run, of the day on which Airflow began it: a second try on the next day goes on with it."""
        date = get_current_context()["dag_run"].run_after.date().isoformat()
        status = subprocess.run([PROGRAM, "retrain", "--config", CONFIG, "--date", date], check=False).returncode
        if status == LOCKED:
            raise AirflowSkipException("another run is under way")
        if status in FINAL:
            raise AirflowFailException(f"status {status}: {FINAL[status]}; runs/{date}/run.json has the reasons")
        if status:
            raise AirflowException(f"status {status}; the log is runs/{date}/log")

    retrain()


turnwise_retrain()
