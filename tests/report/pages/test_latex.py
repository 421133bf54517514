"""Leaderboards as LaTeX, and that LaTeX takes them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agad.config import Grid
from agad.records import TrialRow
from agad.report import PlannedDetector, latex, leaderboard

RowBuilder = Callable[..., TrialRow]
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs,longtable}
\begin{document}
%s
\end{document}
"""


def test_latex_holds_every_cell_with_missing_ones_and_scores_below_one_half(
    make_confirm_row: RowBuilder,
) -> None:
    rows = [make_confirm_row(1, 0.31), make_confirm_row(2, 0.33)]
    cells = Grid(dataset="digits", normal_class=[0, 1]).all_cells
    text = latex(leaderboard(rows, planned=[PlannedDetector(cells=cells)]))
    assert r"{0} & {0} & {0.320 $\pm$ 0.014 (n=2) \textless{}0.5} & {0.193-0.447}" in text
    assert r"{1} & {0} & {no trial yet}" in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == text.count(r"\begin{tabular}") > 0


def test_latex_escapes_what_a_study_is_named(make_confirm_row: RowBuilder) -> None:
    names = r"\input{/etc/passwd} $x_1^2$ 50% & #1 ~ <b> | 中"
    rows = [make_confirm_row(1, 0.9, detector=names)]
    cells = Grid(dataset="digits", normal_class=[0]).all_cells
    text = latex(leaderboard(rows, study="a", planned=[PlannedDetector(cells=cells)]))
    assert r"\input{/etc" not in text
    assert (
        r"\textbackslash{}input\{/etc/passwd\} \$x\_1\textasciicircum{}2\$ 50\% \& \#1 "
        r"\textasciitilde{} \textless{}b\textgreater{} \textbar{} \texttt{U+4E2D}"
    ) in text
    assert text.isascii()


def test_latex_of_a_study_without_rows_says_so() -> None:
    text = latex(leaderboard([], study="a_study"))
    assert r"Study a\_study: No trial of this study has ended yet." in text
    assert r"\begin{tabular}" not in text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX")
@pytest.mark.parametrize("num_classes", [3, 60], ids=["short", "over-pages"])
def test_latex_compiles(make_confirm_row: RowBuilder, tmp_path: Path, num_classes: int) -> None:
    rows = [
        make_confirm_row(
            seed,
            0.5 + seed / 100,
            detector=detector,
            normal_class=number,
            cell=f"{detector}[{number}] _^&%$#{{}}~\\ é中",
        )
        for number in range(num_classes)
        for detector in ("[one]", "_^&%$#{}~\\ é中‮", "three")
        for seed in (1, 2)
    ]
    (tmp_path / "a.tex").write_text(DOCUMENT % latex(leaderboard(rows), leaderboard([])))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "a.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "a.pdf").stat().st_size > 0
