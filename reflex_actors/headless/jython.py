"""The scripts in Jython that ESO's kits hold, known by what they say; none is executed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from esorex_bridge.fits.header import read_header
from esorex_bridge.provenance.beside import Describer, add_provenance, store_above
from esorex_bridge.run.delivery import delivery_rule, place_product, record_for_reflex
from reflex_actors.headless.director import Fire
from reflex_actors.headless.network import RunningActor
from reflex_actors.headless.running import Firing, Running, pairs
from reflex_actors.headless.tokens import WorkflowError, first, parameters_of, sof_of, text_of
from reflex_actors.sof_json import value_text

_FROM_TABLE = re.compile(r"findColumn\('(?P<column>[^']+)'\).*?\"(?P<recipe>\w+):(?P<parameter>[^\"=]+)=\"", re.DOTALL)
_TABLE_CATEGORY = re.compile(r"== '(\w+)'")


def jython_kind(node: RunningActor) -> str:
    """Return which of the known scripts an actor in Jython holds; empty for another one."""
    script = node.text("script")
    if "ProductRenamer" in script and "RenameKeywords" in script:
        return "ProductRenamer"
    if "'init_'" in script:
        return "SetInitialLoopParam"
    if "showConfirmDialog" in script:
        return "Dialog"
    if "master_purpose" in script and ".setPurposes(" in script:
        return "set purpose"
    if _FROM_TABLE.search(script) and _TABLE_CATEGORY.search(script):
        return "parameters of a table"
    return ""


def jython(node: RunningActor, run: Running) -> Fire:
    """Return how a known script in Jython fires."""
    work = {
        "ProductRenamer": _rename,
        "SetInitialLoopParam": _set_initial,
        "Dialog": _continue,
        "set purpose": _set_purposes,
        "parameters of a table": _read_parameters,
    }[jython_kind(node)]
    return lambda: work(node, run)


def _continue(node: RunningActor, run: Running) -> None:
    """Go on where the user would be asked."""
    token = first(node.take("input"))
    mode = text_of(first(node.take("trigger"))).lower() if "trigger" in node.inputs else "ask"
    node.send("yes" if mode in ("ask", "continue") else "no", token)
    if mode == "ask":
        node.send("userchoice", True)


def _set_initial(node: RunningActor, run: Running) -> None:
    """Remember the parameters that the next run begins with."""
    token = first(node.take("sop_in"))
    for each in parameters_of(token).listed:
        name = re.sub(r"\W+", "_", f"init_{each.display_name}")
        place = node.variables.outer
        known = next((word for word in (name, name.upper()) if place and place.owner(word)), None)
        if place and known:
            place.assign(known, value_text(each.value))
    node.send("sop_out", token)


def _rename(node: RunningActor, run: Running) -> None:
    """Give end products their names and their place."""
    sof = sof_of(first(node.take("sof_in")), run.options.flatten)
    number = run.account.begin(Firing(node.path, sof.dataset, sof=pairs(sof)))
    if run.options.dry_run:
        run.account.end(number, "foreseen", sof)
        node.send("sof_out", sof)
        return
    rule = delivery_rule(node.text("RenameKeywords"), node.text("CopyMode", "copy"), node.text("OutputExistsMode"))
    place = Path(node.text("FinalProductDirectory"), node.text("SubDir"))
    delivered = [place_product(Path(file.name), None, place, rule) for file in sof.files]
    if delivered:
        with store_above(delivered[0].source) as store:
            add_provenance(place, {each.target: each.reading.digest for each in delivered}, Describer(store))
    if delivered and (database := node.text("BookkeepingDB")):
        record_for_reflex(Path(database), {sof.dataset: delivered}, datetime.now())
    targets = {str(each.source): str(each.target) for each in delivered}
    renamed = sof.with_files(replace(file, name=targets[file.name], checksum=None) for file in sof.files)
    run.account.end_products.setdefault(sof.dataset, []).extend(pairs(renamed))
    run.account.end(number, "ran", renamed)
    node.send("sof_out", renamed)


def _set_purposes(node: RunningActor, run: Running) -> None:
    """Give files the purposes that the first file of another set has."""
    sof, other = (sof_of(first(node.take(port)), run.options.flatten) for port in ("in_sof", "master_purpose"))
    purposes = other.files[0].purposes if other.files else ()
    node.send("out_sof", sof.with_files(replace(file, purposes=purposes) for file in sof.files))


def _read_parameters(node: RunningActor, run: Running) -> None:
    """Send the recipe parameters that the first row of a table among the files says, as the script names them."""
    script = node.text("script")
    wanted = _TABLE_CATEGORY.findall(script)
    paths = [Path(file.name) for file in sof_of(first(node.take("input")), run.options.flatten).files]
    tables = [path for path in paths if path.is_file() and read_header(path).get("PRO.CATG") in wanted]
    node.send("output", _parameters_in(tables[0], script) if tables else "")


def _parameters_in(table: Path, script: str) -> str:
    from astropy.io import fits

    try:
        row = fits.getdata(table, 1)[0]
        values = ((each, row[each["column"]]) for each in _FROM_TABLE.finditer(script))
        return "".join(f"{each['recipe']}:{each['parameter']}={value}\n" for each, value in values)
    except (OSError, LookupError) as error:
        raise WorkflowError(f"{table} holds no parameters: {error.args[0]}") from None
