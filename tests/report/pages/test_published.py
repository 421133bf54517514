"""Published values beside a leaderboard."""

import io
import re
from collections import Counter

import pytest
from rich.cells import cell_len
from rich.console import Console

from agad.report import markdown, published_page, terminal
from agad.report.pages.published import published_values


def test_published_values_are_of_the_papers_tables() -> None:
    text = markdown(published_page(["cifar10"]))

    assert text.startswith("## Published values, not run here")
    assert "Protocol: one-class" in text
    # Table 2 prints AGAD at 99.90 or so; table 1 prints AnoGAN class by class.
    table_2 = next(line for line in text.splitlines() if line.startswith("| 2 | AGAD "))
    assert "fashion" not in text
    assert table_2.count("±") == 5


def test_published_means_and_marks_are_those_of_the_file() -> None:
    text = markdown(published_page(["mnist"]))

    assert "| 2 | AGAD | 0.991 ± 0.009 | 0.994 ± 0.009 | 0.999 ± 0.003 |" in text
    assert "| 1 | AnoGAN | 0.990 | 0.998 | 0.888 |" in text
    assert "0.886?" in text


def test_a_data_set_without_published_values_is_named() -> None:
    text = markdown(published_page(["digits"]))

    assert "Nothing published is known here of: digits." in text


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_no_published_value_is_cut(dataset: str, width: int) -> None:
    values = [value for value in published_values() if value.dataset == dataset]

    out = io.StringIO()
    Console(width=width, file=out, color_system=None).print(terminal(published_page([dataset])))

    text = out.getvalue()
    assert max(cell_len(line) for line in text.splitlines()) <= width
    numbers = Counter(re.findall(r"\b[01]\.\d{3}\b", text))
    printed = Counter(f"{value.auroc:.3f}" for value in values)
    assert not printed - numbers
    assert all(value.system in text for value in values)
    assert "not run here" in text.splitlines()[0]
