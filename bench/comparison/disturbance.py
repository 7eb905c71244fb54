"""What happened while two reports were measured that makes a difference of the machine look like the software's."""

from __future__ import annotations

from bench.report.rounds import usual_ratio
from bench.schema.derived import StepTime
from bench.schema.report import Report
from bench.statistics.calm import APART
from bench.system.conditions import busy_percent


def disturbed(base: Report, new: Report) -> str | None:
    """Return why a difference of two reports may not be the software's; None where nothing speaks against it."""
    return _busy(base, new) or _other_state(base, new)


def mixed_rounds(base: StepTime, new: StepTime) -> str | None:
    """Say whether rounds with cores apart count in one of two step times and are left out of the other.

    `disturbed` may see nothing of that: a tenth of calm rounds makes a report's usual state that of the other.
    """
    if base.calm is None or new.calm is None or base.calm == new.calm:
        return None
    apart, calm = ("new", "base") if base.calm else ("base", "new")
    return (
        f"rounds during which the machine's cores shared no cache count in {apart}, which has too few others, and not "
        f"in {calm}; measure again with --patience 10m, or compare with --ignore-noise"
    )


def _other_state(base: Report, new: Report) -> str | None:
    """Say whether cores shared a cache in the rounds of one report that count and did not in those of the other."""
    old, recent = usual_ratio(base.runs), usual_ratio(new.runs)
    if old is None or recent is None or max(old, recent) <= APART * min(old, recent):
        return None
    apart = "base" if old > recent else "new"
    return (
        f"the machine's cores shared a cache in one of the two and not in the other ({apart}); measure {apart} again, "
        "or --ignore-noise"
    )


def _busy(base: Report, new: Report) -> str | None:
    """Return the reports that were measured while other programs were busy, and how busy; None for neither."""
    shares = {
        name: share
        for name, report in (("base", base), ("new", new))
        if report.conditions is not None
        and (share := report.conditions.others_share or 0.0) > busy_percent(report.machine.usable_cores)
    }
    if not shares:
        return None
    # A report whose measurement was killed early knows only the use before its first worker started.
    known = [each.conditions.others_cpu_run_percent for each in (base, new) if each.conditions is not None]
    when = "while it was measured or just before" if None in known else "while it was measured"
    used = " and ".join(f"{share:.0f} % of a core ({name})" for name, share in shares.items())
    return f"other processes used {used} {when}; measure again with them stopped, or --ignore-noise"
