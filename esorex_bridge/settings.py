"""What a user wants of a data root: which data, by which definitions, with which parameters, how many at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from esorex_bridge.datasets.association import Mode
from esorex_bridge.definitions.edps.options import EdpsOptions
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.reuse.decide import Policy

if TYPE_CHECKING:
    from esorex_bridge.disk.room import RoomRule
    from esorex_bridge.organise.organised_data import By


class Settings(Struct, frozen=True):
    """What a session works with.

    Parameters
    ----------
    root : Path
        The data root.
    archive : str or None
        One base address for all archive services; None for ESO's own hosts.
    mode : {'Raw2Raw', 'Raw2Master'}
        Calibrations as raw frames or as processed masters.
    workflow : Path or None
        A workflow definition to use for all datasets, instead of the one for their instrument.
    parameters : tuple of ParameterSetting
        Recipe parameters that the user gave.
    esorex : str
        Name or path of the EsoRex command.
    jobs : int
        How many recipes may run at a time.
    policy : Policy
        What the user says about reuse.
    messages : callable or None
        Is given EsoRex's own messages, line by line; None to keep them in the folder of the run.
    by : {'auto', 'both', 'calselector', 'oca'}
        What datasets are made by: trees, and rules for frames that no tree names; the same with the gaps of trees
        filled by rules; trees alone; or rules alone.
    oca, breakpoints : Path or None
        Rule file and breakpoints to organise by, instead of the pipeline's own and those in the data root.
    data : tuple of Path
        Where the data lie; empty for the data root.
    edps : EdpsOptions
        Targets and parameters of an EDPS workflow.
    trace : Path or None
        A folder that every exchange with the archive is written into.
    quality : int or None
        Calibrations of a higher level are not taken; None for no limit.
    room : {'check', 'ignore'} or None
        Whether what the disks have no room for is refused; None for what the settings of the root or the user say.
    memory_mb : int or None
        What recipes may take together; 0 for no limit, None for what is free when they begin.
    """

    root: Path
    archive: str | None = None
    mode: Mode = "Raw2Raw"
    workflow: Path | None = None
    parameters: tuple[ParameterSetting, ...] = ()
    esorex: str = "esorex"
    jobs: int = 1
    policy: Policy = field(default_factory=Policy)
    messages: Callable[[str], None] | None = None
    by: By = "auto"
    oca: Path | None = None
    breakpoints: Path | None = None
    data: tuple[Path, ...] = ()
    edps: EdpsOptions = EdpsOptions()
    trace: Path | None = None
    quality: int | None = None
    room: RoomRule | None = None
    memory_mb: int | None = None
