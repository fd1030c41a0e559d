"""FITS files read fast: primary headers, streams, verification."""
