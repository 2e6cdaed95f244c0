"""Approximate retrieval: item vectors searched with faiss, by inner product."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal

import numpy as np

from sparcode.config import Config
from sparcode.data.interactions import Histories
from sparcode.retrieval.contract import VectorModel
from sparcode.retrieval.faiss_configs import FAISS_CONFIGS
from sparcode.retrieval.faiss_search import build_faiss, faiss_bytes, search_faiss
from sparcode.retrieval.top_k import Retrieved, check_k


class FaissRetriever:
    """Search item vectors with faiss, by inner product.

    Parameters
    ----------
    vector_model
        Gives query and item vectors; the items are indexed now.
    kind
        ``"flat"`` (exact), ``"hnsw"``, ``"ivfflat"`` or ``"ivfpq"``.
    params
        Settings of that kind, see `sparcode.retrieval.faiss_configs`.

    Raises
    ------
    ValueError
        If `kind` or a setting is unknown or out of bounds, or the vectors are not usable.
    """

    def __init__(
        self,
        vector_model: VectorModel,
        kind: Literal["flat", "hnsw", "ivfflat", "ivfpq"] = "flat",
        params: Mapping[str, int | float | str] | None = None,
    ) -> None:
        if kind not in FAISS_CONFIGS:
            raise ValueError(f"kind must be one of {', '.join(FAISS_CONFIGS)}; got {kind!r}")
        self.kind = kind
        self.config: Config = FAISS_CONFIGS[kind].model_validate(dict(params or {}))
        self._model = vector_model
        self._index = build_faiss(vector_model.item_vectors(), self.config)

    def retrieve(self, queries: Histories, k: int) -> Retrieved:
        """The k best items found for every query that are not in it; ties at the last place are faiss's choice. See `Retriever`."""
        check_k(k)
        return self.retrieve_vectors(self._model.query_vectors(queries), queries, k)

    def retrieve_vectors(self, vectors: np.ndarray, seen: Histories | None, k: int) -> Retrieved:
        """Retrieve for queries that are encoded already: (B, D') float32, with B rows of items to leave out; see `search_faiss`."""
        return search_faiss(self._index, vectors, k, seen)

    def with_params(self, params: Mapping[str, int | float | str]) -> FaissRetriever:
        """The same index searched otherwise.

        Parameters
        ----------
        params
            Only ``ef_search``, ``exclude``, ``n_probe`` and, where there is re-ranking, ``k_factor`` matter after building.

        Raises
        ------
        ValueError
            If another setting is named, one the kind does not have, or a value is out of bounds.
        """
        refined = {"k_factor"} if getattr(self.config, "k_factor", 0) else set()
        allowed = sorted({"ef_search", "exclude", "n_probe"} & set(type(self.config).model_fields) | refined)
        if other := sorted(set(params) - set(allowed)):
            raise ValueError(
                f"{', '.join(other)} cannot be changed in a built {self.kind} index; allowed: {', '.join(allowed) or 'nothing'}"
            )
        changed = copy.copy(self)
        changed.config = type(self.config).model_validate(self.config.model_dump() | dict(params))
        if refined and not changed.config.k_factor:
            raise ValueError("k_factor cannot be 0 in an index built with re-ranking")
        changed._index = self._index._replace(config=changed.config)
        return changed

    def size_bytes(self) -> dict[str, int]:
        """Bytes of vectors, links, codes and tables, by part."""
        return faiss_bytes(self._index)
