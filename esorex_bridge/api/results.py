"""What a run gives a user of Python: tables, and products that know what they were made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.api.listing import Listing
from esorex_bridge.errors import UnknownNameError
from esorex_bridge.run.report import DatasetReport, count, count_started, summarise_steps
from esorex_bridge.values import html_table

if TYPE_CHECKING:
    from astropy.io.fits import HDUList
    from astropy.table import Table

    from esorex_bridge.provenance.lineage import Lineage

_STEP_COLUMNS = ("dataset", "step", "recipe", "result", "why", "seconds", "products")


class Html(str):
    """A text of HTML, which a notebook shows."""

    def _repr_html_(self) -> str:
        return str(self)


class ProductFile(Struct, frozen=True, repr_omit_defaults=True):
    """A product on disk.

    Parameters
    ----------
    category : str
        Its `PRO CATG`.
    path : Path
        Where it lies.
    dataset, step : str
        What it was made for, and by.
    sha256 : str
        64 hex digits, of the decompressed FITS stream.
    size_bytes : int
        Of that stream.
    root : Path
        The data root that made it.
    """

    category: str
    path: Path
    dataset: str
    step: str
    sha256: str
    size_bytes: int
    root: Path

    @property
    def made_from(self) -> Lineage:
        """All that it was made from, down to the raws.

        Raises
        ------
        BridgeError
            If the root does not know it any more.
        """
        from esorex_bridge.provenance.side import lineage_in

        return lineage_in(str(self.path), self.root)

    def open(self) -> HDUList:
        """Open it by astropy; to be closed by the caller, or used in a `with` statement."""
        from astropy.io import fits

        return fits.open(self.path)

    def preview(self, widest: int = 360) -> Html:
        """Return a look at it as HTML: an image in grey, or a spectrum; in a notebook it is shown."""
        from esorex_bridge.pages.preview import describe, preview

        return Html(preview(self.path, widest) or f"<p>{describe(self.path)}</p>")

    def __repr__(self) -> str:
        """Return its category and name."""
        return f"<{self.category} {self.path.name} of {self.dataset}>"

    def _repr_html_(self) -> str:
        return f"{self.preview()}{html_table(('category', 'file', 'dataset', 'step'), [self._row()])}"

    def _row(self) -> tuple[object, ...]:
        return self.category, self.path.name, self.dataset, self.step


class Products(Listing[ProductFile]):
    """Products, by position or by category."""

    kind = "product"
    columns = ("category", "file", "dataset", "step")

    @staticmethod
    def name_of(item: ProductFile) -> str:
        """Return the category."""
        return item.category

    @staticmethod
    def row_of(item: ProductFile) -> tuple[object, ...]:
        """Return category, file, dataset and step."""
        return item._row()


class Result(Struct, frozen=True):
    """What came of a run.

    Parameters
    ----------
    reports : tuple of DatasetReport
        One a dataset, with its steps.
    root : Path
        The data root.
    """

    reports: tuple[DatasetReport, ...]
    root: Path

    @property
    def ran(self) -> int:
        """How many recipes were started; of a dry run, how many would be."""
        return count_started(self.reports)

    @property
    def reused(self) -> int:
        """How many steps were reused."""
        return count(self.reports, "reuse")

    @property
    def failed(self) -> bool:
        """Whether a step failed or could not run, or science files are not reduced."""
        return any(report.failed for report in self.reports)

    @property
    def errors(self) -> tuple[str, ...]:
        """What went wrong, in words; empty where nothing did."""
        steps = (step for report in self.reports for step in report.steps if step.error)
        told = [f"{step.dataset}: {step.step}: {step.error}" for step in steps]
        return (*told, *(f"{report.dataset}: {text}" for report in self.reports for text in report.unreduced))

    @property
    def table(self) -> Table:
        """One row a step: dataset, step, recipe, result, why, seconds, products."""
        from astropy import units
        from astropy.table import Table

        rows = list(self._rows())
        types = (str, str, str, str, str, float, str)
        table = Table(rows=rows or None, names=_STEP_COLUMNS, dtype=types)
        table["seconds"].unit = units.s
        return table

    @property
    def products(self) -> Products:
        """All products: first those that the datasets are for, under their readable names, then those of other steps.

        By category: `result.products["COADDED_IMG"]`.
        """
        ends = [self._end(report, product) for report in self.reports for product in report.end_products]
        known = {(product.dataset, product.sha256) for product in ends}
        steps = (
            _product(product, step.dataset, step.step, self.root)
            for report in self.reports
            for step in report.steps
            for product in step.products
        )
        return Products((*ends, *(made for made in steps if (made.dataset, made.sha256) not in known)))

    @property
    def end_products(self) -> Products:
        """The products that the datasets are for."""
        return Products(self._end(report, product) for report in self.reports for product in report.end_products)

    def of(self, dataset: str) -> Result:
        """Return what came of one dataset.

        Raises
        ------
        UnknownNameError
            If it was not in this run.
        """
        name = getattr(dataset, "name", dataset)
        found = tuple(report for report in self.reports if report.dataset == name)
        if not found:
            raise UnknownNameError("dataset", name, [report.dataset for report in self.reports])
        return Result(found, self.root)

    def _end(self, report: DatasetReport, product: Any) -> ProductFile:
        steps = (step.step for step in report.steps if any(each.digest == product.digest for each in step.products))
        return _product(product, report.dataset, next(steps, ""), self.root)

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for report in self.reports:
            for step in report.steps:
                made = ", ".join(dict.fromkeys(product.category for product in step.products))
                why = step.error or step.reason
                yield step.dataset, step.step, step.recipe or "", step.result, why, round(step.seconds, 3), made

    def __repr__(self) -> str:
        """Return how many steps ended how."""
        datasets = f"{len(self.reports)} dataset{'s' * (len(self.reports) != 1)}"
        return f"<Result: {datasets}; {summarise_steps(self.reports)}>"

    def _repr_html_(self) -> str:
        return html_table(_STEP_COLUMNS, self._rows(), repr(self)[1:-1])


def _product(product: Any, dataset: str, step: str, root: Path) -> ProductFile:
    digest = str(product.digest).rpartition(":")[2]
    return ProductFile(product.category, product.path, dataset, step, digest, product.size_bytes, root)
