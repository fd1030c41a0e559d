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
    elsewhere : mapping of str to str
        Roots of packages that lie under another one.
    """

    def __init__(self, sources: Mapping[str, str], root: str, elsewhere: Mapping[str, str]) -> None:
        self._sources, self._root, self._elsewhere = sources, root, elsewhere
        self._folders = {path.rpartition("/")[0] for path in sources}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return how to load a module of the packages; None for others."""
        place = name.replace(".", "/")
        root = self._elsewhere.get(name.partition(".")[0], self._root)
        if f"{place}/__init__.py" in self._sources or place in self._folders:
            origin = f"{place}/__init__.py"
            spec = importlib.util.spec_from_loader(name, self, origin=f"{root}/{origin}")
            if spec is not None:
                spec.submodule_search_locations = [f"{root}/{place}"]
        elif f"{place}.py" in self._sources:
            origin = f"{place}.py"
            spec = importlib.util.spec_from_loader(name, self, origin=f"{root}/{origin}")
        else:
            return None
        if spec is not None:
            spec.loader_state = self._sources.get(origin, "")
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute a module's source."""
        spec = module.__spec__
        assert spec is not None and spec.origin is not None
        module.__file__ = spec.origin
        exec(compile(spec.loader_state, spec.origin, "exec", dont_inherit=True), module.__dict__)


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

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = roots

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Return how to load a module that is not installed.

        A module of the standard library that is left out on this system is not replaced: its importers expect an error.
        """
        if not site().file.startswith(self._roots):
            return None
        inert.append(name)
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module that takes every attribute."""
        return _InertModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Have nothing to do."""


def install(sources: Mapping[str, str], root: str, elsewhere: Mapping[str, str]) -> None:
    """Let imports find the packages, the stand-in, and for all else something inert."""
    sys.meta_path.insert(0, PackageFinder(sources, root, elsewhere))
    sys.meta_path.insert(0, StandInFinder())
    sys.meta_path.append(InertFinder((root, *elsewhere.values())))
