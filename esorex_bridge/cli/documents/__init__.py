"""The documents that `--json` prints, as types that the verbs fill in; by subject, so that a verb loads its own alone.

Words mean the same in all of them: `dataset` is a name, `mode` what calSelector executed, `requested` what was asked of
it, `files` are files with `name` and `path`, `sha256` is 64 hex digits of the content (decompressed), `executed` and
`reused` count steps. `catalogue` lists them, and makes their published JSON Schemas from the types.
"""
