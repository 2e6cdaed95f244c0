"""Every error becomes one line on standard error and an exit code; a traceback is left to faults of the program itself."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer
from typer.core import TyperGroup

from sparcode.commands.process import launched
from sparcode.commands.terminal import say, short_line

BAD_INPUT, FAILED, INTERRUPTED, TERMINATED = 2, 1, 130, 143
NOTHING_WRITTEN = "nothing was written"
# Typer carries its own copy of click in some versions and imports it in others; both are reached through the class it exports.
_USAGE_ERROR = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class Terminated(KeyboardInterrupt):
    """SIGTERM asked the process to end; treated like Ctrl-C everywhere but in the exit code."""


class CommandGroup(TyperGroup):
    """The commands, with errors in one line.

    Exit code 2 is for bad usage or input, 1 for a run that failed, 130 for Ctrl-C and 143 for SIGTERM. The line about the last two says
    what was written: the notes that a command adds to the exception, or that nothing was.
    """

    def main(self, args: Any = None, *rest: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command line; as `click.Command.main`, which documents the arguments."""
        args = list(sys.argv[1:] if args is None else args) or ["--help"]
        if not standalone_mode:
            return super().main(args, *rest, standalone_mode=False, **extra)
        try:
            with _sigterm_interrupts():
                result = super().main(args, *rest, standalone_mode=False, **extra)
        except _EndedError as error:
            _end(str(error), error.code)
        except (KeyboardInterrupt, typer.Abort):
            _end("interrupted", INTERRUPTED)
        except _USAGE_ERROR as error:
            _end(f"error: {error.format_message()}", BAD_INPUT)
        except ValueError as error:
            _end(f"error: {error}", BAD_INPUT)
        except MemoryError as error:
            _end(f"error: out of memory: {error}" if str(error) else "error: out of memory", FAILED)
        except (OSError, RuntimeError) as error:
            _end(f"error: {str(error) or type(error).__name__}", FAILED)
        # Commands return nothing; a number is the code of typer's own exits, such as that of --help.
        sys.exit(result if isinstance(result, int) else 0)

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the command, as `click.Group.invoke`."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            # Typer would make a bare exit code of it.
            raise _EndedError(ctx.invoked_subcommand or "", error) from error


class _EndedError(Exception):
    def __init__(self, command: str, cause: KeyboardInterrupt) -> None:
        terminated = isinstance(cause, Terminated)
        how, self.code = ("terminated", TERMINATED) if terminated else ("interrupted", INTERRUPTED)
        left = "; ".join(getattr(cause, "__notes__", ())) or NOTHING_WRITTEN
        super().__init__(f"{how}: {command} was ended; {left}")


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Raise `Terminated` in the main thread on SIGTERM; a process that ignores the signal goes on ignoring it.

    Processes that help another one to train write nothing and end at once: while they wait for it, Python's own handlers do not run.
    """
    if launched().rank:
        yield
        return
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise_terminated(number: int, frame: Any) -> None:
    raise Terminated


def _end(message: str, code: int) -> None:
    # A terminal shows ^C where the cursor is.
    at_new_line = "\n" if code == INTERRUPTED and sys.stderr.isatty() else ""
    with suppress(ValueError):
        place = launched()
        # Ctrl-C reaches all processes; the first says what was written.
        if place.rank and code in (INTERRUPTED, TERMINATED):
            sys.exit(code)
        message = place.name + message
    say(at_new_line + short_line(message), err=True)
    sys.exit(code)
