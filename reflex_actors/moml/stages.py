"""The stages that every workflow has: initialise, get data, select, set the current dataset, close it."""

from __future__ import annotations

from reflex_actors.actors import (
    calselector_fetch,
    collect_products,
    erase_folders,
    organise_datasets,
    query_archive,
    review_association,
)
from reflex_actors.moml.blocks import (
    actor,
    composite,
    constant,
    display,
    file,
    folder,
    join_texts,
    parameter,
    place_actor,
    port_in,
    port_out,
    python_actor,
    setter,
    text,
)
from reflex_actors.moml.model import Entity, Property

TIME_FORMAT = "yyyy-MM-dd'T'HH:mm:ss"


def initialize() -> Entity:
    """Return the stage that empties folders where that is wanted, notes the time and hands on the data folder."""
    start = constant("Start", "$EraseDirs", once=True)
    folders = {
        "Root": "$ROOT_DATA_DIR",
        "Bookkeeping": "$BOOKKEEPING_DIR",
        "Logs": "$LOGS_DIR",
        "Products": "$TMP_PRODUCTS_DIR",
    }
    stamp = actor("Time Stamp", "org.sdm.spa.Timestamp", (text("format", TIME_FORMAT),))
    entities = (
        place_actor(start, 0, 1),
        *(place_actor(constant(name, value), 1, number + 2) for number, (name, value) in enumerate(folders.items())),
        place_actor(python_actor("Erase Dirs", erase_folders.ACTOR), 2, 1),
        place_actor(stamp, 3, 1),
        place_actor(setter("Variable Setter", "GLOBAL_TIMESTAMP"), 4, 1),
        place_actor(constant("Raw Data Dir", "$RAW_DATA_DIR"), 5, 1),
    )
    wires = (
        ("Start.output", "Erase Dirs.erase", *(f"{name}.trigger" for name in folders)),
        ("Root.output", "Erase Dirs.root_dir"),
        ("Bookkeeping.output", "Erase Dirs.bookkeeping_dir"),
        ("Logs.output", "Erase Dirs.logs_dir"),
        ("Products.output", "Erase Dirs.products_dir"),
        ("Erase Dirs.done", "Time Stamp.trigger"),
        ("Time Stamp.output", "Variable Setter.input"),
        ("Variable Setter.output", "Raw Data Dir.trigger"),
        ("Raw Data Dir.output", "data_dir"),
    )
    return composite("Initialize", (port_out("data_dir"),), entities, wires)


def get_data(instrument: str, workflow: str, reflex_organises: bool = False) -> Entity:
    """Return the stage that queries, fetches and organises.

    Parameters
    ----------
    instrument, workflow : str
        What to ask for, and the definition to plan by.
    reflex_organises : bool
        Whether a folder for Reflex's CalSelector mode comes out, instead of the list of datasets.
    """
    constants = {
        "Program": "$PROGRAM",
        "Target": "$TARGET",
        "Night": "$NIGHT",
        "Frames": "$DP_IDS",
        "Instrument": instrument,
        "Mode": "$CALIB_MODE",
        "Archive": "$ARCHIVE",
        "Most Frames": "$MAX_FRAMES",
        "Most Gigabytes": "$MAX_GB",
        "Review": "$ReviewAssociations",
        "Root": "$ROOT_DATA_DIR",
        "Workflow": workflow,
        "Form": "folder" if reflex_organises else "list",
    }
    actors = (
        place_actor(python_actor("Query Archive", query_archive.ACTOR), 3, 1),
        place_actor(python_actor("Fetch", calselector_fetch.ACTOR), 4, 2),
        place_actor(python_actor("Review Associations", review_association.ACTOR), 5, 3),
        place_actor(python_actor("Organise", organise_datasets.ACTOR), 6, 4),
    )
    fixed = tuple(
        place_actor(constant(name, value), 1, number + 1) for number, (name, value) in enumerate(constants.items())
    )
    triggered = tuple(f"{name}.trigger" for name in constants)
    wires = (
        ("data_dir", "Fetch.data_dir", *triggered),
        ("Program.output", "Query Archive.program"),
        ("Target.output", "Query Archive.target"),
        ("Night.output", "Query Archive.night"),
        ("Frames.output", "Query Archive.dp_ids"),
        ("Instrument.output", "Query Archive.instrument"),
        ("Archive.output", "Query Archive.archive", "Fetch.archive"),
        ("Mode.output", "Fetch.mode"),
        ("Most Frames.output", "Fetch.max_frames"),
        ("Most Gigabytes.output", "Fetch.max_gb"),
        ("Query Archive.out_dp_ids", "Fetch.dp_ids"),
        ("Fetch.out_data_dir", "Review Associations.data_dir"),
        ("Review.output", "Review Associations.enable"),
        ("Review Associations.out_data_dir", "Organise.data_dir"),
        ("Root.output", "Review Associations.root_dir", "Organise.root_dir"),
        ("Workflow.output", "Organise.workflow"),
        ("Form.output", "Organise.form"),
        ("Organise.out_data_dir" if reflex_organises else "Organise.datasets", "datasets"),
    )
    return composite("Get Data", (port_in("data_dir"), port_out("datasets")), (*fixed, *actors), wires)


def data_organizer(reflex_organises: bool = False) -> Entity:
    """Return the DataOrganizer: it hands our datasets on, or organises in CalSelector mode."""
    settings = (
        file("OCA File", ""),
        text("Keywords to be displayed", "OBJECT,INS.MODE"),
        parameter("Lazy Mode", "true"),
        folder("Bookkeeping Dir", "$BOOKKEEPING_DIR"),
        parameter("Use CalSelector associations", "true" if reflex_organises else "false"),
    )
    return actor("DataOrganizer", "org.eso.DataOrganizer", settings)


def selection() -> Entity:
    """Return the stage in which datasets are selected."""
    settings = (
        text("Selection mode", "$SelectDatasetMethod"),
        text("FITS Viewer", "$FITS_VIEWER"),
        file("Bookkeeping DB", "$BOOKKEEPING_DB"),
    )
    chooser = actor("DataSetChooser", "org.eso.DataSetChooser", settings, {"datasets in": 1})
    entities = (
        place_actor(constant("Time", "$GLOBAL_TIMESTAMP"), 1, 1),
        place_actor(chooser, 2, 2),
        place_actor(setter("Variable Setter", "N_SELECTED_DATASETS"), 3, 3),
    )
    wires = (
        ("datasets_in", "DataSetChooser.datasets in", "Time.trigger"),
        ("Time.output", "DataSetChooser.execution time"),
        ("DataSetChooser.dataset out", "dataset_out"),
        ("DataSetChooser.#selected", "Variable Setter.input"),
    )
    ports = (port_in("datasets_in", multiport=True), port_out("dataset_out", multiport=True))
    return composite("Data Set Selection", ports, entities, wires)


def current_dataset() -> Entity:
    """Return the stage that opens a dataset; the token with its name keeps the next one back until it is closed."""
    entities = (
        place_actor(actor("CurrentDataSet", "org.eso.CurrentDataSet"), 1, 1),
        place_actor(setter("Variable Setter", "CURRENT_DATASET"), 2, 2),
    )
    wires = (
        ("dataset_in", "CurrentDataSet.in", "dataset"),
        ("CurrentDataSet.dataset name", "Variable Setter.input", "current_dataset"),
    )
    ports = (port_in("dataset_in"), port_out("dataset"), port_out("current_dataset"))
    return composite("Initialise Current Dataset", ports, entities, wires)


def close_dataset(workflow: str, with_messages: bool = False) -> Entity:
    """Return the stage that files the end products and asks for the Product Explorer after the last dataset.

    Parameters
    ----------
    workflow : str
        Name of the definition, which says what a dataset is for.
    with_messages : bool
        Whether actors before it say what they left out.
    """
    comparison = Property("comparison", "ptolemy.kernel.util.StringAttribute", ">=")
    entities = (
        place_actor(constant("End Products Dir", "$END_PRODUCTS_DIR"), 1, 1),
        place_actor(constant("Time", "$GLOBAL_TIMESTAMP"), 1, 2),
        place_actor(constant("Workflow", workflow), 1, 5),
        place_actor(constant("Database", "$BOOKKEEPING_DB"), 1, 6),
        place_actor(constant("Names", "$RenameKeywords"), 1, 7),
        place_actor(constant("Show Report", "$ShowReport"), 1, 8),
        place_actor(python_actor("Collect Products", collect_products.ACTOR), 2, 1),
        place_actor(join_texts("Message", ": "), 3, 1),
        place_actor(display("Finished Datasets", "Finished Datasets"), 4, 1),
        place_actor(actor("Counter", "ptolemy.actor.lib.Counter"), 1, 3),
        place_actor(constant("Selected", "$N_SELECTED_DATASETS"), 1, 4),
        place_actor(actor("String To Int", "org.resurgence.actor.StringToInt"), 2, 4),
        place_actor(
            actor("Comparator", "ptolemy.actor.lib.logic.Comparator", (comparison, parameter("tolerance", "0.0"))), 3, 3
        ),
    )
    constants = ("End Products Dir", "Time", "Selected", "Workflow", "Database", "Names", "Show Report")
    triggered = (*(f"{name}.trigger" for name in constants), "Counter.increment")
    wires = (
        ("final_files", "Collect Products.in_sof", *triggered),
        ("current_dataset", "Message.parts"),
        ("End Products Dir.output", "Collect Products.end_products_dir"),
        ("Time.output", "Collect Products.timestamp", "global_timestamp"),
        ("dataset", "Collect Products.dataset"),
        ("Workflow.output", "Collect Products.workflow"),
        ("Database.output", "Collect Products.bookkeeping_db"),
        ("Names.output", "Collect Products.name"),
        ("Show Report.output", "Collect Products.show_report"),
        *((("messages", "Collect Products.messages"),) if with_messages else ()),
        ("Collect Products.message", "Message.parts"),
        ("Message.whole", "Finished Datasets.input"),
        ("Counter.output", "Comparator.left"),
        ("Selected.output", "String To Int.string", "Collect Products.selected"),
        ("String To Int.integer", "Comparator.right"),
        ("Comparator.output", "trigger_product_explorer"),
    )
    ports = (
        port_in("current_dataset"),
        port_in("final_files"),
        port_in("dataset"),
        *((port_in("messages"),) if with_messages else ()),
        port_out("global_timestamp"),
        port_out("trigger_product_explorer"),
    )
    return composite("Close DataSet", ports, entities, wires)


def product_explorer() -> Entity:
    """Return the Product Explorer, triggered after the last dataset."""
    settings = (
        text("Mode", "$ProductExplorerMode"),
        file("Bookkeeping DB", "$BOOKKEEPING_DB"),
        text("FITS Viewer", "$FITS_VIEWER"),
        text("date format", TIME_FORMAT),
    )
    return actor("ProductExplorer", "org.eso.ProductExplorer", settings)


def global_parameters(name: str, actors: str) -> tuple[tuple[str, tuple[tuple[Property, str], ...]], ...]:
    """Return the parameters that a user sees, each with a sentence, by the heading of their part of the canvas.

    Parameters
    ----------
    name : str
        Of the workflow; names folders.
    actors : str
        Where the actors are installed.
    """
    what = (
        (text("PROGRAM", ""), "observing programme, such as 60.A-9999(A)"),
        (text("TARGET", ""), "name of the target"),
        (text("NIGHT", ""), "night, such as 2016-03-01"),
        (text("DP_IDS", ""), "science frames by their archive names"),
        (text("CALIB_MODE", "raw"), "calibrations: raw, master (processed), or none: use what lies in RAW_DATA_DIR"),
        (text("ARCHIVE", ""), "address of an archive that is not ESO's"),
        (text("MAX_FRAMES", ""), "fetch nothing where more files than this are missing"),
        (text("MAX_GB", ""), "fetch nothing where they are larger than this together"),
    )
    where = (
        (folder("ROOT_DATA_DIR", "$HOME/reflex_data"), "set this one; the rest follows from it"),
        (folder("RAW_DATA_DIR", f"$ROOT_DATA_DIR/reflex_input/{name}"), "raw frames and their calibrations"),
        (folder("CALIB_DATA_DIR", f"$ROOT_DATA_DIR/reflex_input/{name}"), "static calibrations"),
        (folder("END_PRODUCTS_DIR", "$ROOT_DATA_DIR/reflex_end_products"), "end products, a folder a run"),
    )
    how = (
        (text("SelectDatasetMethod", "Interactive"), "Interactive, All, New, Reduced or Failed"),
        (text("RecipeFailureMode", "Ask"), "when a recipe fails: Ask, Continue or Stop"),
        (text("ReviewAssociations", "false"), "true: choose among calibrations before anything is reduced"),
        (text("GlobalPlotInteractivity", "true"), "true: show products and parameters of the steps that can be tuned"),
        (text("RenameKeywords", collect_products.NAMING), "what end products are called: keywords and 'texts'"),
        (text("ProductExplorerMode", "Triggered"), "Triggered, Enabled or Disabled"),
        (text("ShowReport", "false"), "true: after the last dataset, open a page that says what made every product"),
    )
    auxiliary = (
        (folder("BOOKKEEPING_DIR", f"$ROOT_DATA_DIR/reflex_book_keeping/{name}"), "one folder a run of a recipe"),
        (folder("LOGS_DIR", f"$ROOT_DATA_DIR/reflex_logs/{name}"), "EsoRex's logs"),
        (folder("TMP_PRODUCTS_DIR", f"$ROOT_DATA_DIR/reflex_tmp_products/{name}"), "products of all steps"),
        (file("BOOKKEEPING_DB", "$BOOKKEEPING_DIR/bookkeeping.db"), "by which Lazy Mode knows what was made"),
        (folder("BRIDGE_ACTORS", actors), "where 'esorex-bridge reflex install' put its actors"),
        (text("EraseDirs", "false"), "true: empty the three folders above first; nothing is reused then"),
        (text("FITS_VIEWER", "fv"), "shows files"),
        (text("ESORexArgs", "--suppress-prefix=TRUE"), "options of every run of EsoRex"),
    )
    return (
        ("What to get", what),
        ("Where it lies", where),
        ("How to run", how),
        ("Auxiliary parameters: usually left alone", auxiliary),
    )


def hidden_parameters() -> tuple[Property, ...]:
    """Return the parameters that the workflow sets itself."""
    return (text("GLOBAL_TIMESTAMP", ""), text("CURRENT_DATASET", ""), text("N_SELECTED_DATASETS", "0"))


def instructions(name: str) -> str:
    """Return the instructions below the heading of the canvas."""
    return (
        "1. Set ROOT_DATA_DIR.   2. Say what to get: PROGRAM, TARGET, NIGHT or DP_IDS; or put the data into "
        f"ROOT_DATA_DIR/reflex_input/{name}, and set CALIB_MODE to none.   3. Run."
    )


def view(x: float, y: float) -> tuple[Property, ...]:
    """Return how the window shows the canvas when the workflow is opened, and about which place."""
    return (
        Property("_vergilSize", "ptolemy.actor.gui.SizeAttribute", "[1400, 900]"),
        Property("_vergilZoomFactor", "ptolemy.data.expr.ExpertParameter", "0.6"),
        Property("_vergilCenter", "ptolemy.data.expr.ExpertParameter", f"{{{x:.1f}, {y:.1f}}}"),
    )
