"""The arithmetic of the bench: medians, ratios, and what a process tree costs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.processes import cpu_by_name, cpu_seconds, memory_bytes, tree
from bench.report import STORE_FIGURES, Run, compared, saturation, table
from bench.works import WORKS, Work

WORK = Work(name="new", title="4 KiB", size_bytes=4096, sessions=20, count=100)


def rate(system: str, value: float) -> Run:
    return Run(system=system, work="new", accepted_per_second=value, cpu_ms=1000 / value)


def test_table_compares_medians_and_above_one_is_better() -> None:
    runs = [rate("Waybill", v) for v in (800, 10, 900)] + [rate("Postfix", v) for v in (400, 9000, 300)]
    lines = table(runs, works=[WORK], systems=["Waybill", "Postfix"]).splitlines()
    assert lines[2:] == [
        "| 4 KiB | accept /s | 800 | 400 | 2.00× |",
        "|  | CPU ms a message | 1.2 | 2.5 | 2.00× |",
    ]


def test_one_system_alone_has_no_ratio() -> None:
    lines = table([rate("Waybill", 500)], works=[WORK], systems=["Waybill"]).splitlines()
    assert lines[0] == "| work |  | Waybill |"
    assert lines[2] == "| 4 KiB | accept /s | 500 |"


def test_multiples_are_medians_of_those_of_the_single_rounds() -> None:
    runs = [rate("one", v) for v in (100, 1000, 10)] + [rate("two", v) for v in (200, 1000, 20)]
    lines = compared(runs, works=[WORK], systems=["one", "two", "none"], figures=STORE_FIGURES).splitlines()
    assert lines == [
        "| work |  | one | two | none |",
        "| --- | --- | ---: | ---: | ---: |",
        "| 4 KiB | accept /s | 100 | 200 (2.00×) |  |",
        "|  | CPU ms a message | 10.0 | 5.0 (0.50×) |  |",
    ]


def test_a_figure_only_the_later_systems_have_stands_without_a_multiple() -> None:
    runs = [rate("one", 500), Run(system="two", work="new", statements=12.0)]
    lines = compared(runs, works=[WORK], systems=["one", "two"], figures=STORE_FIGURES).splitlines()
    assert lines[-1] == "|  | statements a message |  | 12.0 |"


def test_saturation_names_the_busiest_process_first_and_leaves_idle_ones_out() -> None:
    runs = [
        Run(system="one", work="new", cores={"intake": cores, "deliver": 0.5, "idle": 0.01})
        for cores in (0.2, 0.9, 0.8)
    ]
    assert saturation(runs, works=[WORK], systems=["one", "none"]).splitlines()[2:] == [
        "| 4 KiB | one | intake 0.80, deliver 0.50 |"
    ]


def test_scaled_work_keeps_at_least_one_message_per_session() -> None:
    assert WORK.scaled(0.001).count == WORK.sessions
    assert WORK.scaled(3).count == 300


def test_work_names_are_unique() -> None:
    assert len({work.name for work in WORKS}) == len(WORKS)


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="/proc of Linux is missing")
def test_tree_holds_descendants_and_their_cost() -> None:
    inner = "import sys; sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {inner!r}])"
    with subprocess.Popen([sys.executable, "-S", "-c", outer], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        while len(tree(process.pid)) < 2:
            assert process.poll() is None
        assert process.pid in tree(os.getpid())
        assert memory_bytes(os.getpid()) > memory_bytes(process.pid) > 0
        process.stdin.close()
    assert cpu_seconds(os.getpid()) > 0


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="/proc of Linux is missing")
def test_cpu_is_told_apart_by_what_a_process_is() -> None:
    program = "import sys; sum(range(10**6)); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program, "deliver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        assert list(cpu_by_name(process.pid)) == ["deliver"]
        process.stdin.close()
