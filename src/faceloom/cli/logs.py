"""Where the library's loggers write: nowhere, unless `--verbose` or `--log-file` says so."""

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from faceloom.cli.terminal import for_terminal
from faceloom.errors import RequestError

_LIBRARY = "faceloom"
_ON_STDERR = "faceloom: %(message)s"
_IN_FILES = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


@contextmanager
def logging_to(chosen: argparse.Namespace) -> Iterator[None]:
    """While this is open, the library's loggers write to where they were told to.

    Raises:
        RequestError: the file cannot be written.
    """
    handlers = list(_handlers(chosen))
    logger = logging.getLogger(_LIBRARY)
    before = logger.level
    if handlers:
        logger.setLevel(min(handler.level for handler in handlers))
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.setLevel(before)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def _handlers(chosen: argparse.Namespace) -> Iterator[logging.Handler]:
    if chosen.verbose:
        yield _handler(logging.StreamHandler(sys.stderr), logging.INFO, _ON_STDERR)
    if chosen.log_file is not None:
        try:
            file = logging.FileHandler(chosen.log_file, encoding="utf-8")
        except OSError as error:
            raise RequestError(f"the log {chosen.log_file} cannot be written: {error.strerror}") from error
        yield _handler(file, logging.DEBUG, _IN_FILES)


def _handler(handler: logging.Handler, level: int, form: str) -> logging.Handler:
    handler.setLevel(level)
    handler.setFormatter(_EscapingFormatter(form))
    return handler


class _EscapingFormatter(logging.Formatter):
    """Lines in which nothing is left that a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        return for_terminal(super().format(record))
