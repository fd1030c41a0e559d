"""The Python of a user: a night with its datasets, choices, runs and products. `esorex_bridge` itself offers it."""
