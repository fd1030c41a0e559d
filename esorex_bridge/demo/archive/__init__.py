"""The embedded archive: calSelector, TAP, DataLink, data portal and login on loopback."""
