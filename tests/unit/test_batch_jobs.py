"""Jobs files and site files: what they may say, and complaints that name the line."""

from __future__ import annotations

import pytest

from esorex_bridge.batch.jobs import is_batch_name, read_jobs
from esorex_bridge.definitions.located import DefinitionError
from esorex_bridge.executors.site import read_site

WHOLE = """\
batch: survey
mode: master
parameters:
  naco_img_dark: {nsamples: 50}
jobs:
  - name: ours
    program: [60.A-9999(A), 60.A-9998(A)]
    night: [2016-03-01, 2016-03-02]
    instrument: naco
    mode: raw
    parameters: {naco_img_jitter: {rej: "1 1"}}
    sweep: {naco_img_jitter: {oddeven: [true, false], xcorr: ["40 40 65 65"]}}
    overrides:
      NACO.2016-03-02T00:30:00.076_tpl: {naco_img_dark: {nsamples: 60}}
    skip: [NACO.2016-03-02T00:36:00.076_tpl]
  - dp_ids: [NACO.2016-03-02T00:30:00.076]
  - datasets: all
"""


def test_a_job_of_programmes_and_nights_is_one_query_for_each_of_both() -> None:
    jobs = read_jobs(WHOLE, "JOBS.yaml")
    assert jobs.name == "survey"
    ours = jobs.jobs[0]
    assert {(query.program, query.night) for query in ours.queries} == {
        (program, night) for program in ("60.A-9999(A)", "60.A-9998(A)") for night in ("2016-03-01", "2016-03-02")
    }
    assert {query.instrument for query in ours.queries} == {"naco"}


def test_what_holds_for_all_jobs_is_taken_over_and_may_be_changed() -> None:
    ours, named, here = read_jobs(WHOLE, "JOBS.yaml").jobs
    assert (ours.mode, named.mode, here.mode) == ("Raw2Raw", "Raw2Master", "Raw2Master")
    assert here.datasets == ("all",)
    assert named.queries[0].dp_ids == ("NACO.2016-03-02T00:30:00.076",)
    assert [setting.value for setting in named.settings] == [50]
    assert ours.skip == ("NACO.2016-03-02T00:36:00.076_tpl",)


def test_a_sweep_gives_a_variant_for_each_combination_and_overrides_count_for_their_dataset() -> None:
    ours = read_jobs(WHOLE, "JOBS.yaml").jobs[0]
    variants = tuple(ours.variants("NACO.2016-03-02T00:30:00.076_tpl"))
    assert [variant.label for variant in variants] == [
        "@oddeven=True@xcorr=40_40_65_65",
        "@oddeven=False@xcorr=40_40_65_65",
    ]
    nsamples = [setting.value for setting in variants[0].settings if setting.name == "nsamples"]
    assert nsamples == [50, 60], "the later one wins"
    other = next(iter(ours.variants("another")))
    assert [setting.value for setting in other.settings if setting.name == "nsamples"] == [50]


def test_a_setting_knows_the_line_it_stands_in() -> None:
    setting = read_jobs(WHOLE, "JOBS.yaml").jobs[0].settings[0]
    assert setting.origin == "JOBS.yaml:4"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("jobs: []\n", 1, "jobs is empty"),
        ("jobs:\n  - datasets: all\n    mode: best\n", 3, "allowed: raw, master"),
        ("jobs:\n  - datasets: all\n    program: P\n", 2, "in one way"),
        ("jobs:\n  - mode: raw\n", 2, "in one way"),
        ("jobs:\n  - datasets: all\n    sweep: {naco_img_dark: {r: []}}\n", 3, "has no values"),
        ("jobs:\n  - datasets: all\n    sweeps: {}\n", 3, "has no 'sweeps'"),
        ("jobs:\n  - dp_ids: [../../etc/passwd]\n", 2, "is no archive name"),
        ("jobs:\n  - {name: a, datasets: all}\n  - {name: a, datasets: all}\n", 2, "two jobs are named 'a'"),
        ("batch: ../x\njobs:\n  - datasets: all\n", 1, "is no name for a batch"),
        ("jobs:\n  - program: P\n    ra: north\n", 3, "number of degrees"),
        ("jobs: [\n", 2, "this is not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(DefinitionError) as error:
        read_jobs(text, "JOBS.yaml")
    assert words in str(error.value)
    assert error.value.line == line


@pytest.mark.parametrize(("name", "good"), [("night_1-a.b", True), ("..", False), ("a/b", False), (".a", False)])
def test_a_batch_name_is_the_name_of_a_folder(name: str, good: bool) -> None:
    assert is_batch_name(name) is good


def test_a_site_file_tells_how_a_cluster_is_asked() -> None:
    site = read_site(
        "environment: module load esorex\nmost_threads: 8\n"
        "slurm: {options: [--partition=main], memory_mb: 2000, minutes: 30, poll_s: 0.5}\n"
        "parsl: {provider: SlurmProvider, options: {partition: main, exclusive: false}, workers_per_node: 4}\n",
        "cluster.yaml",
    )
    assert site.environment == ("module load esorex",)
    assert (site.slurm.options, site.slurm.minutes, site.slurm.poll_s) == (("--partition=main",), 30, 0.5)
    assert dict(site.parsl.options) == {"partition": "main", "exclusive": False}
    with pytest.raises(DefinitionError, match=r"cluster.yaml:2: slurm has no 'partition'"):
        read_site("most_threads: 8\nslurm: {partition: main}\n", "cluster.yaml")
