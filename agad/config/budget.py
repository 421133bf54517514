"""The most that a study may spend, in addition to the limit on its number of trials."""

from __future__ import annotations

from dataclasses import dataclass, fields

from agad.config.counts import is_finite_number, shown_number
from agad.errors import ConfigError

_UNITS = {"gpu_hours": ("GPU-hour", "GPU-hours"), "hours": ("hour", "hours")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits that end the search of all cells early; the first limit that is reached counts.

    The cost of the confirm phase is set aside first, and the confirm phase always runs. When a
    limit is reached, no further search trial starts. Running trials end as the scheduler says, and
    every cell confirms its best configurations so far.
    """

    gpu_hours: float | None = None
    """Hours of whole GPUs, summed over all drivers' trials. An attempt that left no row does not
    count. None is no limit."""

    hours: float | None = None
    """Hours of wall time: all of this driver's, and those of earlier drivers while a trial ran.
    None is no limit."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            if not (is_finite_number(value) and value > 0):
                raise ConfigError(
                    f"budget.{field.name} is {shown_number(value)}, but must be a number above 0; "
                    "leave it out for no limit."
                )

    @property
    def names(self) -> dict[str, str]:
        """The name of each limit, such as ``the budget of 2 GPU-hours``, by its field."""
        names = {}
        for field, (one, several) in _UNITS.items():
            value = getattr(self, field)
            if value is not None:
                names[field] = f"the budget of {value:g} {one if value == 1 else several}"
        return names
