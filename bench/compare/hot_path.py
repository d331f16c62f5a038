#!/usr/bin/env python3
"""The table of the hot path, as Markdown, from the files that hot_path.sh has written.

usage: hot_path.py RESULTS           medians of all runs there; what a target asks for, and whether it is met
       hot_path.py --line FILE.json  one run on one line
"""

import collections
import glob
import json
import os
import statistics
import sys

# Row, what, unit, figure, targets: (share, of whom), where a share says how much of it at least, or at most.
AT_LEAST, AT_MOST = ">=", "<="
MB, CPU_GB, PER_S, CPU_REQUEST = "mb_per_s", "cpu_s_per_gb", "requests_per_s", "cpu_us_per_request"
ROWS = [
    ("produce-64k", MB, [(AT_LEAST, 0.8, "null")]),
    ("produce-64k", CPU_GB, [(AT_MOST, 1.5, "null"), (AT_MOST, 2 / 3, "kafka")]),
    ("produce-1m", MB, [(AT_LEAST, 0.8, "null")]),
    ("produce-1m", CPU_GB, [(AT_MOST, 1.5, "null"), (AT_MOST, 2 / 3, "kafka")]),
    ("produce-small", PER_S, [(AT_LEAST, 2, "kafka")]),
    ("produce-small", CPU_REQUEST, [(AT_MOST, 0.5, "kafka")]),
    *((row, figure, targets) for row in ("tail", "hot", "cold")
      for figure, targets in ((MB, [(AT_LEAST, 0.8, "null")]), (CPU_GB, [(AT_MOST, 1, "kafka")]))),
    *((row, figure, [(AT_MOST, share, "kafka")]) for row in ("e2e-low", "e2e-half")
      for figure, share in (("p50_us", 1), ("p99_us", 1 / 3), ("p99_9_us", 1))),
    *((row, PER_S, [(AT_LEAST, 5, "kafka"), (AT_LEAST, 0.7, "journal")]) for row in ("strict-1", "strict-64")),
    ("partitions-1", PER_S, []),
    ("partitions-2000", PER_S, [(AT_LEAST, 0.8, "partitions-1")]),
    ("fan-out", CPU_GB, [(AT_MOST, 0.5, "kafka")]),
    ("polls", "core_percent", [(AT_MOST, 1, "1 %")]),
]
LABELS = {
    MB: "MB/s",
    CPU_GB: "machine CPU, s/GB",
    PER_S: "requests/s",
    CPU_REQUEST: "machine CPU, us/request",
    "p50_us": "p50, us",
    "p99_us": "p99, us",
    "p99_9_us": "p99.9, us",
    "core_percent": "% of a core",
}
SHOWN = ["before", "now", "kafka", "null", "null-write", "journal"]


def figures(run):
    """What is told of a run. CPU is the whole machine's less the client's; of waiting fetches the broker's alone."""
    if run["kind"] == "journal":
        return {PER_S: run["appends_per_s"]["median"], "p99_us": run["commit_p99_us"]["median"]}
    result = run["result"]
    usage = result["usage"]
    machine_s = usage["machine_cpu_s"] - usage["client_cpu_s"]
    told = {MB: result["mb_per_s"], PER_S: result["requests_per_s"], CPU_GB: result["machine_cpu_s_per_gb"]}
    if result["requests"]:
        told[CPU_REQUEST] = machine_s / result["requests"] * 1e6
    for name in ("p50_us", "p99_us", "p99_9_us"):
        if result["latency"]:
            told[name] = result["latency"][name]
    if usage["broker"]:
        told["core_percent"] = usage["broker"]["cpu_s"] / result["seconds"] * 100
    return {name: value for name, value in told.items() if value is not None}


def marks(run):
    """What a reader must know before he believes a run."""
    if run["kind"] == "journal":
        return set()
    result = run["result"]
    return {
        mark
        for mark, is_so in (
            ("generator-bound", result["generator_was_bottleneck"]),
            ("did not keep up", result["broker_was_bottleneck"]),
            ("partial", not run["complete"]),
            ("refusals", bool(result["refusals"])),
        )
        if is_so
    }


def line(path):
    with open(path, encoding="utf-8") as file:
        run = json.load(file)
    told = [f"{LABELS[name]} {text(value)}" for name, value in figures(run).items() if value]
    return "; ".join(told + sorted(marks(run)))


def read(directory):
    """(row, contender) -> figure -> values of all runs; (row, contender) -> marks and how often."""
    values = collections.defaultdict(lambda: collections.defaultdict(list))
    marked = collections.defaultdict(collections.Counter)
    paths = sorted(glob.glob(os.path.join(directory, "*.json")))
    for path in paths:
        row, contender, _ = os.path.basename(path).removesuffix(".json").rsplit(".", 2)
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
        for name, value in figures(run).items():
            values[row, contender][name].append(value)
        marked[row, contender].update(marks(run))
    return values, marked


def text(value):
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def cell(spread):
    if not spread:
        return "-"
    return f"{text(statistics.median(spread))} ({text(min(spread))} .. {text(max(spread))})"


def judge(now, theirs, target):
    """`72 % of null, >= 80 %: NO`; none of what was not measured."""
    way, share, whom = target
    if not now or (theirs is not None and not theirs):
        return f"{way} {percent(share)} of {whom}: not measured"
    by = 1 if theirs is None else statistics.median(theirs)
    if by == 0:
        return f"{way} {percent(share)} of {whom}: nothing to divide by"
    is_share = statistics.median(now) / by
    is_met = is_share >= share if way == AT_LEAST else is_share <= share
    if theirs is None:
        return f"{way} {whom}: {'yes' if is_met else '**no**'}"
    return f"{percent(is_share)} of {whom}, {way} {percent(share)}: {'yes' if is_met else '**no**'}"


def percent(share):
    return f"{share * 100:.0f} %"


def table(directory):
    values, marked = read(directory)
    if not values:
        sys.exit(f"hot_path.py: no results in {directory}")
    print("Medians (least .. largest)\n")
    print("| row | figure | before | now | Kafka | null | null-write | journal | target |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row, figure, targets in ROWS:
        now = values[row, "now"][figure]
        if not now:
            continue
        cells = [cell(values[row, contender][figure]) for contender in SHOWN]
        told = []
        for way, share, whom in targets:
            theirs = {"partitions-1": values["partitions-1", "now"][figure], "1 %": None}.get(whom, values[row, whom][figure])
            told.append(judge(now, theirs, (way, share, whom)))
        print(f"| {row} | {LABELS[figure]} | {' | '.join(cells)} | {'; '.join(told)} |")
    notes = [
        f"- {row}, {contender}: {mark} in {count} of the runs"
        for (row, contender), counter in sorted(marked.items())
        for mark, count in sorted(counter.items())
        if not (row == "polls" and mark == "partial")
    ]
    if notes:
        print("\nTo know before believing it:\n")
        print("\n".join(notes))


def main():
    words = sys.argv[1:]
    if len(words) == 2 and words[0] == "--line":
        print(line(words[1]))
    elif len(words) == 1 and os.path.isdir(words[0]):
        table(words[0])
    else:
        sys.exit(__doc__)


main()
