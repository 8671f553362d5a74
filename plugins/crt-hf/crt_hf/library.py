"""Imports transformers, or gives one reason why that cannot be done; free of torch until then."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from crtcore.errors import RunError, in_one_line

CLASSES = ("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer", "GenerationConfig")
"""What is used of transformers; it imports its modules, and torchvision, only as they are asked for."""


def transformers() -> Any:
    """The package transformers.

    Raises: RunError if it cannot be imported, for example beside a torchvision that does not fit torch.
    """
    try:
        package = importlib.import_module("transformers")
        for name in CLASSES:
            getattr(package, name)
        importlib.import_module("transformers.modeling_utils")  # which imports torchvision where it is installed
    except Exception as error:  # a torchvision that does not fit torch raises RuntimeError
        raise RunError(
            f"huggingface: expected transformers 5, got {in_one_line(error):.300}; pip install transformers, and "
            "remove a torchvision that does not fit torch (pip uninstall torchvision), as transformers imports it"
        ) from error
    return package


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the progress bars and the report of transformers: what is wrong is in one error."""
    logging = transformers().utils.logging
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
