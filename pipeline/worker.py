"""A worker process that another engine starts: `--environment_type=PROCESS` names this program as its command.

A worker pool (`EXTERNAL`) and the job's own process (`LOOPBACK`) know workers by numbers that each task manager counts
for itself: two task managers that share a pool stop each other's workers. Here each one starts and stops its own.
"""

import argparse
import os
from typing import NoReturn

from schemas.exit_status import TurnwiseError, leave, run_command
from schemas.quiet_import import import_module

CONNECT_SECONDS = 60
ENDPOINTS = ("control", "logging")


def main(argv: list[str] | None = None) -> int:
    """Works for the runner until it hangs up; gives the exit status."""
    parser = argparse.ArgumentParser(prog="turnwise-worker", description="A worker process of the data job; the runner "
                                     "starts it, with --environment_type=PROCESS.")
    parser.add_argument("--id", required=True, help="the runner's name of this worker")
    parser.add_argument("--provision_endpoint", required=True, metavar="HOST:PORT", help="where it is told the rest")
    # Runners also say what Beam's own containers need.
    args, _ = parser.parse_known_args(argv)
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # As the command does.
    return run_command(lambda: _work(args.id, args.provision_endpoint), verbose=True)


def _work(worker_id: str, provision_endpoint: str) -> None:
    os.environ |= provisioned(worker_id, provision_endpoint)
    import_module("apache_beam.runners.worker.sdk_worker_main", verbose=True).main([])


def provisioned(worker_id: str, endpoint: str) -> dict[str, str]:
    """What a runner tells a worker to do, as the environment variables that Beam's worker reads.

    Args:
        worker_id: the runner's name of the worker.
        endpoint: HOST:PORT of the runner's provision service.

    Raises:
        TurnwiseError: when no runner answers there.
    """
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
    from google.protobuf import json_format, text_format

    with grpc.insecure_channel(endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        try:
            told = service.GetProvisionInfo(
                request, metadata=[("worker_id", worker_id)], timeout=CONNECT_SECONDS, wait_for_ready=True
            ).info
        except grpc.RpcError as error:
            raise TurnwiseError(f"no runner answers at --provision_endpoint {endpoint}: {error.details()}") from error
    endpoints = {
        f"{name.upper()}_API_SERVICE_DESCRIPTOR": text_format.MessageToString(
            getattr(told, f"{name}_endpoint"), as_one_line=True
        )
        for name in ENDPOINTS
    }
    return endpoints | {
        "WORKER_ID": worker_id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(told.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(told.runner_capabilities),
    }


def command_line() -> NoReturn:
    """Works, and ends the process with its exit status."""
    leave(main())


if __name__ == "__main__":
    command_line()
