"""The processes that train one model together, and what they tell each other; alone, all of it does nothing.

Every process reads the data and draws the same batches. Each computes its share of a batch's queries, and what the whole batch would have
given is added up: gradients (`torch.nn.parallel.DistributedDataParallel`), moving averages of codebooks, validation.
"""

from __future__ import annotations

import datetime
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

# The first process may fit or measure alone for hours while the others wait; one that ends is noticed at once.
_PATIENCE: Final = datetime.timedelta(days=1)


class LostProcess(RuntimeError):
    """Another process of the training ended."""


class Ranks:
    """One process alone: `n` is 1, and every answer is what was given.

    Of several, `rank` counts from 0 to `n` - 1. All must call the methods in the same order, but `share` and `weight`, and get the same
    answers.
    """

    rank, n = 0, 1

    @property
    def is_first(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def share(self, n_rows: int) -> slice:
        """Rows of this process, of so many."""
        return slice(n_rows * self.rank // self.n, n_rows * (self.rank + 1) // self.n)

    def weight(self, n_rows: int) -> float:
        """Factor on a mean over this process's rows that makes the mean over processes the mean over all rows."""
        own = self.share(n_rows)
        return (own.stop - own.start) * self.n / n_rows

    def any(self, said: bool) -> bool:
        """Whether any process says so."""
        return said

    def add_up(self, values: Tensor) -> Tensor:
        """The sum of the processes' tensors, which have one shape."""
        return values

    def every(self, values: Tensor) -> list[Tensor]:
        """The tensors of all processes, which have one shape, in order."""
        return [values]

    def joined_rows(self, rows: np.ndarray) -> np.ndarray:
        """(n,) numbers of all processes one after the other; each may have another length."""
        return rows

    def n_rows(self, rows: Tensor) -> int:
        """How many rows the processes' tensors have together."""
        return len(rows)

    def picked(self, rows: Tensor, places: Tensor) -> Tensor:
        """The rows at (n,) int64 places of all processes' tensors one after the other."""
        return rows[places]

    def of_first(self, text: str, tensors: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
        """The first process's text and tensors; what the others give is not looked at."""
        return text, dict(tensors)

    def make_same(self, model: nn.Module) -> None:
        """Give the model the first process's weights and buffers."""

    def averaging(self, model: nn.Module) -> nn.Module:
        """A module to call in the model's place, so that gradients are means over processes; ValueError if there is none for it."""
        return model

    def connected(self) -> AbstractContextManager[None]:
        """Within, an error of the connection is a `LostProcess`."""
        return nullcontext()


class _Group(Ranks):
    def __init__(self, rank: int, n: int) -> None:
        self.rank, self.n = rank, n

    def any(self, said: bool) -> bool:
        return bool(self.add_up(torch.tensor(float(said))))

    def add_up(self, values: Tensor) -> Tensor:
        values = values.contiguous()
        with self.connected():
            dist.all_reduce(values)
        return values

    def every(self, values: Tensor) -> list[Tensor]:
        found = [torch.empty_like(values) for _ in range(self.n)]
        with self.connected():
            dist.all_gather(found, values.contiguous())
        return found

    def joined_rows(self, rows: np.ndarray) -> np.ndarray:
        counts = [int(count) for count in self.every(torch.tensor(len(rows)))]
        padded = np.zeros(max(counts), rows.dtype)
        padded[: len(rows)] = rows
        parts = self.every(torch.from_numpy(padded))
        return np.concatenate([part.numpy()[:count] for part, count in zip(parts, counts, strict=True)])

    def n_rows(self, rows: Tensor) -> int:
        return int(self.add_up(torch.tensor(len(rows))))

    def picked(self, rows: Tensor, places: Tensor) -> Tensor:
        before = sum(int(count) for count in self.every(torch.tensor(len(rows)))[: self.rank])
        places = places.to(rows.device) - before
        is_own = (places >= 0) & (places < len(rows))
        found = rows.new_zeros(len(places), rows.shape[1])
        found[is_own] = rows[places[is_own]]
        return self.add_up(found)

    def of_first(self, text: str, tensors: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
        kinds = [[name, str(value.dtype).removeprefix("torch."), list(value.shape)] for name, value in tensors.items()]
        text, kinds = json.loads(self._text_of_first(json.dumps([text, kinds])))
        found = {}
        for name, kind, shape in kinds:
            value = tensors[name].detach().contiguous().clone() if self.is_first else torch.empty(shape, dtype=getattr(torch, kind))
            found[name] = self._bytes_of_first(value)
        return text, found

    def make_same(self, model: nn.Module) -> None:
        state = model.state_dict()
        found = self.of_first("", {name: value.cpu() for name, value in state.items()})[1]
        model.load_state_dict(found)

    def averaging(self, model: nn.Module) -> nn.Module:
        has_rows = any(getattr(module, "sparse", False) for module in model.modules())
        if has_rows and next(model.parameters()).is_cuda:
            raise ValueError("embedding_steps=touched: several GPUs cannot average such steps; allowed is 'all', or one process")
        # Not every batch has a gradient for every weight.
        with warnings.catch_warnings():
            # The flag has another name from some version of PyTorch on; older ones know only this one.
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)

    @contextmanager
    def connected(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, dist.DistError) and "gloo" not in str(error):
                raise
            raise LostProcess("another process of this training has ended; its own message says why") from error

    def _text_of_first(self, text: str) -> str:
        content = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        length = torch.tensor(len(content))
        self._bytes_of_first(length)
        if not self.is_first:
            content = torch.empty(int(length), dtype=torch.uint8)
        return self._bytes_of_first(content).numpy().tobytes().decode()

    def _bytes_of_first(self, value: Tensor) -> Tensor:
        """Overwrite a contiguous tensor with that of the first process; as bytes, since not every type can be sent."""
        if value.numel():
            with self.connected():
                dist.broadcast(value.view(-1).view(torch.uint8), src=0)
        return value


ALONE: Final = Ranks()
_current: Ranks = ALONE


def current() -> Ranks:
    """The processes that this one trains with, see `joined`."""
    return _current


@contextmanager
def joined(rank: int, n: int, device: torch.device, local_rank: int = 0, n_local: int = 1) -> Iterator[Ranks]:
    """Train with the other processes of this one's group, until the end; with `n` = 1 alone.

    They meet at the address of the environment (``MASTER_ADDR``, ``MASTER_PORT``), as torchrun sets it, and speak by gloo on CPUs, nccl
    between GPUs. `local_rank` and `n_local` count processes of this machine, each of which takes one GPU.

    ValueError if there are fewer GPUs than processes; RuntimeError if the others cannot be reached.
    """
    global _current
    if n == 1:
        yield ALONE
        return
    if device.type == "cuda":
        if n_local > (n_gpus := torch.cuda.device_count()):
            raise ValueError(f"{n_local} processes for {n_gpus} GPUs; start at most as many processes, or add --device cpu")
        torch.cuda.set_device(local_rank)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", rank=rank, world_size=n, timeout=_PATIENCE)
    _current = _Group(rank, n)
    try:
        yield _current
    finally:
        _current = ALONE
    # Not after an error: the others may be waiting for what will not come.
    dist.destroy_process_group()
