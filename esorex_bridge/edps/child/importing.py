"""Importing a package from its sources as text; what is not installed becomes inert, and `edps` is the stand-in."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from esorex_bridge.edps.child import standin
from esorex_bridge.edps.child.inert import Inert, note_unknown, site
from esorex_bridge.edps.child.rules import TIME_RANGES

inert: list[str] = []
"""Modules that are not installed here, in the order in which they were asked for."""


class PackageFinder(MetaPathFinder, Loader):
    """Finds modules of packages by their sources.

    Parameters
    ----------
    sources : mapping of str to str
        Text by path relative to the root (`naco/naco_wkf.py`).
    root : str
        Absolute path of the root; names the files in messages.
    """

    def __init__(self, sources: Mapping[str, str], root: str) -> None:
        self._sources, self._root = sources, root
        self._folders = {path.rpartition("/")[0] for path in sources}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return how to load a module of the packages; None for others."""
        place = name.replace(".", "/")
        if f"{place}/__init__.py" in self._sources or place in self._folders:
            spec = importlib.util.spec_from_loader(name, self, origin=f"{self._root}/{place}/__init__.py")
            if spec is not None:
                spec.submodule_search_locations = [f"{self._root}/{place}"]
            return spec
        if f"{place}.py" in self._sources:
            return importlib.util.spec_from_loader(name, self, origin=f"{self._root}/{place}.py")
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute a module's source."""
        origin = str(module.__spec__.origin if module.__spec__ else "")
        module.__file__ = origin
        text = self._sources.get(origin.removeprefix(f"{self._root}/"), "")
        exec(compile(text, origin, "exec", dont_inherit=True), module.__dict__)


class StandInFinder(MetaPathFinder, Loader):
    """Finds `edps` and everything below it."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return how to load the stand-in."""
        if name != "edps" and not name.startswith("edps."):
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill it: the time ranges, or all names; what is not known is noted when somebody asks for it."""
        known = standin.names()
        name = module.__name__
        if name == "edps.generator.time_range":
            known = {each: known[each] for each in (*TIME_RANGES, "RelativeTimeRange", "NEGATIVE_INF", "INF")}
        module.__dict__.update(known)
        module.__dict__["__all__"] = list(known)

        def ask(attribute: str) -> Any:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            note_unknown(attribute, name)
            return Inert(attribute)

        module.__dict__["__getattr__"] = ask


class _InertModule(ModuleType):
    __all__: Sequence[str] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert(f"{self.__name__}.{name}")


class InertFinder(MetaPathFinder, Loader):
    """Comes last, and finds everything: as a module that means nothing."""

    def __init__(self, root: str) -> None:
        self._root = root

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return how to load a module that is not installed.

        A module of the standard library that is left out on this system is not replaced: its importers expect an error.
        """
        if not site().file.startswith(self._root):
            return None
        inert.append(name)
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module that takes every attribute."""
        return _InertModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Have nothing to do."""


def install(sources: Mapping[str, str], root: str) -> None:
    """Let imports find the packages, the stand-in, and for all else something inert."""
    sys.meta_path.insert(0, PackageFinder(sources, root))
    sys.meta_path.insert(0, StandInFinder())
    sys.meta_path.append(InertFinder(root))
