"""Flags: those that commands share, those made from settings, and groups of flags that reach a command as one argument."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from sparcode.commands.terminal import say
from sparcode.config import DEFAULT_K, Config
from sparcode.data.evaluation_protocol import FIXED_SPLIT

MAX_THREADS = 1024
# Numbers end in arrays of 64 bits.
MAX_NUMBER = 2**63 - 1
ThreadsOption = Annotated[int | None, typer.Option(min=1, max=MAX_THREADS, help="Processor threads to use; by default one per processor.")]
# Spelled out here, because sparcode.device imports torch, which takes seconds, and --help does not need it; a test compares the two.
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where networks run; auto takes CUDA where there is a GPU, else the processor.")
]
DepthOption = Annotated[
    int | None,
    typer.Option(
        "--k",
        min=1,
        max=MAX_NUMBER,
        help=f"Items retrieved per query (default {DEFAULT_K}; {FIXED_SPLIT.default_k} with --protocol fixed-split, as in its published "
        "tables), at most the catalogue.",
    ),
]


class CheckedCommand(TyperCommand):
    """A command all of whose values are checked: none may be empty, as that of an unset shell variable is, and numbers must be finite."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Parse a command line, as `click.Command.parse_args`; typer.BadParameter names the flag whose value is refused."""
        written = self.make_parser(ctx).parse_args(list(args))[0]
        for parameter in self.params if not written.get("help") else ():
            for text in _texts(written.get(parameter.name)):
                if not text.strip():
                    raise typer.BadParameter("must not be empty; is a shell variable not set?", ctx, parameter)
                if "\0" in text:
                    raise typer.BadParameter("must not hold a null character", ctx, parameter)
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(f"must be a finite number; got {value}", ctx, parameter)
        return rest


def _texts(written: Any) -> list[str]:
    values = written if isinstance(written, list | tuple) else [written]
    return [value for value in values if isinstance(value, str)]


def within_catalogue(k: int, n_items: int) -> int:
    """Items to retrieve per query: `k`, or all of a smaller catalogue, with a note on standard error."""
    if k > n_items:
        say(f"note: k={k} is cut to {n_items}, the number of items", err=True)
    return min(k, n_items)


class OptionGroup(NamedTuple):
    """Keyword parameters with typer annotations, and a function `build` that makes one argument of the command from their values."""

    parameters: tuple[inspect.Parameter, ...]
    build: Callable[..., Any]


def with_groups(**groups: OptionGroup) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of option groups, by the command's parameter that receives the built value."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [parameter for parameter in inspect.signature(command, eval_str=True).parameters.values() if parameter.name not in groups]
        flags = [parameter for group in groups.values() for parameter in group.parameters]

        @functools.wraps(command)
        def with_flags(**given: Any) -> None:
            built = {
                name: group.build(**{parameter.name: given.pop(parameter.name) for parameter in group.parameters})
                for name, group in groups.items()
            }
            command(**given, **built)

        positional = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        with_flags.__signature__ = inspect.Signature([*positional, *flags])
        with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in (*positional, *flags)}
        return with_flags

    return decorate


def option(name: str, kind: Any, help_text: str, panel: str | None = None, default: Any = None, **more: Any) -> inspect.Parameter:
    """One flag, under a heading (`panel`) of ``--help``; `more` goes to `typer.Option`."""
    # Spelled out, because a bool without a name of its own would get a second flag that switches it off.
    info = typer.Option(flag_name(name), help=help_text, rich_help_panel=panel, **more)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info])


def flag_name(parameter: str) -> str:
    """``min_rating`` -> ``--min-rating``."""
    return f"--{parameter.replace('_', '-')}"


def config_options(
    model: type[Config], panel: str, name_pattern: str = "{}", without: Collection[str] = ()
) -> tuple[inspect.Parameter, ...]:
    """One flag per field of a settings model, but those in `without`; a flag that is not given is None.

    Bounds are shown in the help and checked by the model, not by the parser: one rule, one message. `name_pattern` makes a flag's name of a
    field's, for instance ``"{}_column"``.
    """
    return tuple(
        _field_option(name_pattern.format(name), field, panel) for name, field in model.model_fields.items() if name not in without
    )


def _field_option(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
    choices = [arg for arg in get_args(field.annotation) if arg is not type(None)]
    metavar, kind = None, field.annotation
    if get_origin(field.annotation) is Literal:
        kind, metavar = str, "|".join(choices)
    elif choices:
        (kind,) = choices
    if kind not in (int, float, str):
        raise TypeError(f"{name}: no flag can be made of {field.annotation}")
    notes = [note for note in (_bounds(field), "" if field.default is None else f"default {field.default}") if note]
    help_text = f"{field.description} ({'; '.join(notes)})" if notes else str(field.description)
    return option(name, kind | None, help_text, panel, metavar=metavar)


def _bounds(field: FieldInfo) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    found = {rule: getattr(entry, rule) for entry in field.metadata for rule in words if getattr(entry, rule, None) is not None}
    if set(found) == {"ge", "le"}:
        return f"{found['ge']:g} to {found['le']:g}" if isinstance(found["ge"], float) else f"{found['ge']} to {found['le']}"
    return ", ".join(f"{words[rule]} {bound}" for rule, bound in found.items())
