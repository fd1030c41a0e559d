"""Loads what commands load, and the definitions that they read, in the process from which tests fork them."""

import importlib
import pkgutil

import esorex_bridge
from esorex_bridge.definitions.folders import own_definitions

ELSEWHERE = ("esorex_bridge.edps.child", "esorex_bridge.__main__", "esorex_bridge.executors.interchange")
"""Modules that run in processes of their own."""
LATE = ("astropy.io.fits", "astropy.io.votable", "jinja2", "keyring", "lxml.etree", "PIL.Image", "pyvo", "requests")
"""What commands load when they need it."""

for module in pkgutil.walk_packages(esorex_bridge.__path__, "esorex_bridge."):
    if not module.name.startswith(ELSEWHERE):
        importlib.import_module(module.name)
for name in LATE:
    importlib.import_module(name)
own_definitions().all()
