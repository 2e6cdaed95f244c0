"""Several hundred bad command lines: each must end with one line that begins with ``error:``, whatever is wrong."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from sparcode.cli import app
from tests.commands.conftest import TINY_DATA
from tests.fakes import raising

# Made once: that takes longer than most of the cases.
COMMANDS = typer.main.get_command(app)
HUGE, LONG = "9" * 23, "9" * 5000
TITLE = "\x1b]0;title\x07"

# ``{run}`` is a kept run, ``{files}`` the folder of `FILES`, ``{new}`` a folder that is not there.
TRAIN = ("train", "--quiet")
EVALUATE = ("evaluate", "{run}", *TINY_DATA, "--json")
RETRIEVE = ("retrieve", "{run}")
ITEM = (*RETRIEVE, "--items", "3")
SERVE = ("serve", "{run}", "--workers", "1")
ONNX = ("export", "{run}", "{new}/queries.onnx", "--to", "onnx")
MILVUS = ("export", "{run}", "{new}/items.db", "--to", "milvus")
THROUGH = (*ITEM, "--through", "milvus", "--uri")
PREFIXES = {
    "train": TRAIN, "sweep": ("sweep", "--quiet"), "evaluate": EVALUATE, "retrieve": ITEM, "serve": SERVE, "export": MILVUS,
    "demo": ("demo",),
}  # fmt: skip


def table(*rows: str, header: str = "user,item,rating,timestamp") -> str:
    return "\n".join([header, *rows])


GOOD_ROWS = [f"{user},{item},{1 + (user + item) % 5},{item}" for user in range(30) for item in range(user % 3, 20, 2)]
GOOD = table(*GOOD_ROWS)
PAIRS = table(*(f"{user},{item}" for user in range(20) for item in range(6)), header="user_id,item_id")

# Tables to train on.
DATA = {
    "empty.csv": "",
    "blank.csv": "\n\n\n",
    "header.csv": "user,item\n",
    "one_row.csv": table("1,2,3,4"),
    "one_user.csv": table(*(f"1,{item},3,4" for item in range(50))),
    "one_item.csv": table(*(f"{user},1,3,4" for user in range(50))),
    "no_item.csv": table("1,2", header="user,rating"),
    "no_user.csv": table("1,2", header="item,rating"),
    "strange_header.csv": table("1,2", header="a,b"),
    "no_header.csv": "\n".join(GOOD_ROWS),
    "same_header.csv": table("1,2", header="user,user"),
    "empty_header.csv": table("1,2", header=","),
    "empty_users.csv": table(*(f",{item},3,4" for item in range(50))),
    "empty_items.csv": table(*(f"{user},,3,4" for user in range(50))),
    "escapes.csv": table("1,2", header=f"{TITLE},b"),
    "words_for_ratings.csv": table(*(f"{user},{item},good,1" for user in range(9) for item in range(9))),
    "nul.csv": "user,item\n1,\0\n",
    "binary.csv": b"\x00\xff\xfe\x80" * 100,
    "latin.csv": "user,item\n\xe9,\xe8\n".encode("latin-1"),
    "utf16.csv": GOOD.encode("utf-16"),
    "open_quote.csv": table('"1,2,3,4', *GOOD_ROWS),
    "many_fields.csv": table(*("1,2,3,4," + ",".join("5" * 50) for _ in range(50))),
    "long_number.csv": table(*(f"{user},{item},{LONG},1" for user in range(6) for item in range(6))),
    "lines.jsonl": '{"user": 1, "item": 2}\n',
    "empty.parquet": b"",
    "text.parquet": "PAR1 no",
    "magic.parquet": b"PAR1" + b"\0" * 50 + b"PAR1",
    "empty.zip": b"",
    "text.zip": "PK no",
    "cut.zip": b"PK\x03\x04" + b"\0" * 30,
    "unknown.xyz": GOOD,
    "without_extension": GOOD,
    "table.csv.gz": b"\x1f\x8b\x08",
    "u.data": "1\t1\t5\t1\n",
}
SETTINGS = {
    "empty": "",
    "blank": " \n",
    "word": "hello",
    "open": "{",
    "list": "[]",
    "number": "12",
    "null": "null",
    "string": '"model"',
    "trailing": '{"model": {}} more',
    "comma": '{"model": {},}',
    "quotes": "{'model': {}}",
    "nan": '{"training": {"dropout": NaN}}',
    "infinite": '{"training": {"learning_rate": Infinity}}',
    "deep": "[" * 5000,
    "digits": f'{{"split": {{"seed": {LONG}}}}}',
    "huge": f'{{"training": {{"epochs": {HUGE}}}}}',
    "unknown_stage": '{"modle": {}}',
    "unknown_field": '{"model": {"tokens": 3}}',
    "escapes": json.dumps({"model": {TITLE: 3}}),
    "stage_null": '{"model": null}',
    "stage_list": '{"model": []}',
    "stage_number": '{"model": 3}',
    "empty_choice": '{"model": {"encoder": ""}}',
    "wrong_choice": '{"model": {"encoder": "lstm"}}',
    "empty_number": '{"model": {"n_tokens": ""}}',
    "word_number": '{"model": {"n_tokens": "many"}}',
    "half": '{"model": {"n_tokens": 1.5}}',
    "list_number": '{"model": {"n_tokens": [3]}}',
    "too_small": '{"model": {"n_tokens": 0}}',
    "too_large": '{"model": {"n_tokens": 17}}',
    "odd_split": '{"model": {"token_dim": 10}, "quantizer": {"n_codebooks": 4}}',
    "many_codes": '{"quantizer": {"codebook_size": 16384, "n_codebooks": 8}}',
    "reversed_range": '{"training": {"keep_least": 0.9, "keep_most": 0.4}}',
    "heads": '{"model": {"encoder": "sasrec", "hidden_dim": 10, "attention_heads": 4}}',
    "removed": '{"training": {"soft_start": 2}}',
    "run_without_settings": '{"format_version": 3, "config": null}',
    "run_of_a_list": '{"format_version": 3, "config": []}',
    "latin": '{"model": "é"}'.encode("latin-1"),
    "utf16": '{"model": {}}'.encode("utf-16"),
    "binary": bytes(range(256)),
}
HISTORIES = {
    "empty": "",
    "blank": "\n \n",
    "word": "hello\n",
    "number": "12\n",
    "null": "null\n",
    "true": "true\n",
    "string": '"12"\n',
    "open": "[1\n",
    "trailing": "[1] 2\n",
    "no_items": "[]\n",
    "empty_id": '[""]\n',
    "blank_id": '[" "]\n',
    "one_empty_id": '["3", ""]\n',
    "empty_id_of_an_object": '{"items": [""]}\n',
    "null_id": "[null]\n",
    "list_id": "[[1]]\n",
    "object_id": "[{}]\n",
    "float_id": "[1.5]\n",
    "nan_id": "[NaN]\n",
    "unknown_id": '["nothing"]\n',
    "negative_id": "[-1]\n",
    "huge_id": f"[{HUGE}]\n",
    "digits": f"[{LONG}]\n",
    "long_id": json.dumps(["x" * 100_000]),
    "escapes": json.dumps([TITLE]),
    "surrogate": '["\\ud800"]\n',
    "deep": "[" * 5000 + "\n",
    "empty_object": "{}\n",
    "other_key": '{"history": [1]}\n',
    "items_null": '{"items": null}\n',
    "items_number": '{"items": 3}\n',
    "items_string": '{"items": "3"}\n',
    "about_list": '{"items": [3], "about": []}\n',
    "about_string": '{"items": [3], "about": "F"}\n',
    "about_empty_name": '{"items": [3], "about": {"": "F"}}\n',
    "about_empty_value": '{"items": [3], "about": {"gender": ""}}\n',
    "about_unknown": '{"items": [3], "about": {"gender": "F"}}\n',
    "second_line": "[3]\n[\n",
    "latin": '["é"]'.encode("latin-1"),
    "utf16": "[3]".encode("utf-16"),
    "binary": bytes(range(256)),
}
ID_LISTS = {
    "empty": "",
    "blank": "\n \n",
    "unknown": "nothing\n",
    "second": "3\nnothing\n",
    "two": "3 4\n",
    "comma": "3,4\n",
    "list": "[3]\n",
    "negative": "-1\n",
    "huge": f"{HUGE}\n",
    "long": "x" * 100_000,
    "escapes": f"{TITLE}\n",
    "latin": "é".encode("latin-1"),
    "binary": bytes(range(256)),
}
SPLITS = {
    "empty.csv": "",
    "header.csv": "user_id,item_id\n",
    "one_column.csv": table("1", header="user_id"),
    "other_columns.csv": table("1,2", header="a,b"),
    "other_users.csv": table("900,1", "901,2", header="user_id,item_id"),
    "empty_cells.csv": table(",1", "2,", header="user_id,item_id"),
    "binary.csv": b"\x00\xff\xfe\x80" * 100,
    "text.parquet": "no",
    "folder.csv": None,
}
SIDE_TABLES = {
    "empty.csv": "",
    "header.csv": "item,title\n",
    "other_columns.csv": table("1,2", header="a,b"),
    "binary.csv": b"\x00\xff\xfe\x80" * 100,
    "text.parquet": "no",
}
FILES: dict[str, str | bytes | None] = {
    "good.csv": GOOD,
    "pairs.csv": PAIRS,
    **{
        f"{folder}/{name}": content
        for folder, group in {
            "data": DATA, "settings": SETTINGS, "histories": HISTORIES, "ids": ID_LISTS, "splits": SPLITS, "sides": SIDE_TABLES,
        }.items()
        for name, content in group.items()
    },
}  # fmt: skip
RUN_FILES = ("run.json", "items.json", "model.safetensors", "manifest.json", "index")


def every_option() -> Iterator[tuple[str, ...]]:
    """Each flag of each command without a value, with an empty one, and with values that its type does not allow."""
    for name, command in COMMANDS.commands.items():
        prefix = PREFIXES[name]
        for parameter in command.params:
            flag = parameter.opts[0]
            if not flag.startswith("--") or getattr(parameter, "is_flag", False):
                continue
            yield *prefix, flag
            yield *prefix, flag, ""
            kind = str(parameter.type_descriptor.annotation)
            if "int" in kind:
                yield from ((*prefix, flag, bad) for bad in ("many", "1.5", HUGE, f"-{HUGE}", LONG))
            elif "float" in kind:
                yield from ((*prefix, flag, bad) for bad in ("many", "nan", "-inf", "1e999"))
            elif "|" in (parameter.metavar or ""):
                yield from ((*prefix, flag, bad) for bad in ("nonsense", TITLE))


def cases() -> Iterator[tuple[str, ...]]:
    """All command lines."""
    yield from every_option()
    yield from ((*TRAIN, "--data", f"{{files}}/data/{name}") for name in DATA)
    yield from ((*TRAIN, *TINY_DATA, "--config", f"{{files}}/settings/{name}") for name in SETTINGS)
    yield from ((*RETRIEVE, "--history", f"{{files}}/histories/{name}") for name in HISTORIES)
    yield from ((*ITEM, flag, f"{{files}}/ids/{name}") for name in ID_LISTS for flag in ("--allow", "--deny"))
    for name in SPLITS:
        yield *TRAIN, "--train", f"{{files}}/splits/{name}", "--test", "{files}/pairs.csv"
        yield *TRAIN, "--train", "{files}/pairs.csv", "--test", f"{{files}}/splits/{name}"
    for name in SIDE_TABLES:
        yield *TRAIN, "--data", "{files}/good.csv", "--items", f"{{files}}/sides/{name}", "--side-features", "items"
        yield *TRAIN, "--data", "{files}/good.csv", "--users", f"{{files}}/sides/{name}", "--side-features", "users"
    for name in (f"{change}-{name}" for name in RUN_FILES for change in ("lost", "cut", "other")):
        yield "evaluate", f"{{files}}/runs/{name}", *TINY_DATA
        yield "retrieve", f"{{files}}/runs/{name}", "--items", "3"
    yield from (
        (*ITEM, "--about", bad) for bad in ("gender", "=F", "gender=", " =F", "gender= ", "=", "gender=F", f"{TITLE}=F", f"a={LONG}", "é=ü")
    )
    yield from (
        (*RETRIEVE, "--items", bad)
        for bad in ("nothing", "-1", "3,4", "[3]", "3.0", HUGE, LONG, TITLE, "é", "\udc80", "3\0", "3\n4", "../3", "' or 1=1")
    )
    yield from ((*EVALUATE, *bad) for bad in CUTS)
    yield from (
        (*TRAIN, *TINY_DATA, "--out", bad)
        for bad in ("{run}", "{files}/good.csv", "{files}", "{files}/good.csv/run", "{files}/" + "x" * 300)
    )
    yield from ((*TRAIN, *TINY_DATA, "--out", bad, "--overwrite") for bad in ("{files}", "{files}/good.csv", "/dev/null", "/proc/run"))
    yield from USAGE
    yield from (
        (*TRAIN, "--data", "{files}/good.csv", f"--{column}-column", "nothing") for column in ("user", "item", "time", "rating", "title")
    )
    others = (("evaluate", TINY_DATA), ("retrieve", ("--items", "3")), ("serve", ()), ("export", ("x.db", "--to", "milvus")))
    yield from ((name, bad, *more) for name, more in others for bad in PLACES)
    yield from ((*SERVE, *bad) for bad in CUTS[:13])
    yield from ((*THROUGH, bad) for bad in ("items", "ftp://127.0.0.1", "{new}.db", "{files}/good.csv", "http:/x", "\udc80.db", TITLE))


CUTS = (
    ("--threshold", "-1e30"), ("--density", "0"), ("--density", "-0.1"), ("--density", "1.1"), ("--density", "0.99"),
    ("--max-bytes", "0"), ("--max-bytes", "-5"), ("--max-bytes", "1"), ("--per-list", "0"), ("--per-list", "-1"), ("--postings", "zip"),
    ("--threshold", "1", "--density", "0.1"), ("--density", "0.1", "--max-bytes", "5000"), ("--max-bytes", "5000", "--per-list", "3"),
    ("--split", "train"), ("--split", ""), ("--device", "tpu"), ("--threads", "0"), ("--threads", "1025"), ("--k", "0"), ("--k", "-3"),
    ("--synthetic-seed", "1"), ("--synthetic-n-items", "81"), ("--data", "{files}/good.csv"), ("--data", "ml-1m"),
    ("--data", "{files}/nowhere.csv"), ("--train", "{files}/pairs.csv", "--test", "{files}/pairs.csv"),
)  # fmt: skip
PLACES = ("{new}", "{files}", "{files}/good.csv", "{files}/good.csv/run", "{new}/deeper", "/dev/null", "x" * 300, "a\0b", "\udc80", TITLE)
USAGE = (
    ("",), ("fly",), ("Train",), (*TRAIN, "--data="), (*TRAIN, "--data", " \t"), (*TRAIN, "--out= "), (*RETRIEVE, "--items="),
    (*ITEM, "--items", ""), ("--fly",), ("train", "now"), ("train", "--fly"), ("train", "--quiet=3"), ("train", "--data"),
    (*TRAIN, "--k", "0"), (*TRAIN, "--k", "-1"), (*TRAIN, "--overwrite"), (*TRAIN, "--accept-terms"), (*TRAIN, "--download"),
    (*TRAIN, "--data", "{files}"), (*TRAIN, "--data", "{new}"), (*TRAIN, "--data", "/dev/null"), (*TRAIN, "--data", "a\0b"),
    (*TRAIN, "--data", "\udc80.csv"), (*TRAIN, "--data", f"{TITLE}.csv"), (*TRAIN, "--data", "x" * 5000), (*TRAIN, "--data", "ml-9m"),
    (*TRAIN, "--data", "http://127.0.0.1/data.csv"), (*TRAIN, "--train", "{files}/pairs.csv"), (*TRAIN, "--test", "{files}/pairs.csv"),
    (*TRAIN, "--data", "{files}/good.csv", "--train", "{files}/pairs.csv", "--test", "{files}/pairs.csv"),
    (*TRAIN, "--data", "{files}/good.csv", "--synthetic-n-users", "99"), (*TRAIN, "--data", "{files}/good.csv", "--embedding", "svd"),
    (*TRAIN, "--protocol", "fixed-split"), (*TRAIN, "--protocol", "cold-start"), (*TRAIN, "--items", "{files}/good.csv"),
    (*TRAIN, "--data", "{files}/good.csv", "--min-rating", "99"), (*TRAIN, "--config", "{new}"), (*TRAIN, "--config", "{files}"),
    (*TRAIN, "--token-dim", "10", "--n-codebooks", "4"), (*TRAIN, "--encoder", "mean", "--max-history", "20"),
    (*TRAIN, "--history-tokens", "3"), (*TRAIN, "--negatives", "popularity"), (*TRAIN, "--keep-least", "0.95"),
    (*TRAIN, *TINY_DATA, "--side-features", "users"), (*TRAIN, *TINY_DATA, "--min-history", "1000"),
    ("evaluate",), ("evaluate", "{run}", "{run}"), ("retrieve",), RETRIEVE, ("retrieve", "--items", "3"), (*ITEM, "--k", "0"),
    (*ITEM, "--history", "{files}/histories/number"), (*ITEM, "--allow", "{files}"), (*ITEM, "--deny", "{new}"),
    (*RETRIEVE, "--history", "{files}"), (*ITEM, "--about", "a=1", "--about", "a=2"), ("demo", "here"),
    *(("demo", "--port", port) for port in ("0", "65536", "-1")), ("serve",), ("serve", "{run}", "{run}"), ("export",), ("export", "{run}"),
    *((*SERVE, "--port", port) for port in ("65536", "-1")), *((*SERVE, "--host", host) for host in ("localhost", "300.1.1.1")),
    (*SERVE, "--workers", "0"), (*SERVE, "--workers", "257"), (*SERVE, "--drain-seconds", "-1"), ("export", "{run}", "x.db"),
    MILVUS, (*MILVUS, "--collection", "1 2"), (*MILVUS, "--threshold", "-1e30"), ("export", "{run}", "{files}", "--to", "milvus"), ONNX,
    (*ONNX, "--threshold", "1"), (*ONNX, "--collection", "x"), ("export", "{run}", "{files}", "--to", "onnx", "--overwrite"),
    ("export", "{run}", "{files}/good.csv", "--to", "onnx"), (*ITEM, "--through", "milvus"), (*ITEM, "--uri", "x.db"),
    (*ITEM, "--where", "year > 3"), (*ITEM, "--through", "faiss"),
)  # fmt: skip
CASES = list(dict.fromkeys(cases()))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, kept_run: Path) -> dict[str, str]:
    """What the placeholders stand for."""
    folder = tmp_path_factory.mktemp("bad")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    with zipfile.ZipFile(folder / "data" / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    for name in RUN_FILES:
        for change in ("lost", "cut", "other"):
            run = folder / "runs" / f"{change}-{name}"
            shutil.copytree(kept_run, run)
            spoil(run / name, change)
    return {"run": str(kept_run), "files": str(folder), "new": str(folder / "new")}


def spoil(path: Path, change: str) -> None:
    """Remove a file of a run, cut it, or write something else into it; of a folder, do so with its first file."""
    if path.is_dir():
        if change == "lost":
            shutil.rmtree(path)
            return
        path = min(path.iterdir())
    if change == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-7] if change == "cut" else b'{"a": 1}')


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line that is taken for a good one fails at once, instead of training or opening the studio."""
    for started in (
        "sparcode.comparison.run.Models",
        "sparcode.commands.demo.subprocess.Popen",
        "sparcode.service.processes.serve_processes",
    ):
        monkeypatch.setattr(started, raising(AssertionError("accepted")))


def test_there_are_several_hundred_cases() -> None:
    assert len(CASES) > 300


@pytest.mark.parametrize("arguments", CASES, ids=lambda words: " ".join(word[:40] for word in words).encode("unicode_escape").decode())
def test_a_bad_command_line_ends_with_one_line(
    arguments: tuple[str, ...], places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.replace("{run}", places["run"]).replace("{files}", places["files"]).replace("{new}", places["new"]) for word in arguments]
    with pytest.raises(SystemExit) as end:
        COMMANDS.main(words)
    assert end.value.code in (1, 2)
    printed, said = capsys.readouterr()
    assert printed == ""
    (line,) = said.splitlines()
    assert line.startswith("error: ")
    assert line.isprintable()
    assert len(line) < 1500
