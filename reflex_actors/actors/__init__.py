"""The actors: one module each, with its face (`ACTOR`) and what it does (`work`)."""

NAMES = (
    "erase_folders",
    "query_archive",
    "calselector_fetch",
    "organise_datasets",
    "select_dataset",
    "review_association",
    "sof_for_recipe",
    "step_inputs",
    "step_parameters",
    "run_recipe",
    "run_command",
    "tune_recipe",
    "collect_products",
)
"""In the order of the road."""
