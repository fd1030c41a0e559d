"""Which keywords a calibration must agree in where a definition does not say: those of its maker's grouping.

Exposure and template never count, because a flat of 2 s calibrates a science frame of 10 s; but a dark of another
exposure time is another dark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.structs import replace

from esorex_bridge.definitions.steps import Calibration, StepDefinition

_EXPOSURE = re.compile(r"(^|\.)(N?DIT\d*|N?UIT\d*|EXPTIME)$")
_TEMPLATE = re.compile(r"^(TPL|OBS)\.|^(ARCFILE|MJD-OBS)$")
_BAD_PIXELS = re.compile(r"BPM|BP_?MAP|BAD_?PIX|HOT|COLD")


def is_exposure(keyword: str) -> bool:
    """Tell whether a keyword is of the exposure time."""
    return _EXPOSURE.search(keyword) is not None


def is_template(keyword: str) -> bool:
    """Tell whether a keyword is of the template or the single exposure, and not of a setting."""
    return _TEMPLATE.search(keyword) is not None


def is_dark(category: str) -> bool:
    """Tell whether a category is of darks, which depend on the exposure time; a map of bad pixels does not."""
    return "DARK" in category and _BAD_PIXELS.search(category) is None


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
    dark = is_dark(calibration.category)
    keys = dict.fromkeys(key for maker in makers for key in _grouping(maker, steps))
    kept = (key for key in keys if not is_template(key) and (dark or not is_exposure(key)))
    return tuple(key for key in kept if key not in loose)


def _grouping(maker: StepDefinition, steps: tuple[StepDefinition, ...]) -> tuple[str, ...]:
    """Return the keywords by which a step groups; where its main files are products, those of what makes these."""
    if maker.group_by:
        return maker.group_by
    before = (step.group_by for step in steps if step is not maker and set(step.products).intersection(maker.main))
    return next(before, ())
