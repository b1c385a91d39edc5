"""The role of each column: as given, else inferred from its name, else from its values. A note says what was inferred."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forecaster.data.panel import ROLES, Columns
from forecaster.data.reading.column_clues import Clues
from forecaster.data.reading.joined_columns import joined_name, parts_of, split_names
from forecaster.data.reading.number_form import doubtful_comma, has_commas
from forecaster.data.reading.table import RawTable
from forecaster.data.reading.unlike_columns import unlike
from forecaster.errors import DataError, UsageError, nearest


class NoColumnError(DataError):
    """A column that was given is not in the table."""


@dataclass(frozen=True)
class CovariateColumn:
    """A covariate's column."""

    name: str
    role: str  # a row of ROLES
    text: bool  # a category


@dataclass(frozen=True)
class Roles:
    """What the columns are. Without a series column, each of several targets is a series of its own; with one, each series has
    several.
    """

    series: str | None
    timestamp: str
    targets: tuple[str, ...]
    covariates: tuple[CovariateColumn, ...] = ()
    given_targets: str | None = None  # several targets, as the caller named them

    @property
    def layout(self) -> str:
        """One of "long", "wide" (one series per target column) and "single"."""
        return "long" if self.series else "wide" if len(self.targets) > 1 else "single"

    @property
    def columns(self) -> Columns:
        """Names for writing rows back."""
        target = self.targets[0] if len(self.targets) == 1 else self.given_targets
        by_role = {role: tuple(one.name for one in self.covariates if one.role == role) for role in ROLES}
        return Columns(self.series, self.timestamp, target, **by_role)

    def notes(self, table: RawTable) -> Iterable[str]:
        """What was inferred, one line each."""
        where = f"timestamp '{self.timestamp}', "
        if not self.targets:
            yield f"{where}no target."
        elif self.layout == "wide":
            yield f"layout wide: {where}one series per numeric column: {_listed(self.targets)}."
        else:
            series = f"series '{self.series}', " if self.series else ""
            listed = _listed(f"'{name}'" for name in self.targets)
            target = f"targets {listed}, each of which is forecast" if len(self.targets) > 1 else f"target {listed}"
            yield f"layout {self.layout}: {series}{where}{target}."
        for role in ROLES:
            named = [f"'{c.name}'{' (a category)' if c.text else ''}" for c in self.covariates if c.role == role]
            if named:
                yield f"covariates, {role}: {_listed(named)}."
        covariates = [c.name for c in self.covariates]
        used = {*parts_of(self.timestamp, table.columns), *self.targets, *covariates}
        used |= {*parts_of(self.series, table.columns)} if self.series else set()
        unused = [c for c in table.columns if c not in used]
        if unused:
            yield f"columns not used: {_listed(unused)}."


def infer_roles(table: RawTable, given: Columns, form: str | None = None, *, aggregated: bool = False) -> Roles:
    """The role of each column of `table`, whose timestamps may have a `form` as in `timestamp_formats.py`.

    `aggregated`: rows of one series and timestamp are joined, so that repeated timestamps alone show no several series.
    DataError where a column given is not there, or a role cannot be inferred.
    """
    _check_given(table, given)
    clues = Clues(table, given, table.sample(), form, aggregated)
    timestamp, series = clues.row_names()
    named = parts_of(given.target, table.columns) if given.target else ()
    keys = parts_of(series, table.columns) if series and not given.series else ()
    for key in keys:
        if has_commas(clues.sample[key]):
            raise doubtful_comma(table.name, key, next(text for text in clues.sample[key] if "," in text))
    targets = named or clues.targets(series, timestamp)
    roles = Roles(series, timestamp, targets, covariates_of(clues), given.target if len(named) > 1 else None)
    if not targets:
        raise DataError(f"{table.name}: no column of numbers can be the target.", "Name one: --target COLUMN.")
    if series is not None and len(targets) > 1 and not named:
        raise DataError(
            f"{table.name}: several columns could be the target: {_listed(targets)}.",
            f"Name one: --target COLUMN; or all to forecast, e.g. --target '{joined_name(targets[:2])}'.",
        )
    if len(targets) > 1 and not named and (why := unlike({name: clues.sample[name] for name in targets}, table.signs)):
        raise DataError(
            f"{table.name}: {_listed(targets)} look unlike each other ({why}), so they may not all be series to forecast.",
            f"Name one: --target COLUMN; or all that are, e.g. --target '{joined_name(targets[:2])}'.",
        )
    if roles.covariates and roles.layout == "wide":
        raise UsageError(
            f"{_flags(given)}: a table with one series per column (here {_listed(targets)}) has no covariates.",
            "Name one: --target COLUMN; or give the rows with a series column.",
        )
    if given.static and roles.layout == "single":
        raise UsageError(f"--static {given.static[0]}: it has no effect on a single series.", "Leave it out.")
    return roles


def covariate_roles(table: RawTable, given: Columns) -> tuple[CovariateColumn, ...]:
    """The covariates of `given`. Where `given` does not say which of them are categories, that is inferred from their values."""
    _check_given(table, given)
    return covariates_of(Clues(table, given, table.sample()))


def covariates_of(clues: Clues) -> tuple[CovariateColumn, ...]:
    """The covariates given. Where their categories are not given, a covariate that does not hold numbers is one."""
    texts, given = clues.given.texts, clues.given.covariates
    if texts is None:
        texts = tuple(name for name in given if clues.sample[name] and not clues.holds_numbers(name))
    return tuple(CovariateColumn(name, role, name in texts) for name, role in given.items())


def _flags(given: Columns) -> str:
    return ", ".join(f"--{role}" for role in ROLES if getattr(given, role))


def _check_given(table: RawTable, given: Columns) -> None:
    roles = {"--series": given.series, "--timestamp": given.timestamp, "--target": given.target}
    parts = {flag: parts_of(name, table.columns) for flag, name in roles.items() if name is not None}
    for flag, names in parts.items():
        if (name := names[0]) not in table.columns:
            missing = next((each for each in split_names(name) if each not in table.columns), name)
            hint = nearest(missing, table.columns)
            raise NoColumnError(f"{table.name}: there is no column '{missing}' ({flag}).", hint)
    for role in ROLES:
        for name in getattr(given, role):
            if name not in table.columns:
                hint = nearest(name, table.columns)
                raise NoColumnError(f"{table.name}: there is no column '{name}' (--{role}).", hint)
    covariates, taken = [*given.known, *given.past, *given.static], [name for names in parts.values() for name in names]
    twice = next((name for i, name in enumerate(covariates) if name in (*covariates[:i], *taken)), None)
    if twice is not None:
        raise UsageError(f"column '{twice}' is given twice.", "A column has one role: keep one.")
    if len(set(taken)) < len(taken):
        raise UsageError("--series, --timestamp and --target must name different columns.")


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
