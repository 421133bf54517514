"""What the headers of a folder's pictures tell: sizes, pages and the range of 16-bit values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agad.data.readers.pictures import Header
from agad.data.readers.values import FULL_RANGE, ValueRange, likely_range
from agad.data.resize import Fit
from agad.errors import ConfigError, DataError

_HALF = FULL_RANGE.high // 2
_TWELVE_BITS = 4095
_OUTCOMES: dict[Fit, str] = {
    "stretch": "stretched to a square; --fit pad or --fit crop keep their shape",
    "pad": "padded to a square with black",
    "crop": "cut to the square in the middle, so their edges are lost",
}


def range_of_values(
    folder: Path, names: Sequence[str], headers: Sequence[Header], given: ValueRange | None
) -> ValueRange:
    """Return the range by which pictures of 16 bits are scaled to 8.

    Pictures whose values fill less than half of 16 bits would become nearly black, so they need a
    range that the user gives.

    Raises:
        ConfigError: A range is given but no picture has 16 bits, or none is given but needed.
        DataError: A picture has values outside the range, or has colours whose 16 bits Pillow cuts.
    """
    found = _values(names, headers)
    _check_colours(folder, names, headers, given)
    if not found:
        if given is not None:
            raise ConfigError(
                f"--value-range is {given}, but no picture of {folder} is grey with 16 bits; leave "
                "it out."
            )
        return FULL_RANGE
    chosen = given or FULL_RANGE
    for name, values in found.items():
        chosen.check(folder / name, *values)
    low, high = _extent(found)
    if given is None and high <= _HALF:
        raise ConfigError(
            f"--value-range is missing, but must be given: the {len(found):,} pictures of 16 bits "
            f"in {folder} hold values of {low} to {high}, which would be nearly black. Give "
            f"--value-range {likely_range(high)} to scale by the bits that they fill, or "
            f"--value-range {FULL_RANGE} to scale all 16 bits."
        )
    return chosen


def survey_notes(
    names: Sequence[str], headers: Sequence[Header], fit: Fit, chosen: ValueRange
) -> tuple[str, ...]:
    """Return sentences about what a user would not see: shapes, values, pages."""
    return (
        *shape_notes([header.size for header in headers], fit),
        *_value_notes(_values(names, headers), chosen),
        *_page_notes(names, headers),
    )


def shape_notes(sizes: Sequence[tuple[int, int]], fit: Fit) -> list[str]:
    """Return what becomes of images that are not square; the sizes are widths and heights."""
    ratios = [width / height for width, height in sizes]
    num_oblong = sum(ratio != 1 for ratio in ratios)
    if not num_oblong:
        return []
    are = "is" if num_oblong == 1 else "are"
    return [
        f"Shapes: width / height is {min(ratios):.2f} to {max(ratios):.2f}. {num_oblong:,} of "
        f"{len(ratios):,} {are} not square and {_OUTCOMES[fit]}."
    ]


def _values(names: Sequence[str], headers: Sequence[Header]) -> dict[str, tuple[int, int]]:
    pairs = zip(names, headers, strict=True)
    return {name: header.values for name, header in pairs if header.values is not None}


def _extent(found: dict[str, tuple[int, int]]) -> tuple[int, int]:
    return min(low for low, _ in found.values()), max(high for _, high in found.values())


def _check_colours(
    folder: Path, names: Sequence[str], headers: Sequence[Header], given: ValueRange | None
) -> None:
    """Refuse colour pictures of 16 bits whose upper bits are empty: Pillow reads these alone."""
    brightest = {
        name: header.brightest
        for name, header in zip(names, headers, strict=True)
        if header.brightest is not None
    }
    if not brightest:
        return
    name = max(brightest, key=lambda one: brightest[one])
    if given is not None:
        raise ConfigError(
            f"--value-range is {given}, but {folder / name} has colours of 16 bits, of which the "
            "upper 8 alone are read; convert it to 8 bits first."
        )
    if brightest[name] < 128:
        raise DataError(
            f"{folder / name} has colours of 16 bits with no value above "
            f"{256 * brightest[name] + 255}, as the other {len(brightest) - 1:,} do: they would be "
            "nearly black; convert them to 8 bits first."
        )


def _value_notes(found: dict[str, tuple[int, int]], chosen: ValueRange) -> list[str]:
    if not found:
        return []
    low, high = _extent(found)
    pictures = "1 picture" if len(found) == 1 else f"{len(found):,} pictures"
    notes = [
        f"Values: {pictures} of 16 bits with {low} to {high}; {chosen.low} becomes 0 and "
        f"{chosen.high} becomes 255."
    ]
    num_dark = sum(of <= _TWELVE_BITS for _, of in found.values())
    if num_dark and high > _HALF:
        notes.append(
            f"{num_dark:,} of {len(found):,} have no value above {_TWELVE_BITS}: if a camera of "
            "12 bits made these, they are far darker here than the others."
        )
    return notes


def _page_notes(names: Sequence[str], headers: Sequence[Header]) -> list[str]:
    pages = {name: one.pages for name, one in zip(names, headers, strict=True) if one.pages > 1}
    if not pages:
        return []
    first = min(pages)
    files = "1 file has" if len(pages) == 1 else f"{len(pages):,} files have"
    return [
        f"Pages: {files} several pages or frames, such as {first} with {pages[first]:,}; the first "
        "of each is read."
    ]
