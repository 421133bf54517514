"""Which axes are allowed, and the cells that they span."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeAlias

import pytest

from agad.config import Cell, Confirm, Grid, LogUniform, Search, Setting, Study, variant_label
from agad.errors import ConfigError

AnyValue: TypeAlias = Any
"""What a user may write where a value is asked for, of any type."""


def test_grid_takes_one_value_for_an_axis() -> None:
    grid = Grid(dataset="digits", normal_class=0)
    assert (grid.datasets, grid.normal_class, grid.anomaly_ratio) == (("digits",), (0,), (0.0,))
    assert (grid.anomalous_class, grid.pollution_ratio) == (None, (0.0,))
    assert grid.labelled_classes == ["all"]


def test_grid_makes_equal_grids_of_any_sequence() -> None:
    one = Grid(dataset=["digits"], normal_class=range(2), anomaly_ratio=[0, 0.05])
    other = Grid(dataset="digits", normal_class=(0, 1), anomaly_ratio=(0.0, 0.05))
    assert one == other


@pytest.mark.parametrize(
    "axis", ["dataset", "normal_class", "anomaly_ratio", "pollution_ratio", "labelled_classes"]
)
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
        ("pollution_ratio", [0.1, 0.1]),
        ("labelled_classes", ["all", 1, "all"]),
        ("labelled_classes", [(3, 5), (3, 5)]),
    ],
    ids=["dataset", "class", "ratio", "ratio-0", "pollution", "labelled", "labelled-tuple"],
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
        ("normal_class", 1.5, "int or str"),
        ("normal_class", True, "int or str"),
        ("anomaly_ratio", "0.1", "float or int"),
        ("anomaly_ratio", [0.1, None], "float"),
        ("anomaly_ratio", False, "float or int"),
        ("pollution_ratio", "0.1", "float or int"),
    ],
)
def test_grid_refuses_a_value_of_another_type(axis: str, value: AnyValue, kind: str) -> None:
    axes: dict[str, Any] = {"dataset": "digits", "normal_class": 0, axis: value}
    with pytest.raises(
        ConfigError, match=rf"cells.{axis} holds .*, but must hold ({kind} values|num)"
    ):
        Grid(**axes)


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        ("dataset", None),
        ("dataset", [["digits"]]),
        ("normal_class", [None]),
        ("normal_class", [[1]]),
        ("anomaly_ratio", None),
        ("anomaly_ratio", [[0.1]]),
        ("pollution_ratio", None),
        ("pollution_ratio", [[0.1]]),
    ],
)
def test_grid_refuses_an_axis_that_holds_no_values(axis: str, value: AnyValue) -> None:
    axes: dict[str, Any] = {"dataset": "digits", "normal_class": 0, axis: value}
    with pytest.raises(ConfigError, match=f"cells.{axis}"):
        Grid(**axes)


@pytest.mark.parametrize("axis", ["normal_class", "anomalous_class"])
def test_grid_refuses_a_negative_class(axis: str) -> None:
    classes: dict[str, Any] = {axis: [0, -1]}
    with pytest.raises(
        ConfigError, match=rf"cells\.{axis} holds -1, but must be at least 0 and at most"
    ):
        Grid(dataset="digits", **classes)


@pytest.mark.parametrize("axis", ["anomaly_ratio", "pollution_ratio"])
@pytest.mark.parametrize("ratio", [1, 1.0, 1.5, -0.1, math.nan, math.inf], ids=repr)
def test_grid_refuses_a_ratio_outside_0_to_1(axis: str, ratio: float) -> None:
    axes: dict[str, Any] = {axis: [0.0, ratio]}
    message = f"cells.{axis} holds {ratio:g}, but must be in [0, 1)"
    with pytest.raises(ConfigError, match=re.escape(message)):
        Grid(dataset="digits", normal_class=0, **axes)


@pytest.mark.parametrize(
    "classes", [{}, {"normal_class": 0, "anomalous_class": 1}], ids=["neither", "both"]
)
def test_grid_needs_one_of_the_two_axes_of_classes(classes: AnyValue) -> None:
    with pytest.raises(
        ConfigError, match=r"must have normal_class.* or anomalous_class.*: one of them, not both\."
    ):
        Grid(dataset="digits", **classes)


@pytest.mark.parametrize("axis", ["normal_class", "anomalous_class"])
def test_grid_takes_classes_by_label_and_by_name(axis: str) -> None:
    classes: dict[str, Any] = {axis: [1, "cat"]}
    grid = Grid(dataset="cifar10", **classes)
    assert getattr(grid, axis) == (1, "cat")
    assert [cell.given_class for cell in grid.all_cells] == [1, "cat"]


@pytest.mark.parametrize(
    ("given", "axis"),
    [
        ("all", ["all"]),
        (3, [3]),
        ((3, "cat"), [(3, "cat")]),
        (["all", 1, (3, 5), (3,)], ["all", 1, (3, 5), (3,)]),
        ([3, 5], [3, 5]),
    ],
    ids=["all", "number", "tuple", "axis", "axis of numbers"],
)
def test_labelled_classes_is_one_value_as_a_tuple_and_an_axis_as_a_list(
    given: AnyValue, axis: list[Any]
) -> None:
    grid = Grid(dataset="digits", normal_class=0, labelled_classes=given)
    assert grid.labelled_classes == axis
    assert [cell.labelled_classes for cell in grid.all_cells] == axis


@pytest.mark.parametrize(
    "value", ["none", 0, -1, 1.5, True, None, (), [[3, 5]], [range(2)], {3: 5}], ids=repr
)
def test_grid_refuses_labelled_classes_that_are_neither_all_nor_a_number_nor_a_tuple(
    value: AnyValue,
) -> None:
    with pytest.raises(
        ConfigError, match=r'cells\.labelled_classes holds .*, but must hold "all", a number of'
    ):
        Grid(dataset="digits", normal_class=0, labelled_classes=value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ((3, 3), "is [3, 3], but must not name a value twice"),
        ((3, -1), "holds -1, but must be at least 0"),
        ((3, 1.5), "holds 1.5, but must hold int or str values"),
        ((True,), "holds True, but must hold int or str values"),
    ],
    ids=["twice", "negative", "real", "bool"],
)
def test_grid_refuses_a_tuple_of_labelled_classes_that_holds_no_classes(
    value: AnyValue, reason: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"cells.labelled_classes {reason}")):
        Grid(dataset="digits", normal_class=0, labelled_classes=value)


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


def test_all_cells_cross_the_axes_of_what_is_known_of_anomalies() -> None:
    grid = Grid(
        dataset="digits",
        anomalous_class=[2, 1],
        pollution_ratio=[0.0, 0.1],
        labelled_classes=["all", (3, 5)],
    )
    points = [
        (cell.anomalous_class, cell.pollution_ratio, cell.labelled_classes)
        for cell in grid.all_cells
    ]
    assert {cell.normal_class for cell in grid.all_cells} == {None}
    assert len(points) == 8
    assert points[:4] == [(2, 0.0, "all"), (2, 0.0, (3, 5)), (2, 0.1, "all"), (2, 0.1, (3, 5))]
    assert points[4] == (1, 0.0, "all")


def test_class_0_is_a_class() -> None:
    assert [cell.given_class for cell in Grid(dataset="d", normal_class=0).all_cells] == [0]
    assert [cell.given_class for cell in Grid(dataset="d", anomalous_class=0).all_cells] == [0]


def test_the_protocol_of_a_cell_follows_from_the_class_that_is_given() -> None:
    (one_class,) = Grid(dataset="digits", normal_class=3).all_cells
    (leave_one_out,) = Grid(dataset="digits", anomalous_class=3).all_cells
    assert (one_class.protocol, one_class.given_class) == ("one-class", 3)
    assert (leave_one_out.protocol, leave_one_out.given_class) == ("leave-one-out", 3)


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
        (
            Cell(dataset="cifar10", normal_class="cat", anomaly_ratio=0.0),
            "cifar10 class=cat ratio=0",
        ),
        (
            Cell(dataset="digits", anomalous_class=0, anomaly_ratio=0.05),
            "digits class=0 ratio=0.05 leave-one-out",
        ),
        (
            Cell(
                dataset="digits",
                anomalous_class=1,
                anomaly_ratio=0.05,
                pollution_ratio=0.1,
                labelled_classes=(3, "cat"),
                settings=(("backbone", "naive"),),
            ),
            "digits class=1 ratio=0.05 leave-one-out pollution=0.1 labelled=(3,cat) backbone=naive",
        ),
        (
            Cell(dataset="digits", normal_class=0, anomaly_ratio=0.05, labelled_classes=1),
            "digits class=0 ratio=0.05 labelled=1",
        ),
    ],
    ids=[
        "ratio",
        "ratio-0",
        "settings",
        "name",
        "leave-one-out",
        "everything",
        "labelled-number",
    ],
)
def test_cell_label_names_every_axis(cell: Cell, label: str) -> None:
    assert cell.label == label


def test_cell_labels_differ_where_ratios_differ() -> None:
    grid = Grid(dataset="digits", normal_class=0, anomaly_ratio=[0.1234567, 0.1234568])
    assert len({cell.label for cell in grid.all_cells}) == 2


def test_cell_labels_tell_so_many_labelled_classes_from_the_class_of_that_label() -> None:
    grid = Grid(dataset="digits", normal_class=0, labelled_classes=[1, (1,), (1, 2), "all"])
    variants = [cell.variant for cell in grid.all_cells]
    assert variants == ["labelled=1", "labelled=(1)", "labelled=(1,2)", ""]


def test_the_variant_of_a_cell_is_what_its_label_has_beside_data_set_class_and_ratio() -> None:
    grid = Grid(
        dataset="digits",
        anomalous_class=0,
        pollution_ratio=0.1,
        settings={"weight_con": [50.0], "backbone": ["naive"]},
    )
    (cell,) = grid.all_cells
    assert cell.variant == "leave-one-out pollution=0.1 backbone=naive weight_con=50"
    assert cell.label == f"digits class=0 ratio=0 {cell.variant}"


def test_variant_label_of_the_plainest_cell_is_empty() -> None:
    plainest: dict[str, Any] = {"protocol": "one-class", "pollution_ratio": 0.0}
    assert variant_label(**plainest, labelled_classes="all", settings={}) == ""


def test_cells_can_be_the_keys_of_a_mapping() -> None:
    grid = Grid(
        dataset="digits",
        normal_class=[0, 1],
        labelled_classes=["all", (3, 5)],
        settings={"base_width": [4, 8]},
    )
    assert len(set(grid.all_cells)) == 8


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
    assert grid.reduced().anomaly_ratio == (0.1,)


@pytest.mark.parametrize("axis", ["normal_class", "anomalous_class"])
def test_reduced_keeps_the_first_of_every_other_axis_and_the_protocol(axis: str) -> None:
    first: dict[str, Any] = {axis: 2}
    both: dict[str, Any] = {axis: [2, 1]}
    grid = Grid(
        dataset="digits", pollution_ratio=[0.1, 0.0], labelled_classes=[(3, 5), "all"], **both
    )
    expected = Grid(dataset="digits", pollution_ratio=0.1, labelled_classes=(3, 5), **first)
    assert grid.reduced() == expected


@pytest.mark.parametrize(
    "grid",
    [
        Grid(dataset="digits", normal_class=0),
        Grid(
            dataset=["digits", "mnist"],
            normal_class=[1, "cat"],
            anomaly_ratio=[0, 0.05],
            pollution_ratio=[0.1, 0.0],
            labelled_classes=["all", 1, (3, "dog"), (5,)],
            settings={"backbone": ["naive", "unet++"], "weight_con": [1, 2.5]},
        ),
        Grid(dataset="digits", anomalous_class=range(3), labelled_classes=(3, 5)),
    ],
    ids=["plain", "every axis", "leave-one-out"],
)
def test_from_json_returns_the_grid_that_as_json_wrote(grid: Grid) -> None:
    search = Search(space={"lr": LogUniform(1e-4, 1e-2)})
    study = Study(name="a", cells=grid, search=search, confirm=Confirm(seeds=1))
    kept = Grid.from_json(json.loads(json.dumps(study.as_json()))["cells"])
    assert kept == grid
    assert kept.all_cells == grid.all_cells


def test_from_json_names_an_axis_that_an_older_version_did_not_keep() -> None:
    kept = {"dataset": ["digits"], "normal_class": [0], "anomaly_ratio": [0.0], "settings": {}}
    with pytest.raises(KeyError, match="anomalous_class"):
        Grid.from_json(kept)


def test_cell_labels_write_equal_numbers_alike() -> None:
    whole = Grid(dataset="digits", normal_class=0, settings={"weight_adcon": [0, 15]})
    real = Grid(dataset="digits", normal_class=0, settings={"weight_adcon": [0.0, 15.0]})
    assert [cell.label for cell in whole.all_cells] == [cell.label for cell in real.all_cells]
    assert whole.all_cells[1].label == "digits class=0 ratio=0 weight_adcon=15"


def test_the_order_inside_a_tuple_of_labelled_classes_does_not_matter() -> None:
    one, other = (
        Grid(dataset="digits", normal_class=0, labelled_classes=classes)
        for classes in ((3, "dog", 1), ("dog", 1, 3))
    )
    assert one.all_cells == other.all_cells


def test_num_normals_is_an_axis_that_joins_a_label_only_if_it_is_set() -> None:
    grid = Grid(dataset="digits", normal_class=0, num_normals=[10, None])
    assert [cell.num_normals for cell in grid.all_cells] == [10, None]
    assert [cell.label for cell in grid.all_cells] == [
        "digits class=0 ratio=0 normals=10",
        "digits class=0 ratio=0",
    ]


@pytest.mark.parametrize("value", [0, 1, 2.5, "10", True, [10, "all"]], ids=repr)
def test_num_normals_are_whole_numbers_of_at_least_2(value: AnyValue) -> None:
    with pytest.raises(ConfigError, match=r"^cells\.num_normals holds .*, but must hold None for"):
        Grid(dataset="digits", normal_class=0, num_normals=value)


@pytest.mark.parametrize("values", [[10, 10], [None, None]], ids=repr)
def test_num_normals_does_not_name_a_value_twice(values: AnyValue) -> None:
    with pytest.raises(ConfigError, match="must not name a value twice"):
        Grid(dataset="digits", normal_class=0, num_normals=values)


def test_a_grid_without_a_later_axis_is_stored_as_an_earlier_version_stored_it() -> None:
    stored = Grid(dataset="digits", normal_class=0).as_json()
    assert "num_normals" not in stored
    assert Grid.from_json(stored) == Grid(dataset="digits", normal_class=0)


def test_a_grid_with_a_later_axis_is_what_it_was_after_its_json() -> None:
    grid = Grid(dataset="digits", normal_class=0, num_normals=[10, None])
    assert Grid.from_json(json.loads(json.dumps(grid.as_json()))) == grid


def test_a_reduced_grid_has_the_first_number_of_normals() -> None:
    grid = Grid(dataset="digits", normal_class=0, num_normals=[10, None]).reduced()
    assert grid.num_normals == (10,)


def test_labels_is_an_axis_that_takes_the_place_of_the_ratio_in_a_label() -> None:
    grid = Grid(dataset="digits", normal_class=0, labels=[0, 10], num_normals=[5, None])
    assert [cell.label for cell in grid.all_cells] == [
        "digits class=0 labels=0 normals=5",
        "digits class=0 labels=10 normals=5",
        "digits class=0 labels=0",
        "digits class=0 labels=10",
    ]
    assert [cell.has_labels for cell in grid.all_cells] == [False, True] * 2
    assert {cell.labels for cell in Grid(dataset="digits", normal_class=0).all_cells} == {None}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1, "cells.labels holds 1, but must be at least 2: one anomaly to fit on, and another to"),
        ([0, 1], "cells.labels holds 1, but must be at least 2"),
        (-1, "cells.labels holds -1, but must be a whole number, at least 0"),
        (2.0, "cells.labels holds 2.0, but must be a whole number"),
        ("10", "cells.labels holds '10', but must be a whole number"),
        (True, "cells.labels holds True, but must be a whole number"),
        ([], "cells.labels is empty"),
        ([5, 5], "cells.labels is [5, 5], but must not name a value twice"),
    ],
    ids=repr,
)
def test_grid_refuses_what_is_no_label_budget(value: AnyValue, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        Grid(dataset="digits", normal_class=0, labels=value)


def test_grid_refuses_budgets_beside_ratios_in_one_line() -> None:
    message = (
        "cells.labels is 0, 10 and cells.anomaly_ratio is 0, 0.1, but both say how many anomalies "
        "are labelled; leave one of them out."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Grid(dataset="digits", normal_class=0, labels=[0, 10], anomaly_ratio=[0, 0.1])


def test_a_grid_with_budgets_is_what_it_was_after_its_json() -> None:
    grid = Grid(dataset="digits", normal_class=0, labels=[0, 10])
    assert Grid.from_json(json.loads(json.dumps(grid.as_json()))) == grid
    assert "labels" not in Grid(dataset="digits", normal_class=0).as_json()


def test_a_reduced_grid_has_the_lowest_and_the_highest_budget() -> None:
    grid = Grid(dataset="digits", normal_class=0, labels=[10, 0, 30]).reduced()
    assert grid.labels == (0, 30)
