"""`tune_recipe`: products and parameters of a recipe that has just run; the user goes on, or runs it again."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from esorex_bridge.definitions.parameters import ParameterError, ParameterSchema, ParameterSetting, check_value
from reflex_actors.page import Form, InvalidFormError, PageQuestion, ask, can_show
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.sof_json import RecipeParameter, SetOfFiles, value_text

_WIDEST = 420
"""Pixels to which pictures of products are made smaller."""

ACTOR = Actor(
    "tune_recipe",
    "Shows products and parameters, and runs again where the user wants.",
    (
        Port("in_sof", "products of the recipe just run", kind="sof", short="i", required=True),
        Port("in_sop", "parameters it ran with", kind="sop", short="p", required=True),
        Port("in_sof_rec_orig", "the recipe's original input", kind="sof", short="g", required=True),
        Port("enable", "whether to show anything", kind="flag", short="e", default="false"),
    ),
    (
        Port("out_sof", "products, when the user continues", kind="sof", short="o", silent=True),
        Port("out_sop", "parameters, when the user continues", kind="sop", short="q", silent=True),
        Port("out_sof_loop", "files for the next run", kind="sof", short="f", silent=True),
        Port("out_sop_loop", "parameters for the next run", kind="sop", short="l", silent=True),
        Port("iteration_complete", "true or false", short="c"),
        Port("set_enable", "whether to show anything from now on", kind="flag", short="s"),
        Port("set_init_sop", "parameters to begin with from now on", kind="sop", short="n"),
        Port("set_init_text", "the same as text for SopCreator, where the user wants that", silent=True),
    ),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the user wants.

    Parameters
    ----------
    again : bool
        Whether the recipe shall run again.
    parameters : tuple of RecipeParameter
        With the values of the form.
    show_more : bool
        Whether to show anything from now on.
    keep : bool
        Whether to begin with these parameters from now on.
    """

    again: bool
    parameters: tuple[RecipeParameter, ...]
    show_more: bool = True
    keep: bool = False


def work(inputs: Inputs) -> dict[str, Any]:
    """Ask, where a window can be opened and the user wants one; else hand the products on."""
    products, parameters = inputs.sof("in_sof"), inputs.sop("in_sop")
    enabled, original = inputs.flag("enable"), inputs.sof("in_sof_rec_orig")
    # A dataset that does not need the step has no input for it.
    wanted, shown = enabled and bool(original.files), can_show(os.environ)
    if wanted and not shown:
        sys.stderr.write(f"{original.dataset}: no display answers, so products are passed on without a page\n")
    verdict = ask(question(products, parameters)) if wanted and shown else None
    if verdict is None:
        verdict = Verdict(False, parameters, enabled)
    return outputs(verdict, products, parameters, original)


def outputs(
    verdict: Verdict, products: SetOfFiles, parameters: tuple[RecipeParameter, ...], original: SetOfFiles
) -> dict[str, Any]:
    """Return what goes to RecipeLooper, or on to the next step."""
    common: dict[str, Any] = {
        "set_enable": verdict.show_more,
        "set_init_sop": verdict.parameters if verdict.keep else parameters,
    }
    if verdict.keep:
        # Whoever sets a parameter of a workflow writes an expression, in which a dollar begins a name.
        common["set_init_text"] = "\n".join(each.text() for each in verdict.parameters).replace("$", "$$")
    if verdict.again:
        loop = {"out_sof_loop": original, "out_sop_loop": verdict.parameters}
        return {**common, **loop, "iteration_complete": "false"}
    return {**common, "out_sof": products, "out_sop": parameters, "iteration_complete": "true"}


def question(products: SetOfFiles, parameters: tuple[RecipeParameter, ...]) -> PageQuestion[Verdict]:
    """Return the page for products and parameters."""
    recipe = parameters[0].recipe if parameters else "recipe"
    pictures = _pictures(products)

    def body(form: Form, _problem: str) -> str:
        rows = "".join(_row(each, form) for each in parameters)
        return (
            f"{pictures}<h2>Parameters</h2><table>{rows}</table>"
            '<p><label><input type="checkbox" name="keep" value="1"> begin with these values from now on</label></p>'
            '<p><label><input type="checkbox" name="quiet" value="1"> show no more windows of this step</label></p>'
            '<button name="do" value="continue">Continue</button>'
            '<button name="do" value="again">Run again with these values</button>'
        )

    def read(form: Form) -> Verdict:
        again = form.get("do") == "again"
        values = tuple(_fill(each, form) for each in parameters) if again or "keep" in form else parameters
        return Verdict(again, values, "quiet" not in form, "keep" in form)

    return PageQuestion(f"{recipe}: {products.dataset}", body, read)


def _pictures(products: SetOfFiles) -> str:
    from esorex_bridge.pages.preview import describe, preview

    paths = ((file.category, Path(file.name)) for file in products.files)
    shown = (
        f"<h3>{escape(category)}</h3><p>{escape(str(path))}</p>{preview(path, _WIDEST)}<p>{escape(describe(path))}</p>"
        for category, path in paths
    )
    return "<h2>Products</h2>" + ("".join(shown) or "<p>none: the recipe failed or was not run</p>")


def _row(each: RecipeParameter, form: Form) -> str:
    fields = dict(each.fields)
    named = f'<label for="{escape(f"p.{each.display_name}")}"><b>{escape(each.display_name)}</b></label>'
    label = f"{named}<br>{escape(str(fields.get('description') or ''))}"
    return f"<tr><td>{label}</td><td>{_field(each, fields, form)}</td></tr>"


def _field(each: RecipeParameter, fields: dict[str, Any], form: Form) -> str:
    name = escape(f"p.{each.display_name}")
    value = form.get(f"p.{each.display_name}", value_text(each.value))
    choices = ("true", "false") if fields.get("valtype") == "bool" else tuple(map(str, fields.get("valenum") or ()))
    if choices:
        options = "".join(
            f"<option{' selected' if choice.lower() == value.lower() else ''}>{escape(choice)}</option>"
            for choice in choices
        )
        return f'<select name="{name}" id="{name}">{options}</select>'
    limits = [f"{word} {fields[key]}" for key, word in (("valmin", "from"), ("valmax", "to")) if key in fields]
    return f'<input type="text" name="{name}" id="{name}" value="{escape(value)}"> {escape(" ".join(limits))}'


def _fill(each: RecipeParameter, form: Form) -> RecipeParameter:
    """Return a parameter with the value of the form, checked against its type, choices and range."""
    name = f"p.{each.display_name}"
    if name not in form:
        return each
    try:
        value = check_value(_schema(each), ParameterSetting(each.recipe, each.display_name, form[name], "this page"))
    except ParameterError as error:
        raise InvalidFormError(str(error)) from None
    return each.with_value(value)


def _schema(each: RecipeParameter) -> ParameterSchema:
    fields = dict(each.fields)
    valtype = fields.get("valtype")
    return ParameterSchema(
        name=str(fields.get("name") or each.display_name),
        display_name=each.display_name,
        valtype=valtype if valtype in ("bool", "int", "double") else "string",
        default=each.value if each.value is not None else "",
        choices=tuple(fields.get("valenum") or ()),
        minimum=fields.get("valmin"),
        maximum=fields.get("valmax"),
    )
