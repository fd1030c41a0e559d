"""Steps of a workflow: which categories a recipe takes, and what it makes of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from typing import Literal

from msgspec import Struct

from esorex_bridge.definitions.cases import Case, Parameters

MatchOrigin = Literal["written", "rules", "group_by", ""]
"""Where the keywords to match come from: the definition, the pipeline's rules, or how the maker groups its raws."""


class Validity(Struct, frozen=True):
    """One way in which a calibration may be associated; of several, the first that something fulfils counts.

    Parameters
    ----------
    days : tuple of (float, float)
        Bounds, inclusive, of MJD-OBS of the calibration less MJD-OBS of the first main file.
    level : int
        How well this keeps to the calibration plan: below 0 stricter than it, 0 the plan, 1 good, 2 probably
        acceptable, 3 a significant risk (the scale of EDPS).
    match : tuple of str or None
        Keywords that must agree; None for those of the calibration.
    function : str
        Name and place of a workflow package's function that decides in the place of keywords; empty for none.
    """

    days: tuple[float, float] = (-inf, inf)
    level: int = 0
    match: tuple[str, ...] | None = None
    function: str = ""


class Branch(Struct, frozen=True):
    """One of the ways to an input that a workflow package has, in the order in which they are tried.

    Parameters
    ----------
    origin : str
        The step or the data source that it is taken from.
    categories : tuple of str
        What comes by it, all of it together.
    minimum, limit : int
        Fewest (0: it may be missing) and most of each; no limit: None.
    validity : tuple of Validity
        How it is associated, in the order in which that is tried; empty: any.
    condition : str
        Name and place of the package's function that says whether there is this way; empty: always.
    """

    origin: str
    categories: tuple[str, ...]
    minimum: int = 1
    limit: int | None = 1
    validity: tuple[Validity, ...] = ()
    condition: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether a calibration says all of it by `required` and `limit`."""
        return self.minimum <= 1 and not self.condition


class PackageTerms(Struct, frozen=True):
    """What a task of a workflow package says beyond a step of our own; planning by the package goes by it.

    Parameters
    ----------
    condition : str
        Name and place of the function that says whether there is a job at all; empty: always.
    dynamic : tuple of (str, str)
        Parameters that functions compute from the main files of a job, each with its function.
    changed_by : tuple of str
        Functions that may change parameters and inputs of a job.
    takes, gives : tuple of str
        Of products and statics in the SOF, and of products handed on: `only` or `all but`, and categories. Empty: all.
    renamed : tuple of (str, str)
        Other tags in the SOF, by category.
    group_by : tuple of str
        As it is written: `$name` is the keyword that the workflow parameter `name` holds.
    labels : tuple of str
        By which tasks are chosen as targets.
    """

    condition: str = ""
    dynamic: tuple[tuple[str, str], ...] = ()
    changed_by: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    group_by: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


class Calibration(Struct, frozen=True, cache_hash=True):
    """A calibration tag that a recipe takes beside its main files.

    Parameters
    ----------
    category : str
        The tag in the SOF: a product of another recipe, a static, or a raw frame taken as it is.
    required : bool
        Whether the recipe cannot do without it (or must not: some recipes silently go on without).
    match : tuple of str
        Keywords (`DET.DIT`) that must agree between the calibration and the first main file. A keyword that one of the
        two headers does not have does not speak against it.
    limit : int or None
        At most so many files of it (raws, statics), or products of so many steps, the nearest in time first.
        None: all.
    sources : tuple of str
        Other categories that serve under this tag, where rules or archive and recipe disagree about a name.
    instead : tuple of str
        Categories that serve in place of the tag's own, such as the product of an own step.
    noted : bool
        Whether the recipe names it in the header of its products. Where it does, a product that does not name it was
        made without it, whatever the exit code says.
    strict : tuple of str
        Keywords of `match` that a calibration must have where the first main file has them: OCA's `==`, where the
        others are its `?=`.
    loose : tuple of (str, str)
        Keywords that are not compared though rules or the maker's grouping do, each with the reason.
    validity : tuple of Validity
        Ranges of time with their levels, in the order in which they are tried; empty: any time, the nearest first.
    match_from : {'written', 'rules', 'group_by', ''}
        Where `match` comes from; empty where nothing is known that should agree.
    branches : tuple of Branch
        Of a workflow package, the ways to it in their order, where there are several, or where one has a condition or
        must bring more than one.
    """

    category: str
    required: bool = False
    match: tuple[str, ...] = ()
    limit: int | None = 1
    sources: tuple[str, ...] = ()
    noted: bool = True
    instead: tuple[str, ...] = ()
    strict: tuple[str, ...] = ()
    loose: tuple[tuple[str, str], ...] = ()
    validity: tuple[Validity, ...] = ()
    match_from: MatchOrigin = ""
    branches: tuple[Branch, ...] = ()

    @property
    def accepted(self) -> tuple[str, ...]:
        """All categories that may stand under this tag."""
        return self.instead or (self.category, *self.sources)


class StepDefinition(Struct, frozen=True, cache_hash=True):
    """One recipe in the workflow, or one program of the user's own.

    Parameters
    ----------
    name : str
        As Reflex names the actor: `<recipe>_<n>`.
    recipe : str
        EsoRex's name of it; for an own step, the name that its author gave.
    main : tuple of str
        Categories of the files it processes. The first gives the SOF its first frames, so the product its header.
    tags : tuple of (str, str)
        Names under which main files of some categories stand in the SOF, where rules and recipe disagree about a name.
    minimum : int
        Fewest main files it runs on.
    minima : tuple of (str, int)
        Fewest files of single main categories, where the recipe needs some of each.
    maximum : int or None
        Only so many main files, the first taken; None for all.
    group_by : tuple of str
        Keywords in which all main files of one run agree: raws of different settings are never mixed.
    each : bool
        Whether every main file is a run of its own, because the recipe passes over all but the first.
    calibrations : tuple of Calibration
        What it takes beside, in the order in which the SOF lists it.
    products : tuple of str
        Categories (`PRO CATG`) that it makes.
    parameters : tuple of (str, value)
        Recipe parameters that differ from the recipe's own defaults.
    cases : tuple of Case
        Parameters that differ for some files or inputs; where several cases fit, the later wins.
    tune : tuple of (str, value)
        Parameters that are worth changing once the products were seen, with the recipe's own defaults.
    always : bool
        Whether it runs wherever its main files are, though no other step takes its products: standards, checks.
    delivered : bool
        Whether what it makes because it always runs is an end product; what tells of the instrument alone is none.
    threads : int
        Processors that one run keeps busy.
    memory_mb : int or None
        Memory that one run needs at most, where it is known.
    command : tuple of str
        Program and arguments of an own step; empty for a recipe.
    terms : PackageTerms or None
        What else a workflow package says; None for a step of a definition.
    source : str
        The file it stands in.
    line : int
        Where it stands there.
    """

    name: str
    recipe: str
    main: tuple[str, ...]
    products: tuple[str, ...]
    tags: tuple[tuple[str, str], ...] = ()
    minimum: int = 1
    minima: tuple[tuple[str, int], ...] = ()
    maximum: int | None = None
    group_by: tuple[str, ...] = ()
    each: bool = False
    calibrations: tuple[Calibration, ...] = ()
    parameters: Parameters = ()
    cases: tuple[Case, ...] = ()
    tune: Parameters = ()
    always: bool = False
    delivered: bool = True
    threads: int = 1
    memory_mb: int | None = None
    command: tuple[str, ...] = ()
    terms: PackageTerms | None = None
    source: str = ""
    line: int = 0

    def tag(self, category: str) -> str:
        """Return the name in the SOF of a main file's category."""
        return dict(self.tags).get(category, category) if self.tags else category

    def parameters_for(self, keywords: Mapping[str, object], tags: Collection[str]) -> Parameters:
        """Return the parameters for files with these keywords, where the recipe gets inputs of these tags."""
        found = dict(self.parameters)
        for case in self.cases:
            if case.fits(keywords, tags):
                found.update(case.parameters)
        return tuple(found.items())

    @property
    def required(self) -> tuple[str, ...]:
        """Tags without which it must not run."""
        return tuple(each.category for each in self.calibrations if each.required)

    @property
    def unlisted(self) -> tuple[str, ...]:
        """Tags whose use cannot be seen in a product: a program of the user's own need not name any."""
        return tuple(each.category for each in self.calibrations if self.command or not each.noted)
