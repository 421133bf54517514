"""Which axes are allowed, and the cells that they span."""

from __future__ import annotations

import math
import re
from typing import Any, TypeAlias

import pytest

from agad.config import Cell, Grid, Setting
from agad.errors import ConfigError

AnyValue: TypeAlias = Any
"""What a user may write where a value is asked for, of any type."""


def test_grid_takes_one_value_for_an_axis() -> None:
    grid = Grid(dataset="digits", normal_class=0)
    assert (grid.datasets, grid.normal_classes, grid.anomaly_ratios) == (("digits",), (0,), (0.0,))


def test_grid_makes_equal_grids_of_any_sequence() -> None:
    one = Grid(dataset=["digits"], normal_class=range(2), anomaly_ratio=[0, 0.05])
    other = Grid(dataset="digits", normal_class=(0, 1), anomaly_ratio=(0.0, 0.05))
    assert one == other


@pytest.mark.parametrize("axis", ["dataset", "normal_class", "anomaly_ratio"])
def test_grid_refuses_an_empty_axis(axis: str) -> None:
    axes: dict[str, Any] = {"dataset": "digits", "normal_class": 0, axis: []}
    with pytest.raises(ConfigError, match=f"cells.{axis} is empty, but must hold at least one"):
        Grid(**axes)


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("dataset", ["digits", "digits"]),
        ("normal_class", [0, 1, 0]),
        ("anomaly_ratio", [0.05, 0.05]),
        ("anomaly_ratio", [0, 0.0]),
    ],
    ids=["dataset", "class", "ratio", "ratio-0"],
)
def test_grid_refuses_a_value_named_twice(axis: str, values: list[Any]) -> None:
    axes: dict[str, Any] = {"dataset": "digits", "normal_class": 0, axis: values}
    message = f"cells.{axis} is {values}, but must not name a value twice."
    with pytest.raises(ConfigError, match=re.escape(message)):
        Grid(**axes)


@pytest.mark.parametrize(
    ("axis", "value", "kind"),
    [
        ("dataset", 3, "str"),
        ("dataset", ["digits", 3], "str"),
        ("normal_class", "0", "int"),
        ("normal_class", 1.5, "int"),
        ("normal_class", True, "int"),
        ("anomaly_ratio", "0.1", "float"),
        ("anomaly_ratio", [0.1, None], "float"),
        ("anomaly_ratio", False, "float"),
    ],
)
def test_grid_refuses_a_value_of_another_type(axis: str, value: AnyValue, kind: str) -> None:
    axes: dict[str, Any] = {"dataset": "digits", "normal_class": 0, axis: value}
    with pytest.raises(
        ConfigError, match=rf"cells.{axis} holds .*, but must hold ({kind} values|num)"
    ):
        Grid(**axes)


@pytest.mark.parametrize("axis", ["dataset", "normal_class", "anomaly_ratio"])
@pytest.mark.parametrize("value", [None, [[1]]], ids=repr)
def test_grid_refuses_an_axis_that_holds_no_values(axis: str, value: AnyValue) -> None:
    axes: dict[str, Any] = {"dataset": "digits", "normal_class": 0, axis: value}
    with pytest.raises(ConfigError, match=f"cells.{axis}"):
        Grid(**axes)


def test_grid_refuses_a_negative_class() -> None:
    with pytest.raises(ConfigError, match=r"holds -1, but must be at least 0\."):
        Grid(dataset="digits", normal_class=[0, -1])


@pytest.mark.parametrize("ratio", [1, 1.0, 1.5, -0.1, math.nan, math.inf], ids=repr)
def test_grid_refuses_a_ratio_outside_0_to_1(ratio: float) -> None:
    message = f"cells.anomaly_ratio holds {ratio:g}, but must be in [0, 1)"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.0, ratio])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "is empty, but must hold at least one value"),
        ([4, 4], "is [4, 4], but must not name a value twice"),
        ([4, 4.0], "is [4, 4.0], but must not name a value twice"),
    ],
    ids=["empty", "twice", "twice as a real number"],
)
def test_grid_refuses_a_settings_axis_that_is_empty_or_names_a_value_twice(
    values: list[Any], reason: str
) -> None:
    message = f"cells.settings['base_width'] {reason}"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Grid(dataset="digits", normal_class=0, settings={"base_width": values})


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"base_width": 8}, "base_width"),
        ({"base_width": None}, "base_width"),
        ({"base_width": [[8]]}, "base_width"),
        ([("base_width", [8])], "settings"),
    ],
    ids=["number", "none", "list", "no-mapping"],
)
def test_grid_refuses_settings_that_are_no_mapping_of_sequences(
    settings: AnyValue, name: str
) -> None:
    with pytest.raises(ConfigError, match=name):
        Grid(dataset="digits", normal_class=0, settings=settings)


def test_grid_does_not_take_a_text_for_a_sequence_of_letters() -> None:
    with pytest.raises(ConfigError, match="naive"):
        Grid(dataset="digits", normal_class=0, settings={"backbone": "naive"})


def test_all_cells_vary_the_last_axis_fastest() -> None:
    grid = Grid(
        dataset=["digits", "mnist"],
        normal_class=[1, 0],
        anomaly_ratio=[0.0, 0.05],
        settings={"backbone": ["naive", "unet++"]},
    )
    points = [
        (cell.dataset, cell.normal_class, cell.anomaly_ratio, cell.settings)
        for cell in grid.all_cells
    ]
    naive, nested = (("backbone", "naive"),), (("backbone", "unet++"),)
    assert len(points) == 16
    assert points[:5] == [
        ("digits", 1, 0.0, naive),
        ("digits", 1, 0.0, nested),
        ("digits", 1, 0.05, naive),
        ("digits", 1, 0.05, nested),
        ("digits", 0, 0.0, naive),
    ]
    assert points[8] == ("mnist", 1, 0.0, naive)


def test_all_cells_name_their_settings_in_order_of_the_name() -> None:
    settings: dict[str, list[Setting]] = {"weight_con": [50.0], "backbone": ["naive"]}
    (cell,) = Grid(dataset="digits", normal_class=0, settings=settings).all_cells
    assert cell.settings == (("backbone", "naive"), ("weight_con", 50.0))


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        (Cell(dataset="digits", normal_class=0, anomaly_ratio=0.05), "digits class=0 ratio=0.05"),
        (Cell(dataset="mnist", normal_class=9, anomaly_ratio=0.0), "mnist class=9 ratio=0"),
        (
            Cell(
                dataset="cifar10",
                normal_class=1,
                anomaly_ratio=0.2,
                settings=(("backbone", "unet++"), ("base_width", 8)),
            ),
            "cifar10 class=1 ratio=0.2 backbone=unet++ base_width=8",
        ),
    ],
    ids=["ratio", "ratio-0", "settings"],
)
def test_cell_label_names_every_axis(cell: Cell, label: str) -> None:
    assert cell.label == label


def test_cell_labels_differ_where_ratios_differ() -> None:
    grid = Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.1234567, 0.1234568])
    assert len({cell.label for cell in grid.all_cells}) == 2


def test_cells_can_be_the_keys_of_a_mapping() -> None:
    grid = Grid(dataset="digits", normal_class=[0, 1], settings={"base_width": [4, 8]})
    assert len(set(grid.all_cells)) == 4


def test_reduced_keeps_the_first_class_and_the_extreme_ratios() -> None:
    grid = Grid(
        dataset="digits",
        normal_class=[3, 1],
        anomaly_ratio=[0.05, 0.2, 0.0],
        settings={"backbone": ["unet++", "naive"]},
    )
    expected = Grid(
        dataset="digits",
        normal_class=3,
        anomaly_ratio=[0.0, 0.2],
        settings={"backbone": ["unet++"]},
    )
    assert grid.reduced() == expected


def test_reduced_keeps_a_single_ratio() -> None:
    grid = Grid(dataset="digits", normal_class=[0, 1], anomaly_ratio=0.1)
    assert grid.reduced().anomaly_ratios == (0.1,)


def test_cell_labels_write_equal_numbers_alike() -> None:
    whole = Grid(dataset="digits", normal_class=0, settings={"weight_adcon": [0, 15]})
    real = Grid(dataset="digits", normal_class=0, settings={"weight_adcon": [0.0, 15.0]})
    assert [cell.label for cell in whole.all_cells] == [cell.label for cell in real.all_cells]
    assert whole.all_cells[1].label == "digits class=0 ratio=0 weight_adcon=15"
