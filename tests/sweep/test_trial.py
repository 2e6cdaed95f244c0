"""Real trials on tiny data: what they keep, what they share, and where they run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from app.kept.runs import KeptRuns
from sparcode.config import RunConfig, SweepConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import split_users
from sparcode.metrics.accuracy import recall_by_query
from sparcode.runs.sources import load_sources
from sparcode.runs.store import load_run
from sparcode.sweep import trial as trial_module
from sparcode.sweep.backbones import BACKBONES, backbone_key, backbone_path, shared_backbone
from sparcode.sweep.data import load_data
from sparcode.sweep.executors import DaskCluster, Processes, WorkerDied
from sparcode.sweep.folder import Sweep, create, load
from sparcode.sweep.request import TrialRequest
from sparcode.sweep.run import run_sweep
from sparcode.sweep.session import session
from sparcode.sweep.space import parse_space
from sparcode.sweep.trial import run_trial
from sparcode.training.pipeline import serve, train_backbone
from tests.sweep.planted import Inline
from tests.tiny import CONFIG, changed, tiny_data, tiny_split

VARIES = ("codebook_size=4,6,8", "n_nearest=1,2,4")


def tiny_sweep(folder: Path, texts: tuple[str, ...] = VARIES, config: RunConfig = CONFIG, **search: object) -> Path:
    """A sweep's folder on tiny data."""
    search = {"sampler": "random", "trials": 4} | search
    create(folder, tiny_data(), config, parse_space(texts), SweepConfig(**search))
    return folder


def run_here(folder: Path) -> Sweep:
    """Run a sweep in this process."""
    executor = Inline(run_trial)
    executor.threads = 0
    assert run_sweep(folder, executor) == "complete"
    return load(folder)


def figures(sweep: Sweep) -> list[tuple]:
    """All that does not depend on the machine's speed."""
    return [
        (trial.params, trial.epochs, [(point.threshold, point.recall, point.ndcg, point.size_bytes) for point in trial.curve], trial.error)
        for trial in sweep.trials
    ]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A finished sweep; not to be changed."""
    return run_here(tiny_sweep(tmp_path_factory.mktemp("swept") / "sweep"))


def test_a_trial_is_a_run_with_its_whole_curve(swept: Sweep) -> None:
    assert [trial.state for trial in swept.trials] == ["complete"] * 4
    for trial in swept.trials:
        run = load_run(swept.run_folder(trial.number))
        assert run.config == trial.settings
        assert run.config.quantizer.codebook_size == trial.params["quantizer.codebook_size"]
        sizes = [point.size_bytes for point in trial.curve]
        assert sizes == sorted(set(sizes), reverse=True)
        assert len(sizes) >= 10
        assert sizes[0] == sum(run.index.size_bytes(run.index.floor).values())
        own = next(point for point in trial.curve if point.is_own)
        validation = tiny_split().validation
        found = serve(run.model, run.index, run.config.index).retrieve(validation.queries, 50).item_ids
        assert own.recall == pytest.approx(recall_by_query(found, validation.targets, 50, validation.protocol).mean())
        assert own.threshold == pytest.approx(run.model.threshold)
        assert max(epoch.recall for epoch in trial.epochs) == pytest.approx(own.recall)


def test_trials_share_one_backbone_and_one_file_of_histories(swept: Sweep) -> None:
    (backbone,) = (swept.folder / BACKBONES).glob("*.safetensors")
    sources = [load_sources(swept.run_folder(number), load_run(swept.run_folder(number))) for number in range(4)]
    assert all(source.interactions.content_hash() == tiny_data().content_hash() for source in sources)
    assert backbone.stat().st_nlink == 5
    assert {os.stat(swept.run_folder(number) / "histories.safetensors").st_ino for number in range(4)} == {
        os.stat(swept.folder / "data" / "histories.safetensors").st_ino
    }


def test_the_same_sweep_again_has_the_same_trials_and_figures(swept: Sweep, tmp_path: Path) -> None:
    assert figures(run_here(tiny_sweep(tmp_path / "again"))) == figures(swept)


def test_processes_run_the_same_sweep(swept: Sweep, tmp_path: Path) -> None:
    folder = tiny_sweep(tmp_path / "sweep")
    assert run_sweep(folder, Processes(2, torch.get_num_threads())) == "complete"
    assert_alike(load(folder), swept)


def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    request = TrialRequest(str(tmp_path), 0, {}, "", "")
    with Processes(1, 1) as executor:
        first = executor.submit(request)
        while not executor._workers:
            assert not first.done()
        for worker in list(executor._workers):
            worker.kill()
        with pytest.raises(WorkerDied, match="killed by SIGKILL, as happens where memory runs out"):
            first.result()
        with pytest.raises(ValueError, match="is not the folder of a sweep"):
            executor.submit(request).result()


def test_a_process_outlives_a_term_signal_goes_first_without_memory_and_leaves_no_zombie(tmp_path: Path) -> None:
    request = TrialRequest(str(tmp_path), 0, {}, "", "")
    with Processes(1, 1) as executor:
        with pytest.raises(ValueError, match="is not the folder of a sweep"):
            executor.submit(request).result()
        (worker,) = executor._workers
        pid = worker._process.pid
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n"
        os.kill(pid, signal.SIGTERM)
        with pytest.raises(ValueError, match="is not the folder of a sweep"):
            executor.submit(request).result()
        assert {one._process.pid for one in executor._workers} == {pid}
    assert not Path(f"/proc/{pid}").exists()


def assert_alike(sweep: Sweep, other: Sweep) -> None:
    """The same trials; with other threads, sums differ in their last digits, and so may the stops of a curve."""
    for ours, theirs in zip(figures(sweep), figures(other), strict=True):
        assert ours[0] == theirs[0]
        assert (ours[3], max(point[1] for point in ours[2])) == (theirs[3], pytest.approx(max(point[1] for point in theirs[2]), abs=0.1))


@pytest.mark.usefixtures("plain_main")
def test_a_dask_cluster_runs_the_same_sweep(swept: Sweep, tmp_path: Path) -> None:
    from distributed import LocalCluster

    folder = tiny_sweep(tmp_path / "sweep")
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(**settings, silence_logs=50) as cluster:
        executor = DaskCluster(cluster.scheduler_address)
        assert executor.n_workers == 2
        assert run_sweep(folder, executor) == "complete"
    assert_alike(load(folder), swept)


def test_where_no_scheduler_is_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparcode.sweep.executors._CONNECT_SECONDS", 0.2)
    with pytest.raises(ValueError, match=r"--scheduler tcp://127.0.0.1:9: no Dask scheduler answers there"):
        DaskCluster("tcp://127.0.0.1:9")


def test_settings_that_share_a_backbone_have_the_same_one() -> None:
    same = [
        changed(quantizer={"codebook_size": 4}),
        changed(training={"joint_epochs": 1, "joint_learning_rate": 1e-3, "codebook_learning_rate": 1e-3, "density": 0.1}),
        changed(training={"joint_teacher": "backbone"}),
        changed(model={"item_lists": "counts"}),
        changed(index={"floor_density": 0.9}),
    ]
    split = tiny_split()
    weights = train_backbone(split, CONFIG)[0].state_dict()
    for config in same:
        assert backbone_key(config) == backbone_key(CONFIG)
        assert all(torch.equal(value, weights[name]) for name, value in train_backbone(split, config)[0].state_dict().items())
    for config in (changed(training={"batch_size": 16}), changed(model={"n_tokens": 2}), changed(training={"epochs": 5})):
        assert backbone_key(config) != backbone_key(CONFIG)


def test_pruned_and_failed_trials_keep_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparcode.sweep.journal._UNJUDGED_TRIALS", 1)
    texts = ("n_codebooks=2,3", "n_nearest=4,1")
    sweep = run_here(tiny_sweep(tmp_path / "sweep", texts, sampler="grid", pruner="median"))
    assert [trial.state for trial in sweep.trials] == ["complete", "pruned", "failed", "failed"]
    assert [trial.error for trial in sweep.trials if trial.state == "failed"] == ["token_dim=8 must be a multiple of n_codebooks=3"] * 2
    pruned = sweep.trials[1]
    assert [epoch.epoch for epoch in pruned.epochs] == [0, 1]
    assert not pruned.curve
    with pytest.raises(ValueError, match=r"trial 1 of .* has no run"):
        sweep.run_folder(1)
    assert {path.name for path in (sweep.folder / "runs").iterdir()} == {trial.run for trial in sweep.complete}


def test_a_trial_whose_session_is_over_leaves_nothing(tmp_path: Path) -> None:
    folder = tiny_sweep(tmp_path / "sweep")
    identity = load(folder).definition.identity
    assert not run_trial(TrialRequest(str(folder), 0, {"quantizer.codebook_size": 4}, "another session", identity))
    assert load(folder).trials == ()
    assert not (folder / "runs").exists()


def test_a_worker_that_sees_another_sweep_or_other_data_says_so(tmp_path: Path) -> None:
    folder = tiny_sweep(tmp_path / "sweep")
    with session(folder) as word, pytest.raises(ValueError, match="holds another sweep"):
        run_trial(TrialRequest(str(folder), 0, {}, word, "0" * 16))
    trial_module._loaded.cache_clear()
    path = folder / "data" / "histories.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"histories\.safetensors is damaged"):
        run_sweep(folder, Inline(run_trial))


def test_data_that_is_not_kept_is_read_again(tmp_path: Path, tiny_table: Path) -> None:
    from sparcode.data.loading import TrainTestFiles, load_split

    test_file = tmp_path / "test.csv"
    test_file.write_text("user_id,item_id\nu0,i1\nu1,i2\nu2,i3\n")
    config = RunConfig.for_data(False, CONFIG, "fixed-split")
    files = TrainTestFiles(tiny_table, test_file)
    data, _ = load_split(files, config.split, progress=False)
    space = parse_space(VARIES)
    with pytest.raises(ValueError, match="needs the place it was read from"):
        create(tmp_path / "no", data, config, space)
    definition = create(tmp_path / "sweep", data, config, space, source=files, k=20)
    assert not (tmp_path / "sweep" / "data").exists()
    assert load_data(tmp_path / "sweep", definition)[0].content_hash() == data.content_hash()
    test_file.write_text("user_id,item_id\nu0,i1\nu1,i2\nu2,i4\n")
    with pytest.raises(ValueError, match="is not what it was when the sweep began"):
        load_data(tmp_path / "sweep", definition)


def test_the_kept_data_is_the_data(tmp_path: Path) -> None:
    folder = tiny_sweep(tmp_path / "sweep")
    data, split = load_data(folder, load(folder).definition)
    assert isinstance(data, Interactions)
    assert data.content_hash() == tiny_data().content_hash()
    assert split.content_hash() == split_users(tiny_data(), CONFIG.split).content_hash()
    assert data.items.equals(tiny_data().items)


def test_a_damaged_backbone_is_named(tmp_path: Path) -> None:
    folder = tiny_sweep(tmp_path / "sweep")
    path = backbone_path(folder, CONFIG)
    path.parent.mkdir()
    path.write_bytes(b"nothing")
    facts = load(folder).definition.data.facts
    with pytest.raises(ValueError, match=rf"{path.name} is damaged"):
        shared_backbone(folder, tiny_split(), CONFIG, facts, "cpu", lambda: None, lambda record: None, lambda: False)


def test_a_trials_run_becomes_one_of_the_studios(swept: Sweep, tmp_path: Path) -> None:
    from app.kept.adopted import adopted_run

    kept, number = KeptRuns(tmp_path / "runs"), swept.complete[-1].number
    assert kept.keep("from-a-sweep", adopted_run(swept.run_folder(number))) == "from-a-sweep"
    opened, about = kept.open("from-a-sweep"), kept.about("from-a-sweep")
    assert opened.run.config == swept.complete[-1].settings
    assert about.n_backbone_records + len(swept.complete[-1].epochs) == len(opened.run.records)
    assert 0 < about.result["recall"] <= 1
    assert opened.models.tuned(opened.run.config) is not None
