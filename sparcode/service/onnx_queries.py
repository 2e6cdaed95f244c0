"""The query side of a model as an ONNX file, for encoding queries without Python; checked with ONNX Runtime before it gets its name."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from sparcode.data.interactions import Histories
from sparcode.index.coded_model import merged_codes
from sparcode.index.whole_folder import clear_leftovers, hidden_folder
from sparcode.model.padded_queries import PaddedQuerySide
from sparcode.model.sparcode_model import SparCodeModel

N_SAMPLES, LONGEST_SAMPLE = 256, 200
# Both sides round differently, so of two codes that are equally near each may take another.
TIED_SHARE = 0.01
_TOLERANCE = 1e-4
# A file of Protocol Buffers has at most so many bytes.
MOST_BYTES = (1 << 31) - (1 << 20)


class CheckedFile(NamedTuple):
    """An ONNX file that was written: its bytes, how many histories it was checked on, and in how many of them codes tie."""

    size_bytes: int
    n_checked: int
    n_tied: int


def export_queries(model: SparCodeModel, path: Path, run_id: str, overwrite: bool = False, seed: int = 0) -> CheckedFile:
    """Write ``(items, lengths[, features]) -> (codes, weights)`` as `PaddedQuerySide` has it; the file appears once it is checked.

    It is checked on random histories, drawn from `seed`: codes must be those of the model, and weights within a share of 1e-4. Where two
    codes are equally near a token, up to rounding, either is right; that may be so in 1% of the histories.

    Raises
    ------
    ValueError
        If the file is there and `overwrite` is false, its folder is not, or its weights are larger than a file may be.
    RuntimeError
        If the file computes other codes; nothing is written.
    """
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; overwrite it or give another name")
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"{path} is a folder" if path.is_dir() else f"{path.parent} is no folder")
    side = PaddedQuerySide(model)
    n_bytes = sum(part.numel() * part.element_size() for part in side.state_dict().values())
    if n_bytes > MOST_BYTES:
        raise ValueError(f"the query side has {n_bytes:,} bytes of weights; an ONNX file takes at most {MOST_BYTES:,}")
    layer = model.backbone.tokenizer.encoder.features
    samples = _sample_histories(model.n_items, 0 if layer is None else layer.in_features, seed)
    clear_leftovers(path)
    with hidden_folder(path) as hidden:
        unfinished = hidden / path.name
        _write(side, samples, unfinished, {"run_id": run_id, "n_items": str(model.n_items)})
        n_tied = _check(unfinished, model, samples)
        size = unfinished.stat().st_size
        os.replace(unfinished, path)
    return CheckedFile(size, len(samples), n_tied)


def padded(queries: Histories) -> dict[str, np.ndarray]:
    """Inputs of the file for queries: `items` (B, L) int64, `lengths` (B,) int64 and, where there are any, `features` (B, F) float32."""
    lengths = queries.lengths
    items = np.zeros((len(queries), max(1, int(lengths.max(initial=1)))), dtype=np.int64)
    items[np.arange(items.shape[1]) < lengths[:, None]] = queries.items
    return {"items": items, "lengths": lengths} | ({} if queries.features is None else {"features": queries.features})


def _sample_histories(n_items: int, n_features: int, seed: int) -> Histories:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, LONGEST_SAMPLE + 1, N_SAMPLES)
    # As many short ones, and each of one item.
    lengths[::2] = rng.integers(1, 8, len(lengths[::2]))
    drawn = [rng.choice(n_items, min(length, n_items), replace=False).tolist() for length in lengths.tolist()]
    histories = Histories.from_lists(drawn, n_items)
    features = rng.normal(size=(N_SAMPLES, n_features)).astype(np.float32) if n_features else None
    return Histories(histories.indptr, histories.items, n_items, features)


def _write(side: PaddedQuerySide, samples: Histories, path: Path, about: dict[str, str]) -> None:
    # Tracing a GRU takes as long as its longest history; any length stands for all.
    short = np.argsort(samples.lengths, kind="stable")[len(samples) // 4 :][:3]
    inputs = {name: torch.from_numpy(part) for name, part in padded(samples.take(short)).items()}
    rows: dict[str, dict[int, str]] = {name: {0: "queries"} for name in inputs}
    rows["items"][1] = "longest"
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                side,
                tuple(inputs.values()),
                dynamo=True,
                verbose=False,
                input_names=list(inputs),
                output_names=["codes", "weights"],
                dynamic_shapes=rows,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise RuntimeError(f"PyTorch cannot export the query side: {str(error).splitlines()[0]}") from error
    finally:
        logger.setLevel(level)
    program.model.metadata_props.update({f"sparcode.{name}": value for name, value in about.items()})
    program.save(path, external_data=False)


def _check(path: Path, model: SparCodeModel, samples: Histories) -> int:
    """In how many samples codes tie; RuntimeError if they differ otherwise."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found, expected = merged_codes(*session.run(None, padded(samples))), merged_codes(*model.encode(samples))
    n_tied = 0
    for row in range(len(samples)):
        one, other = (_weights_of(codes[row], weights[row]) for codes, weights in (found, expected))
        if one.keys() == other.keys():
            same = np.allclose([one[code] for code in other], list(other.values()), rtol=_TOLERANCE, atol=1e-6)
        else:
            same = len(one) == len(other) and np.allclose(sorted(one.values()), sorted(other.values()), rtol=_TOLERANCE, atol=1e-6)
            n_tied += 1
        if not same or n_tied > TIED_SHARE * len(samples):
            raise RuntimeError(
                f"ONNX Runtime computes other codes than the model for sample history {row + 1} of {len(samples)}; nothing was written"
            )
    return n_tied


def _weights_of(codes: np.ndarray, weights: np.ndarray) -> dict[int, float]:
    used = weights > 0
    return dict(zip(codes[used].tolist(), weights[used].tolist(), strict=True))
