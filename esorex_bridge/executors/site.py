"""The site file: how a cluster is asked for a step, written by somebody who knows the cluster."""

from __future__ import annotations

from msgspec import Struct

from esorex_bridge.definitions.located import Located, Scalar, read_yaml

_SLURM_COUNTS = ("memory_mb", "minutes", "most_memory_mb", "most_minutes", "most_queued")
_PARSL_COUNTS = ("workers_per_node", "cores_per_worker", "memory_per_worker_mb")


class SlurmSite(Struct, frozen=True):
    """How steps go to Slurm by `sbatch`.

    Parameters
    ----------
    options : tuple of str
        For every `sbatch`: partition, account.
    memory_mb : int or None
        For a step whose workflow does not say how much; None leaves it to the cluster.
    minutes : int or None
        Time limit of a step; None leaves it to the cluster.
    most_memory_mb, most_minutes : int or None
        What a step gets at most that needed more than it was given; None for no such limit.
    most_queued : int
        So many jobs of the batch in the queue at a time.
    poll_s : float
        How often the queue is looked at.
    """

    options: tuple[str, ...] = ()
    memory_mb: int | None = None
    minutes: int | None = None
    most_memory_mb: int | None = None
    most_minutes: int | None = None
    most_queued: int = 1000
    poll_s: float = 2.0


class ParslSite(Struct, frozen=True):
    """How steps go to Parsl.

    Parameters
    ----------
    provider : str
        Name of a class of `parsl.providers`: `LocalProvider`, `SlurmProvider`, `PBSProProvider`, `LSFProvider`,
        `CondorProvider`, `KubernetesProvider` …
    options : tuple of (str, value)
        What it is made with, as Parsl documents it.
    workers_per_node : int
        Steps at a time on one node, at most.
    cores_per_worker : int
        Processors that a node must have for each of them.
    memory_per_worker_mb : int or None
        Memory that a node must have for each of them; None where that does not matter.
    address : str
        Of this machine, as the nodes reach it; empty for Parsl to find out.
    """

    provider: str = "LocalProvider"
    options: tuple[tuple[str, Scalar], ...] = ()
    workers_per_node: int = 1
    cores_per_worker: int = 1
    memory_per_worker_mb: int | None = None
    address: str = ""


class Site(Struct, frozen=True):
    """What is to be known of a cluster.

    Parameters
    ----------
    environment : tuple of str
        Shell lines before a worker begins: `module load esorex`.
    most_threads : int
        Processors that one step gets at most.
    slurm : SlurmSite
        For `--on slurm`.
    parsl : ParslSite
        For `--on parsl`.
    """

    environment: tuple[str, ...] = ()
    most_threads: int = 16
    slurm: SlurmSite = SlurmSite()
    parsl: ParslSite = ParslSite()


def read_site(text: str, source: str) -> Site:
    """Read a site file.

    Raises
    ------
    DefinitionError
        If it says something that is not allowed; the message has file, line, and what is allowed.
    """
    fields = read_yaml(text, source).fields("a site file", ("environment", "most_threads", "slurm", "parsl"))
    return Site(
        environment=fields["environment"].texts("environment") if "environment" in fields else (),
        most_threads=fields["most_threads"].count("most_threads") if "most_threads" in fields else Site().most_threads,
        slurm=_slurm(fields["slurm"]) if "slurm" in fields else SlurmSite(),
        parsl=_parsl(fields["parsl"]) if "parsl" in fields else ParslSite(),
    )


def _slurm(given: Located) -> SlurmSite:
    fields = given.fields("slurm", ("options", *_SLURM_COUNTS, "poll_s"))
    standard = SlurmSite()
    counts = {name: fields[name].count(name) for name in _SLURM_COUNTS if name in fields}
    return SlurmSite(
        options=fields["options"].texts("options") if "options" in fields else (),
        memory_mb=counts.get("memory_mb"),
        minutes=counts.get("minutes"),
        most_memory_mb=counts.get("most_memory_mb"),
        most_minutes=counts.get("most_minutes"),
        most_queued=counts.get("most_queued", standard.most_queued),
        poll_s=_seconds(fields["poll_s"]) if "poll_s" in fields else standard.poll_s,
    )


def _seconds(given: Located) -> float:
    value = given.scalar("poll_s")
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise given.complain("poll_s must be a number of seconds above 0")
    return float(value)


def _parsl(given: Located) -> ParslSite:
    fields = given.fields("parsl", ("provider", "options", *_PARSL_COUNTS, "address"))
    counts = {name: fields[name].count(name) for name in _PARSL_COUNTS if name in fields}
    options = fields["options"].items("options") if "options" in fields else ()
    return ParslSite(
        provider=fields["provider"].text("provider") if "provider" in fields else ParslSite().provider,
        options=tuple((name, value.scalar(f"option {name}")) for name, value in options),
        workers_per_node=counts.get("workers_per_node", 1),
        cores_per_worker=counts.get("cores_per_worker", 1),
        memory_per_worker_mb=counts.get("memory_per_worker_mb"),
        address=fields["address"].text("address") if "address" in fields else "",
    )
