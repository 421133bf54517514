"""The commands that run a study on a remote cluster, and restart it there after a crash."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agad.cli.asked import asked_name
from agad.cli.codes import BAD_INPUT, INTERRUPTED, NOT_CONFIRMED, OTHER_DRIVER
from agad.cli.flags import add_run_flags
from agad.cli.following import showing
from agad.cli.screen import screen
from agad.cli.studyfile import load_study
from agad.config import Study, check_count, count_text
from agad.errors import ConfigError, StoreError
from agad.reading import store_uri
from agad.report import plain

if TYPE_CHECKING:
    from agad.executor.jobs import Jobs, Package, StudyJob

_FAILED = 1
"""Exit code of a job that failed without an exit code of its own."""

_NUM_RESTARTS = 5
_PAUSE_S = 5.0


def add_commands(commands: Any) -> None:  # noqa: ANN401  argparse keeps its type to itself.
    """Add ``submit`` and ``supervise``."""
    # Here, --address names the job server; the job itself finds its own cluster.
    submit = commands.add_parser(
        "submit",
        help="run a study file on a cluster, and follow it",
        conflict_handler="resolve",
        allow_abbrev=False,
    )
    _add_file(submit)
    add_run_flags(submit)
    submit.add_argument(
        "--address",
        metavar="URL",
        help="job server, http://HOST:8265 (default: $RAY_API_SERVER_ADDRESS)",
    )
    submit.add_argument(
        "--project",
        type=Path,
        metavar="DIR",
        help="folder to pack (default: the nearest with .git or pyproject.toml, else FILE's)",
    )
    submit.add_argument("--no-wait", action="store_true", help="do not follow the study")
    submit.set_defaults(do=submit_study)

    supervise = commands.add_parser(
        "supervise", help="run a study file, and start it again after a crash", allow_abbrev=False
    )
    _add_file(supervise)
    add_run_flags(supervise)
    supervise.set_defaults(do=supervise_study)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="Python file that defines STUDY")
    parser.add_argument(
        "--restarts",
        type=int,
        default=_NUM_RESTARTS,
        metavar="N",
        help="starts after a crash, in a row without a row or checkpoint more "
        f"(default: {_NUM_RESTARTS})",
    )


def submit_study(arguments: argparse.Namespace) -> int:
    """Submit a study, or join the job that runs it, and follow it; return the exit code."""
    from agad.executor.jobs import Jobs, find_project, pack, secrets_of
    from agad.objects import check_uri

    _check_restarts(arguments)
    file: Path = arguments.file
    project = (arguments.project or find_project(file)).resolve()
    sys.path.insert(
        0, str(project)
    )  # So that the study file can import the project's modules, as in the job.
    study = load_study(file)
    name = asked_name(study, arguments)
    given = arguments.store or os.environ.get("AGAD_STORE")
    if not given:
        raise ConfigError(
            "--store is not given, but must name a store that every node of the cluster reaches, "
            "such as s3://bucket/prefix."
        )
    store = check_uri(given)
    address = arguments.address or os.environ.get("RAY_API_SERVER_ADDRESS")
    if arguments.notify:
        raise ConfigError(
            "--notify is given, but its address is a secret, which everyone who may list the "
            "cluster's jobs would see; set AGAD_WEBHOOK on the nodes instead."
        )
    if not address:
        raise ConfigError(
            "--address is not given, but must be the cluster's job server, http://HOST:8265."
        )
    _check_own_encoders(study, name, store)
    package = pack(project, file, known_secrets=tuple(secrets_of(os.environ)))
    _say_what_is_packed(project, package)
    jobs = Jobs(address)
    entrypoint = shlex.join(
        (
            *("python", "-m", "agad", "supervise"),
            file.resolve().relative_to(project).as_posix(),
            f"--restarts={arguments.restarts}",
            *_passed_on(arguments, store, but=("store", "address")),
        )
    )
    job, is_new = jobs.submit(package, study=name, store=store, entrypoint=entrypoint)
    _say_what_runs(jobs, job, is_new=is_new)
    if not is_new and (job.package, job.entrypoint) != (package.digest, entrypoint):
        print(
            "agad: it was submitted with other files or flags, which it keeps; stop it and submit "
            "again to use these.",
            file=sys.stderr,
        )
    return 0 if arguments.no_wait else _follow(jobs, job)


def _check_own_encoders(study: Study, name: str, store: str) -> None:
    """Refuse a file of an encoder's weights that no job is given: a package leaves weights out."""
    from agad.encoders import FILE_SUFFIX
    from agad.objects import open_objects
    from agad.store import StudyReader

    own = [one for one in study.encoders if one.endswith(FILE_SUFFIX)]
    relative = [one for one in own if not Path(one).expanduser().is_absolute()]
    if not relative:
        return
    kept = StudyReader(open_objects(store), name).kept() or {}
    for one in relative:
        if one not in kept.get("encoders", {}):
            raise ConfigError(
                f"the encoder is {one}, a file of this machine, which a job is not given; name a "
                "path from / that the cluster's head has, or start the study once with agad run "
                "--store, which puts the file into the store."
            )


def supervise_study(arguments: argparse.Namespace) -> int:
    """Run a study in a process of its own and restart it after crashes; return the exit code."""
    from agad.executor.jobs import Supervisor
    from agad.objects import open_objects
    from agad.store import steps_done

    _check_restarts(arguments)
    name = asked_name(load_study(arguments.file), arguments)
    store = store_uri(arguments.store)

    def steps() -> frozenset[str]:
        try:
            return steps_done(open_objects(store), name)
        except StoreError as error:
            print(f"agad: {plain(str(error))}", file=sys.stderr)
            return frozenset()

    supervisor = Supervisor(
        final=frozenset({NOT_CONFIRMED, OTHER_DRIVER, INTERRUPTED}),
        refusal=BAD_INPUT,
        restarts=arguments.restarts,
        pause_s=_PAUSE_S,
        steps=steps,
    )
    flags = _passed_on(arguments, store, but=("store",))
    return supervisor.run([sys.executable, "-m", "agad", "run", str(arguments.file), *flags])


def _check_restarts(arguments: argparse.Namespace) -> None:
    check_count("--restarts", arguments.restarts, 0)


def _passed_on(arguments: argparse.Namespace, store: str, *, but: Collection[str]) -> list[str]:
    """Return ``--store`` and the given flags of ``agad run``, without those named by ``but``."""
    parser = argparse.ArgumentParser()
    add_run_flags(parser)
    flags = [f"--store={store}"]
    for name, default in vars(parser.parse_args([])).items():
        value = getattr(arguments, name)
        flag = name.replace("_", "-")
        if name in but or value == default:
            continue
        if isinstance(value, bool):
            flags.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            values = value if isinstance(value, list) else [value]
            flags += [f"--{flag}={one}" for one in values]
    return flags


def _say_what_is_packed(project: Path, package: Package) -> None:
    size = f"{count_text(len(package.files), 'file')}, {package.num_bytes / 1024:.0f} KiB"
    print(f"Packed {size}, of {project}, {_commit_text(package)}.")
    for kind, names in (("data", package.data), ("secrets", package.secrets)):
        if names:
            print(f"Left out as {kind}: {plain(', '.join(names[:10]))}{_more(names)}.")


def _commit_text(package: Package) -> str:
    if package.commit is None:
        return "no commit"
    changes = " with changes" if package.commit.is_dirty else ""
    return f"commit {package.commit.digest[:12]}{changes}"


def _more(names: tuple[str, ...]) -> str:
    return f" and {len(names) - 10} more" if len(names) > 10 else ""


def _say_what_runs(jobs: Jobs, job: StudyJob, *, is_new: bool) -> None:
    what = "Submitted" if is_new else "Runs already, joined:"
    print(f"{what} {job.name}, store {plain(job.store)}. It does not need this terminal.")
    print(_how_to_go_on(jobs, job), flush=True)


def _how_to_go_on(jobs: Jobs, job: StudyJob) -> str:
    return (
        "  follow it again: the same agad submit\n"
        f"  stop it:         ray job stop {job.name} --address {jobs.address}"
    )


def _follow(jobs: Jobs, job: StudyJob) -> int:
    try:
        with showing(job.store, job.study, screen()) as show:
            ended = jobs.follow(job.name, show)
    except KeyboardInterrupt:
        print(f"\n{job.name} goes on.\n{_how_to_go_on(jobs, job)}", file=sys.stderr)
        return INTERRUPTED
    if ended.status == "SUCCEEDED":
        return 0
    if ended.status == "STOPPED":
        print(f"agad: {job.name} was stopped; the same agad submit goes on.", file=sys.stderr)
        return INTERRUPTED
    reason = plain(_reason(ended))
    print(f"agad: {job.name} failed; the same agad submit goes on. {reason}", file=sys.stderr)
    return _FAILED if ended.exit_code is None else ended.exit_code


def _reason(ended: StudyJob) -> str:
    """Return why a job failed: the last line that its command printed, else Ray's message."""
    lines = [line.strip() for line in ended.message.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if "No module named" in last and "agad" in last:
        return (
            f"The Python that runs 'ray start' there has no agad ({last}); install agad in it on "
            "every node."
        )
    return last
