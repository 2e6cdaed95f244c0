"""Every error becomes one line on standard error and an exit code; a traceback is left to faults of the program itself."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
# Typer carries its own copy of click in some versions and imports it in others; both are reached through the class it exports.
_USAGE_ERROR = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class CommandGroup(TyperGroup):
    """The commands, with errors in one line: exit code 2 for bad usage or input, 1 for a run that failed, 130 for an interruption."""

    def main(self, args: Any = None, *rest: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command line; as `click.Command.main`, which documents the arguments."""
        args = list(sys.argv[1:] if args is None else args) or ["--help"]
        if not standalone_mode:
            return super().main(args, *rest, standalone_mode=False, **extra)
        try:
            result = super().main(args, *rest, standalone_mode=False, **extra)
        except (KeyboardInterrupt, typer.Abort):
            sys.exit(INTERRUPTED)
        except _USAGE_ERROR as error:
            _stop(error.format_message(), BAD_INPUT)
        except ValueError as error:
            _stop(str(error), BAD_INPUT)
        except MemoryError as error:
            _stop(f"out of memory: {error}" if str(error) else "out of memory", FAILED)
        except (OSError, RuntimeError) as error:
            _stop(str(error) or type(error).__name__, FAILED)
        # Commands return nothing; a number is the code of typer's own exits, such as that of --help.
        sys.exit(result if isinstance(result, int) else 0)


def _stop(message: str, code: int) -> None:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)
