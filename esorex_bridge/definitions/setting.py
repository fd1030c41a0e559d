"""Which keywords a calibration must agree in where a definition does not say: those of its maker's grouping.

Exposure and template never count, because a flat of 2 s calibrates a science frame of 10 s; but a dark of another
exposure time is another dark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from esorex_bridge.definitions.steps import Calibration, StepDefinition

_EXPOSURE = re.compile(r"(^|\.)(N?DIT\d*|N?UIT\d*|EXPTIME)$|^(TPL|OBS)\.|^(ARCFILE|MJD-OBS)$")


def is_exposure(keyword: str) -> bool:
    """Tell whether a keyword is of the exposure or the template, and not of the instrument's setting."""
    return _EXPOSURE.search(keyword) is not None


def is_dark(step: StepDefinition) -> bool:
    """Tell whether a step makes darks, which depend on the exposure time."""
    return any("DARK" in category for category in (*step.main, *step.products))


def with_default_match(steps: Iterable[StepDefinition]) -> tuple[StepDefinition, ...]:
    """Return steps in which every calibration that another step makes, and for which no `match` is written, has one."""
    listed = tuple(steps)
    return tuple(
        replace(step, calibrations=tuple(_with_match(each, step, listed) for each in step.calibrations))
        for step in listed
    )


def _with_match(calibration: Calibration, step: StepDefinition, steps: tuple[StepDefinition, ...]) -> Calibration:
    if calibration.match_from in ("written", "rules"):
        return calibration
    match = setting_of_makers(calibration, step, steps)
    return replace(calibration, match=match, match_from="group_by" if match else "")


def setting_of_makers(
    calibration: Calibration, user: StepDefinition, steps: tuple[StepDefinition, ...]
) -> tuple[str, ...]:
    """Return the setup keywords by which the makers of a calibration group their raws, without those that are loose."""
    makers = [step for step in steps if step is not user and set(step.products).intersection(calibration.accepted)]
    loose = {keyword for keyword, _ in calibration.loose}
    keys = dict.fromkeys(key for maker in makers for key in _setup_keywords(maker, steps))
    return tuple(key for key in keys if key not in loose)


def _setup_keywords(maker: StepDefinition, steps: tuple[StepDefinition, ...]) -> Iterator[str]:
    keys = maker.group_by or next(
        (other.group_by for other in steps if other is not maker and set(other.products).intersection(maker.main)), ()
    )
    return (key for key in keys if is_dark(maker) or not is_exposure(key))
