"""What Prometheus, MLflow, Weights & Biases and the store are told of a study on a real Ray."""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
import ray

from agad.config import Asha, Confirm, Grid, LogUniform, Search, Study
from agad.detectors import Agad
from agad.executor.tune import ClusterOptions, run_study
from agad.executor.tune.metrics import METRICS, STATES
from agad.objects import open_objects
from agad.store import StudyStore

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore::UserWarning")]

STUDY = Study(
    name="watched",
    cells=Grid(dataset="digits", normal_class=[0, 8]),
    detector=Agad(base_width=2, discriminator_width=4, batch_size=32, min_batch_anomalies=16),
    search=Search(space={"lr": LogUniform(1e-4, 5e-3)}, trials_per_cell=3),
    scheduler=Asha(max_epochs=3, grace_period=1, reduction_factor=3),
    confirm=Confirm(seeds=1),
)
CELLS = ["digits class=0 ratio=0", "digits class=8 ratio=0"]


def _needs(*packages: str) -> pytest.MarkDecorator:
    """Skip a test, before its Ray starts, where a package is not installed."""
    lacking = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(lacking), reason=f"not installed: {', '.join(lacking)}")


@pytest.fixture
def local_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, text in {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        _system_config={"metrics_report_interval_ms": 2000},
    )
    yield
    ray.shutdown()


def _store(options: ClusterOptions, tmp_path: Path) -> StudyStore:
    return StudyStore(open_objects(options.store), STUDY.name, tmp_path / "spool")


def _scraped() -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Return this node's metrics of ours: values by labels by name, Ray's own labels left out."""
    (node,) = ray.nodes()  # type: ignore[no-untyped-call]
    url = f"http://127.0.0.1:{node['MetricsExportPort']}/metrics"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    text = opener.open(url, timeout=10).read().decode()
    values: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for name, labels, value in re.findall(r"^ray_(agad_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        pairs = re.findall(r'(\w+)="([^"]*)"', labels)
        ours = frozenset(pair for pair in pairs if pair[0] in ("study", "cell", "state"))
        values.setdefault(name, {})[ours] = float(value)
    return values


@contextmanager
def _scraping() -> Iterator[dict[str, dict[frozenset[tuple[str, str]], float]]]:
    """Collect the last value that each series has while the block runs."""
    values: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    is_over = threading.Event()

    def collect() -> None:
        while not is_over.wait(0.3):
            for name, series in _scraped().items():
                values.setdefault(name, {}).update(series)

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield values
    finally:
        is_over.set()
        thread.join()


@contextmanager
def _titles() -> Iterator[set[str]]:
    """Collect the titles that this host's processes have while the block runs."""
    titles: set[str] = set()
    is_over = threading.Event()

    def collect() -> None:
        while not is_over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    titles.add(path.read_bytes().split(b"\0")[0].decode(errors="replace"))

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield titles
    finally:
        is_over.set()
        thread.join()


@pytest.mark.usefixtures("local_ray")
@pytest.mark.nightly
def test_prometheus_and_the_store_are_told_how_the_study_ended(
    options: ClusterOptions, tmp_path: Path
) -> None:
    store = _store(options, tmp_path)
    with _titles() as titles, _scraping() as values:
        run_study(STUDY, store, options)
        ended_s = time.monotonic()
        while not values or _scraped():
            assert time.monotonic() - ended_s < 60, "series of a study that is over stay"
            time.sleep(0.5)
    # Ray's dashboard shows the titles of its workers.
    assert any(re.match(r"ray::digits-class=[08]-ratio=0-search-[012]-", one) for one in titles)
    rows = store.trials()
    running = frozenset({("study", "watched")})

    assert values.keys() == METRICS.keys()
    assert values["agad_running_trials"] == {running: 0}
    for cell in CELLS:
        labels = {("study", "watched"), ("cell", cell)}
        search = [row for row in rows if (row.cell, row.phase) == (cell, "search")]
        counts = {
            one: values["agad_trials"][frozenset({*labels, ("state", one)})] for one in STATES
        }
        assert sum(counts.values()) == 3
        assert counts["finished"] == sum(row.state == "finished" for row in search)
        assert counts["stopped"] == sum(row.state == "pruned" for row in search)
        bests = [
            row.val_auroc for row in store.epochs() if (row.cell, row.phase) == (cell, "search")
        ]
        best = max(score for score in bests if score is not None)
        assert values["agad_best_val_auroc"][frozenset(labels)] == pytest.approx(best)
        epochs = sum(row.epochs for row in rows if row.cell == cell)
        assert values["agad_epochs"][frozenset(labels)] == epochs

    bulletin = store.bulletin()
    assert bulletin is not None
    assert bulletin.state == "done"
    assert [cell.phase for cell in bulletin.status.cells] == ["done", "done"]
    assert sum(cell.epochs for cell in bulletin.status.cells) == sum(row.epochs for row in rows)
    seconds = sum(cell.seconds for cell in bulletin.status.cells)
    assert seconds == pytest.approx(sum(row.seconds for row in rows))


@_needs("mlflow", "sqlalchemy")
@pytest.mark.usefixtures("local_ray")
def test_mlflow_has_a_run_a_trial_with_its_parameters_its_scores_and_its_end(
    options: ClusterOptions, tmp_path: Path
) -> None:
    mlflow = pytest.importorskip("mlflow")
    store = _store(options, tmp_path)
    run_study(
        STUDY, store, ClusterOptions(store=options.store, cache=options.cache, log_to=("mlflow",))
    )

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("watched")
    runs = client.search_runs([experiment.experiment_id])
    rows = {(row.cell, row.phase, str(row.number)): row for row in store.trials()}
    assert len(runs) == len(rows) == 8
    for run in runs:
        params = run.data.params
        row = rows[params["cell"], params["phase"], params["number"]]
        assert params["state"] == row.state
        assert f'"lr": {params["lr"]}' in row.params
        assert run.data.metrics["val_auroc"] == row.val_auroc
        history = client.get_metric_history(run.info.run_id, "val_auroc")
        assert {one.step for one in history} == {1, row.epochs}


@_needs("wandb")
@pytest.mark.usefixtures("local_ray")
def test_wandb_writes_an_offline_run_a_trial(options: ClusterOptions, tmp_path: Path) -> None:
    store = _store(options, tmp_path)
    run_study(
        STUDY, store, ClusterOptions(store=options.store, cache=options.cache, log_to=("wandb",))
    )

    files = list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 8
    text = b"".join(path.read_bytes() for path in files)
    assert b"val_auroc" in text
    assert b"digits class=8 ratio=0" in text
    assert text.count(b"finished") >= 2
