"""The command line: one file per command in `sparcode.commands`."""

from __future__ import annotations

import os
from contextlib import suppress

import typer

from sparcode.commands.demo import demo
from sparcode.commands.errors import CommandGroup
from sparcode.commands.evaluate import evaluate
from sparcode.commands.export import export
from sparcode.commands.flags import CheckedCommand
from sparcode.commands.process import keep_freed_memory, launched
from sparcode.commands.retrieve import retrieve
from sparcode.commands.serve import serve
from sparcode.commands.sweep import sweep
from sparcode.commands.train import train

app = typer.Typer(
    cls=CommandGroup,
    help="SparCode: sparse codes for candidate retrieval.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (train, sweep, evaluate, retrieve, serve, export, demo):
    app.command(cls=CheckedCommand)(command)


def main() -> None:
    """Run the command line."""
    # Read when torch is loaded: threads that wait by spinning slow each other down many times over on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # The command that needs the numbers refuses bad ones in one line.
    with suppress(ValueError):
        if launched().n > 1:
            # Hints of torch's that people can do nothing about, one from each process.
            os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    keep_freed_memory()
    app()
