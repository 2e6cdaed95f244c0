"""Sizes of the measured runs of the cost model: those that it is fitted to, over two decades and more, and those held out."""

from __future__ import annotations

from typing import Final, NamedTuple

from benchmarks.cost_formulas import Size
from sparcode.config import SyntheticConfig


class SearchRun(NamedTuple):
    """A trained model over a grown catalogue: its networks by name, its codebook, and the shares of scores kept."""

    family: str
    n_nearest: int
    codebook_size: int
    n_items: int
    shares: tuple[float, ...]


# Tokens and dimensions of the trained backbones.
FAMILIES: Final = {"4 x 16": (4, 16), "2 x 64": (2, 64), "8 x 32": (8, 32)}
SEARCHES: Final = (
    SearchRun("4 x 16", 1, 256, 1_200, (0.01, 0.05, 0.2)),
    SearchRun("4 x 16", 1, 256, 10_000, (0.001, 0.01, 0.2)),
    SearchRun("4 x 16", 1, 256, 100_000, (0.001, 0.01, 0.05, 0.2)),
    SearchRun("4 x 16", 4, 256, 3_000, (0.01, 0.05, 0.2)),
    SearchRun("4 x 16", 4, 256, 30_000, (0.001, 0.01, 0.05, 0.2)),
    SearchRun("4 x 16", 4, 256, 300_000, (0.001, 0.01, 0.05)),
    SearchRun("4 x 16", 8, 64, 10_000, (0.01, 0.2)),
    SearchRun("4 x 16", 8, 64, 100_000, (0.001, 0.05)),
    SearchRun("2 x 64", 4, 256, 10_000, (0.01, 0.05)),
    SearchRun("2 x 64", 4, 256, 100_000, (0.001, 0.01, 0.05)),
    SearchRun("8 x 32", 2, 512, 3_000, (0.01, 0.2)),
    SearchRun("8 x 32", 2, 512, 100_000, (0.001, 0.01, 0.1)),
    SearchRun("4 x 16", 1, 1024, 3_000_000, (0.0005, 0.005)),
)
HELD_OUT_SEARCHES: Final = (
    SearchRun("4 x 16", 2, 128, 50_000, (0.003, 0.03)),
    SearchRun("2 x 64", 8, 512, 200_000, (0.005, 0.1)),
    SearchRun("8 x 32", 4, 256, 20_000, (0.02,)),
    SearchRun("4 x 16", 4, 256, 1_000_000, (0.002, 0.02)),
    SearchRun("4 x 16", 1, 128, 5_000_000, (0.003,)),
    SearchRun("8 x 32", 1, 256, 2_000_000, (0.002,)),
    SearchRun("4 x 16", 2, 256, 10_000_000, (0.001,)),
)
BUILDS: Final = (
    *(Size(n, n_lists=64, density=share, token_dim=dim) for n, share, dim in ((1_000, 0.2, 64), (10_000, 0.05, 64), (30_000, 0.01, 16))),
    *(Size(n, n_lists=64, density=0.02, token_dim=128, interaction_dim=width) for n in (3_000, 30_000) for width in (8, 32)),
    Size(100_000, n_lists=32, density=0.002, token_dim=64),
    Size(300_000, n_lists=16, density=0.1, token_dim=32, interaction_dim=16),
)
HELD_OUT_BUILDS: Final = (
    Size(50_000, n_lists=100, density=0.1, token_dim=48, interaction_dim=12),
    Size(1_000_000, n_lists=24, density=0.01, token_dim=64),
)
ENCODINGS: Final = (
    Size(1_000, n_tokens=4, n_nearest=1, codebook_size=64, token_dim=16, hidden_dim=64, history=20),
    Size(10_000, n_tokens=4, n_nearest=4, codebook_size=256, token_dim=64, hidden_dim=256, history=50),
    Size(10_000, n_tokens=8, n_nearest=8, codebook_size=512, token_dim=32, hidden_dim=256, history=100),
    Size(100_000, n_tokens=2, n_nearest=4, codebook_size=1024, token_dim=64, hidden_dim=512, history=50),
    Size(100_000, n_tokens=4, n_nearest=8, codebook_size=2048, token_dim=64, hidden_dim=256, history=20),
    Size(3_000, n_tokens=1, n_nearest=1, codebook_size=64, token_dim=128, hidden_dim=1024, history=10),
    Size(30_000, n_tokens=4, n_nearest=2, n_codebooks=2, codebook_size=64, token_dim=64, hidden_dim=128, history=200),
    Size(30_000, n_tokens=8, n_nearest=4, n_codebooks=2, codebook_size=256, token_dim=64, hidden_dim=256, history=50),
)
HELD_OUT_ENCODINGS: Final = (
    Size(300_000, n_tokens=4, n_nearest=4, codebook_size=4096, token_dim=64, hidden_dim=256, history=50),
    Size(50_000, n_tokens=6, n_nearest=2, codebook_size=128, token_dim=32, hidden_dim=384, history=150),
    Size(5_000, n_tokens=4, n_nearest=8, n_codebooks=2, codebook_size=128, token_dim=32, hidden_dim=256, history=30),
)
TRAININGS: Final = (
    Size(1_000, 500, token_dim=16, codebook_size=64, n_nearest=4, history=20),
    Size(1_000, 1_500, token_dim=64, codebook_size=256, n_nearest=1, history=50, hidden_dim=128),
    Size(3_000, 5_000, token_dim=16, codebook_size=128, n_nearest=2, history=20, hidden_dim=64, n_tokens=2),
    Size(3_000, 1_500, token_dim=32, codebook_size=256, n_nearest=8, history=20, interaction_dim=32),
    Size(10_000, 1_500, token_dim=64, codebook_size=256, n_nearest=4, history=50, batch_size=256),
    Size(10_000, 500, token_dim=16, codebook_size=64, n_nearest=1, history=100, hidden_dim=512, n_negatives=500),
    Size(10_000, 15_000, token_dim=16, codebook_size=64, n_nearest=2, history=10, hidden_dim=64, n_tokens=2, n_negatives=300),
    Size(30_000, 5_000, token_dim=64, codebook_size=256, n_nearest=4, history=20, n_negatives=1_000),
    Size(100_000, 5_000, token_dim=32, codebook_size=512, n_nearest=1, history=20, n_negatives=2_000, batch_size=512),
    Size(30_000, 50_000, token_dim=16, codebook_size=64, n_nearest=1, history=10, hidden_dim=64, n_tokens=2, n_negatives=200),
)
HELD_OUT_TRAININGS: Final = (
    Size(2_000, 3_000, token_dim=32, codebook_size=128, n_nearest=4, history=30, hidden_dim=128, n_tokens=3),
    Size(50_000, 10_000, token_dim=64, codebook_size=256, n_nearest=2, history=20, n_negatives=500, batch_size=256),
    Size(300_000, 4_000, token_dim=16, codebook_size=128, n_nearest=4, history=20, hidden_dim=128, n_negatives=1_000),
    Size(20_000, 100_000, token_dim=16, codebook_size=64, n_nearest=1, history=10, hidden_dim=64, n_tokens=2, n_negatives=200),
    Size(8_000, 2_500, token_dim=32, codebook_size=256, n_nearest=1, history=40),
    Size(
        40_000,
        20_000,
        token_dim=32,
        codebook_size=512,
        n_nearest=4,
        history=15,
        hidden_dim=128,
        n_tokens=3,
        n_negatives=400,
        batch_size=256,
    ),
)
USERS_OF_CODES: Final = (100, 300, 1_000, 3_000, 10_000)


class RunPlan(NamedTuple):
    """What is measured."""

    searches: tuple[SearchRun, ...] = SEARCHES
    held_out_searches: tuple[SearchRun, ...] = HELD_OUT_SEARCHES
    builds: tuple[Size, ...] = BUILDS
    held_out_builds: tuple[Size, ...] = HELD_OUT_BUILDS
    encodings: tuple[Size, ...] = ENCODINGS
    held_out_encodings: tuple[Size, ...] = HELD_OUT_ENCODINGS
    trainings: tuple[Size, ...] = TRAININGS
    held_out_trainings: tuple[Size, ...] = HELD_OUT_TRAININGS
    flat_items: tuple[int, ...] = (1_000, 10_000, 100_000)
    held_out_flat_items: tuple[int, ...] = (300_000, 1_000_000)
    graph_items: tuple[int, ...] = (1_200, 5_000, 30_000)
    held_out_graph_items: tuple[int, ...] = (100_000,)
    users: tuple[int, ...] = USERS_OF_CODES
    held_out_users: tuple[int, ...] = (2_000, 16_000)
    data: SyntheticConfig = SyntheticConfig()
    backbone_epochs: int = 10
    n_queries: int = 24
    rounds: int = 5


QUICK: Final = RunPlan(
    searches=tuple(run._replace(shares=run.shares[-2:]) for run in SEARCHES if run.n_items <= 30_000 and run.family == "4 x 16"),
    held_out_searches=HELD_OUT_SEARCHES[:1],
    builds=BUILDS[:6],
    held_out_builds=HELD_OUT_BUILDS[:1],
    encodings=ENCODINGS[:4] + ENCODINGS[5:7],
    held_out_encodings=HELD_OUT_ENCODINGS[1:],
    trainings=tuple(size._replace(n_users=min(size.n_users, 1_500)) for size in TRAININGS[:8]),
    held_out_trainings=HELD_OUT_TRAININGS[:1],
    flat_items=(1_000, 10_000, 30_000),
    held_out_flat_items=(50_000,),
    graph_items=(1_200, 3_000),
    held_out_graph_items=(6_000,),
    users=(30, 100, 300),
    held_out_users=(480,),
    data=SyntheticConfig(n_users=600, n_items=1_200),
    backbone_epochs=2,
    n_queries=8,
    rounds=3,
)
