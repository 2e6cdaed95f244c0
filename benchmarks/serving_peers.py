"""Every way to serve the trained models that `benchmarks.end_to_end` compares, each at several settings."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.csr_search import CsrRetriever
from benchmarks.trained_models import TrainedModels
from sparcode.comparison.serving_peers import (
    ALL_TO_ALL,
    FLAT,
    HNSW,
    IVF_FLAT,
    IVF_PQ,
    SPARCODE,
    Peer,
    Sweep,
    all_to_all_peer,
    of_codes,
    sparse_peers,
    two_tower_peers,
    whole,
)
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import KeepDensity
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.training.pipeline import build_run_index

CSR, DIRECT = "SparCode (scipy CSR)", "SparCode (direct)"
KINDS = (SPARCODE, FLAT, HNSW, IVF_FLAT, IVF_PQ, CSR, DIRECT, ALL_TO_ALL)
EXCLUDE = ("ask_more", "selector")
FULL_SWEEP = Sweep(ef_search=(16, 64, 96, 128, 192, 256, 512), exclude=EXCLUDE, k_factor=(0.0, 2.0, 4.0))
QUICK_SWEEP = Sweep(
    densities=(0.2, 0.05), links=(16,), ef_search=(16, 128), n_lists=(0,), n_probe=(4, 16), exclude=EXCLUDE, k_factor=(0.0, 2.0)
)


def peers(models: TrainedModels, split: Split, config: RunConfig, sweep: Sweep, n_threads: int) -> list[Peer]:
    """Build all of them.

    Parameters
    ----------
    models
        Trained on `split`.
    split
        Its training queries say which codes have a list.
    config
        Index settings.
    sweep
        Settings to serve at.
    n_threads
        Threads that a batch may use in SparCode's index.
    """
    found = list(two_tower_peers(models.two_tower, sweep, split.validation.queries))
    for nearest, model in models.sparcode.items():
        index = build_run_index(model, split.train_queries, config.index)
        for peer in _of_index(model, index, sweep, config, n_threads):
            found.append(peer._replace(setting=f"P = {nearest}, {peer.setting}"))
    return [*found, all_to_all_peer(models.backbone)]


def _of_index(model: SparCodeModel, index: InvertedIndex, sweep: Sweep, config: RunConfig, n_threads: int) -> Iterator[Peer]:
    """SparCode by its own search, each setting followed by SciPy's; and without an index."""
    unseen = config.index.unseen
    for density, peer in zip(sweep.densities, sparse_peers(model, index, sweep.densities, unseen, n_threads), strict=True):
        yield peer
        product = CsrRetriever(model, index, KeepDensity(density).threshold(index), unseen)
        yield Peer(CSR, peer.setting, product, of_codes(model, product))
    threshold = KeepDensity(sweep.densities[0]).threshold(index)
    network = {"interaction network": sum(value.nbytes for value in model.backbone.interaction.state_dict().values())}
    direct = ExactRetriever(SparseDirectScorer(model, threshold), network)
    yield Peer(DIRECT, f"{100 * sweep.densities[0]:.3g}% of scores", direct, whole(direct))
