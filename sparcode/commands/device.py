"""The --device flag."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

# Spelled out here, because sparcode.device imports torch, which takes seconds, and --help does not need it; a test compares the two.
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where networks run; auto takes CUDA where there is a GPU, else the processor.")
]
