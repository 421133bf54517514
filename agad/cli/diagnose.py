"""The command that scores the test split with the models that a finished study has kept."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agad.cli.flags import (
    add_cache_flags,
    add_detector_flag,
    add_store_flag,
    import_detectors,
    node_cache,
)
from agad.cli.screen import screen
from agad.cli.warnings import warn
from agad.errors import ConfigError, StoreError
from agad.reading import (
    chosen_studies,
    store_uri,
    stored_diagnostics,
    stored_leaderboard,
    stored_winners,
)
from agad.records import DiagnosticRow, TrialRow, Winner, kept_prefix
from agad.report import (
    Leaderboard,
    confirmed_rows,
    count_text,
    has_ended,
    has_test_score,
    plain,
    terminal,
)

if TYPE_CHECKING:
    from agad.config import Study
    from agad.objects import ObjectStore
    from agad.records import Provenance
    from agad.store import StudyReader
    from agad.trial import LeakDiagnostics, Runtime, TrialSpec

NOT_KEPT = 1
"""Exit code: a confirmed trial did not keep its last epoch."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``diagnose``."""
    parser = commands.add_parser(
        "diagnose",
        help="what choosing by the test split would have added to a finished study",
    )
    add_store_flag(parser)
    parser.add_argument("--study", metavar="NAME", help="default: the only one of the store")
    add_cache_flags(parser)
    add_detector_flag(parser)
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    parser.set_defaults(do=_diagnose)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """One pass over the confirmed trials of a study."""

    objects: ObjectStore
    study: Study
    runtime: Runtime
    provenance: Provenance

    def run(self, specs: Sequence[TrialSpec], rows: Sequence[TrialRow]) -> list[TrialRow]:
        """Store the diagnostics of each trial; return the rows that kept no last epoch."""
        from agad.store import StudyStore
        from agad.trial import diagnose_kept

        store = StudyStore(self.objects, self.study.name)
        prefix = kept_prefix(self.study.name)
        without = []
        for place, (spec, row) in enumerate(zip(specs, rows, strict=True), start=1):
            found = diagnose_kept(spec, self.runtime, self.objects, prefix)
            if found is None:
                without.append(row)
                continue
            store.put_diagnostics(self._row(row, found))
            epochs = count_text(len(found.epochs), "epoch")
            print(f"{place}/{len(rows)} {plain(_name(row))}: {epochs} scored", flush=True)
        return without

    def _row(self, row: TrialRow, found: LeakDiagnostics) -> DiagnosticRow:
        from agad.trial import describe_hardware

        return DiagnosticRow(
            study=row.study,
            cell=row.cell,
            phase=row.phase,
            trial_key=row.trial_key,
            attempt=row.attempt,
            number=row.number,
            detector=row.detector,
            detector_version=row.detector_version,
            dataset=row.dataset,
            params=row.params,
            seeds=row.seeds,
            kept_epochs=found.epochs,
            kept_test_aurocs=found.test_aurocs,
            reported_test_auroc=found.test_auroc,
            oracle_best_epoch=found.oracle_best_epoch,
            oracle_best_epoch_test_auroc=found.oracle_best_epoch_test_auroc,
            optimism_gap=found.optimism_gap,
            bn_batchstats_ordered_test_auroc=found.bn_batchstats_ordered_test_auroc,
            bn_batchstats_shuffled_test_auroc=found.bn_batchstats_shuffled_test_auroc,
            commit=self.provenance.commit,
            is_dirty=self.provenance.is_dirty,
            versions=self.provenance.versions,
            hardware=describe_hardware(self.runtime.compute.device),
            diagnosed_at=datetime.now(UTC),
        )


def _diagnose(arguments: argparse.Namespace) -> int:
    import_detectors(arguments)
    # Ray and torch take seconds to import; a wrong flag is refused before that.
    from agad.data import Library
    from agad.detectors.compute import Compute
    from agad.objects import check_conditional_put, open_objects
    from agad.records import find_provenance
    from agad.store import StudyReader
    from agad.study import specs_of_rows
    from agad.trial import Runtime

    objects = open_objects(store_uri(arguments.store))
    name = _only(chosen_studies(objects, arguments.study), objects.uri)
    reader = StudyReader(objects, name)
    study = _study(reader, name)
    _check_kept(objects, study)
    board, winners = stored_leaderboard(objects, name), stored_winners(reader)
    _check_done(board, winners)
    runtime = Runtime(
        store=objects.uri,
        cache=node_cache(arguments),
        compute=Compute(device=arguments.device),
        num_threads=os.cpu_count() or 1,
    )
    rows = _undiagnosed(reader, board, winners)
    specs = specs_of_rows(study, Library(objects), rows, reader.config())
    check_conditional_put(objects)
    one_pass = _Pass(objects=objects, study=study, runtime=runtime, provenance=find_provenance())
    without = one_pass.run(specs, rows)
    page = stored_diagnostics(objects, board)
    if page is not None:
        screen().print(terminal(page))
    for row in without:
        warn(
            f"{_name(row)} kept no checkpoint of its last epoch, so it is not diagnosed: it ran "
            "before confirm.keep_every was set, or the store failed then."
        )
    return NOT_KEPT if without else 0


def _only(studies: Sequence[str], store: str) -> str:
    if len(studies) != 1:
        raise ConfigError(f"--study is missing, but {store} holds: {', '.join(studies)}; name one.")
    return studies[0]


def _study(reader: StudyReader, name: str) -> Study:
    from agad.config import Study

    try:
        return Study.from_json(reader.config())
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"the study.json of {name!r} is not one that this version wrote ({error}); restore it "
            "or name another --study."
        ) from error


def _check_kept(objects: ObjectStore, study: Study) -> None:
    if objects.list(f"{kept_prefix(study.name)}/"):
        return
    if study.confirm.keep_every is None:
        raise ConfigError(
            f"study {study.name!r} keeps no checkpoints to diagnose; set confirm=Confirm(..., "
            "keep_every=K) in its file before it confirms, or where it has, run it under another "
            "name."
        )
    raise ConfigError(
        f"study {study.name!r} has kept no checkpoint yet, but keeps each "
        f"{study.confirm.keep_every} epochs of the trials that it confirms from now on; run it to "
        "the end first, or where it has ended, under another name."
    )


def _check_done(board: Leaderboard, winners: Mapping[str, Winner]) -> None:
    if not has_ended(board, winners):
        raise ConfigError(
            f"study {board.study!r} is not done, but only a finished one is diagnosed, so that "
            "nothing is chosen by the test split; run it to the end first."
        )


def _undiagnosed(
    reader: StudyReader, board: Leaderboard, winners: Mapping[str, Winner]
) -> list[TrialRow]:
    """Return the rows that gave the leaderboard its test AUROCs and are not diagnosed yet."""
    rows = reader.trials()
    done = {(row.trial_key, row.attempt) for row in reader.diagnostics()}
    return [
        row
        for cell in board.cells
        for row in confirmed_rows(
            [one for one in rows if one.cell == cell.cell], winners.get(cell.cell)
        )
        if has_test_score(row) and (row.trial_key, row.attempt) not in done
    ]


def _name(row: TrialRow) -> str:
    return f"{row.cell} seed {', '.join(map(str, row.seeds))}"
