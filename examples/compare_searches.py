"""Measure SparCode beside two-tower (exact and HNSW) and EASE on the same test users: `python examples/compare_searches.py`."""

from __future__ import annotations

from sparcode.baselines.ease import EASE
from sparcode.config import ModelConfig, QuantizerConfig, RunConfig, SyntheticConfig, TrainingConfig
from sparcode.data.loading import load
from sparcode.data.split import split_users
from sparcode.metrics.evaluation import evaluate
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.faiss import FaissRetriever
from sparcode.training.pipeline import build_run_index, serve, train_sparcode, train_two_tower


def main() -> None:
    """Train both networks for a few epochs; one line for each way to serve."""
    data = load(SyntheticConfig(n_users=300, n_items=200))
    settings = RunConfig(
        model=ModelConfig(hidden_dim=32),
        quantizer=QuantizerConfig(codebook_size=32),
        training=TrainingConfig(epochs=12, joint_epochs=6, batch_size=32, learning_rate=0.01),
    )
    config = RunConfig.for_data(data.synthetic, settings)
    split = split_users(data, config.split)
    model, _, _ = train_sparcode(split, config)
    two_tower, _ = train_two_tower(split, config)
    retrievers = {
        "SparCode": serve(model, build_run_index(model, split.train, config.index), config.index),
        "two-tower, exact": FaissRetriever(two_tower, "flat"),
        "two-tower, HNSW": FaissRetriever(two_tower, "hnsw", {"ef_search": 128}),
        "EASE": ExactRetriever(EASE().fit(split.train)),
    }
    for name, retriever in retrievers.items():
        measured = evaluate(retriever, split.test, k=20)
        size = sum(measured.size_bytes.values())
        print(f"{name:16} recall {measured.recall:.3f}, median {measured.latency.p50_ms:.3f} ms, {size:,} bytes")


if __name__ == "__main__":
    main()
