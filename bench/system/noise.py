"""Conditions that can distort a measurement, each a kind with its sentence; reports store the sentences."""

from __future__ import annotations

from enum import Enum


class Noise(Enum):
    """Kind of a condition; its value is the sentence, with advice, and a place for each figure."""

    LOAD = "the load is {load:.1f} on {cores} cores; stop what else is running"
    LOAD_AT_START = (
        "the load was {load:.1f} on {cores} cores before the start; stop what else is running and measure again"
    )
    OTHERS = "other processes used {percent:.0f} % of a core; `top` names them, stop them"
    OTHERS_AT_START = (
        "other processes used {percent:.0f} % of a core just before the start; `top` names them, stop them"
    )
    OTHERS_IN_RUN = "other processes used {percent:.0f} % of a core during the run; stop them and measure again"
    THREADS = "{threads} threads share {cores} usable cores and wait for each other; --threads {cores} fits"
    SIBLINGS = (
        "some of the {threads} threads share a physical core (SMT); `taskset -c {numbers}` before the command avoids it"
    )
    NUMA = (
        "the threads' cores belong to several NUMA nodes, whose memory differs in speed; "
        "`numactl --cpunodebind={node} --membind={node}` before the command keeps to one"
    )
    GOVERNOR = "the frequency governor is {governor}; `cpupower frequency-set -g performance` steadies it"
    VIRTUAL = "this is a virtual machine or container ({virtual}); neighbours may take time unseen"
    QUOTA = (
        "the control group's CPU quota allows the time of {cores} of {cpus} cores, and beyond that stops all that runs "
        "in it; raise the quota, or let nothing else run there"
    )
    QUOTA_USED = (
        "the control group's CPU quota has stopped what runs in it for {ms:,.0f} ms until now; "
        "raise the quota, or use fewer --threads"
    )
    QUOTA_IN_RUN = (
        "the control group's CPU quota stopped the workers for {ms:,.0f} ms of the run; "
        "raise the quota, or use fewer --threads"
    )
    MEMORY = "only {mib:,.0f} MiB of memory are left for the workers; free some or raise the limit"
    SWAPPED_IN = (
        "{pages:,} pages were read back from swap during the run, and steps may have waited; "
        "close programs and measure again"
    )
    SWAP = "{mib:,.0f} MiB lie in swap, so memory was short; close programs that you don't need"
    STEAL = (
        "the hypervisor took {percent:.1f} % of the CPU time {span}; "
        "expect wide intervals, or measure on a machine of your own"
    )
    THROTTLED = (
        "the processor was slowed down {events:,} times for heat or power {span}; let it cool, and pause between runs"
    )
    CORES_APART = (
        "data of another core took {least:.1f} to {most:.1f} times as long to read as a core's own: in {apart} of "
        "{rounds} rounds the cores had lost their common cache (docs/machine-state.md)"
    )

    def __call__(self, **figures: float | str) -> str:
        """Return the sentence with these figures."""
        return self.value.format(**figures)

    def is_kind_of(self, sentence: str) -> bool:
        """Return whether a stored sentence is of this kind, which its words before the first figure show."""
        return sentence.startswith(self.value.partition("{")[0])
