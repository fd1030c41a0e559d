"""Where a product comes from: its lineage down to the raws, as values, documents, crates and pages."""
