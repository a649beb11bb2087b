"""Imports libraries without their start-up messages."""

import importlib
import os
import types


def import_module(name: str, verbose: bool) -> types.ModuleType:
    """Imports a module, and what it imports; TensorFlow's start-up messages are shown only if `verbose`."""
    if verbose:
        return importlib.import_module(name)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Some messages come before TensorFlow looks at its log level: they can only be kept from standard error itself.
    with open(os.devnull, "w") as nowhere:
        standard_error = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            return importlib.import_module(name)
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
