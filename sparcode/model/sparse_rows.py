"""Sparse rows over the catalogue as a module's buffers, of a size that only the fitted or kept arrays know."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn


class SparseRows(nn.Module):
    """Rows of values of `n_items` items, in CSR form: `indptr` int64, `items` int32, `values` float32."""

    # Buffers that take the size of the kept ones.
    resized: tuple[str, ...] = ("indptr", "items", "values")

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.n_items = n_items

    def hold(self, rows: csr_array) -> None:
        """Take (n, I) float32 rows."""
        self.register_buffer("indptr", torch.from_numpy(rows.indptr.astype(np.int64)))
        self.register_buffer("items", torch.from_numpy(rows.indices.astype(np.int32)))
        self.register_buffer("values", torch.from_numpy(rows.data.astype(np.float32)))

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`indptr`, `items` and `values` as arrays."""
        return self.indptr.numpy(force=True), self.items.numpy(force=True), self.values.numpy(force=True)

    def belong_together(self, n_rows: int) -> bool:
        """Whether the arrays, read from a file, are `n_rows` rows of such items."""
        indptr, items, values = self.arrays
        return bool(
            len(indptr) == n_rows + 1
            and indptr[0] == 0
            and indptr[-1] == len(items) == len(values)
            and np.all(np.diff(indptr) >= 0)
            and (len(items) == 0 or (items.min() >= 0 and items.max() < self.n_items))
        )

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        for name in self.resized:
            if (kept := state.get(prefix + name)) is None:
                continue
            own = getattr(self, name)
            if kept.ndim != 1 or kept.dtype != own.dtype:
                raise ValueError(f"{prefix}{name} must be one row of {own.dtype}; got {kept.dtype} of shape {tuple(kept.shape)}")
            self.register_buffer(name, torch.empty_like(kept, device=own.device))
        super()._load_from_state_dict(state, prefix, *rest)
