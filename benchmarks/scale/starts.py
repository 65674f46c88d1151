"""Start-up, empty jobs and memory of an executor; the start and the rate of a real study."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.measure import Measured, foreign_share, processor_time
from benchmarks.scale.checkouts import Checkout

KINDS = ("finished", "nothing")  # of empty jobs
ARMS = ("--arm", "25-25-1", "--arm", "1-1-1")  # two runs, one for each worker

Found = dict[str, list[dict[str, Any]]]  # checkout -> one result a round


def in_turn(measure: Mapping[str, Any], *, rounds: int) -> tuple[Found, float]:
    """Call functions in turn, round by round, and return what each returned and other processes' share of the cores."""
    before = processor_time()
    found: Found = {name: [] for name in measure}
    for _ in range(rounds):
        for name, function in measure.items():
            found[name].append(function())
    return found, foreign_share(before, processor_time())


def measure_executors(
    places: Sequence[Checkout], *, jobs: str, rounds: int, one_by_one: int, in_all: int, workers: int = 2
) -> dict[str, Any]:
    """Return, of each checkout, the start of an executor, empty jobs and memory; see `summarise`."""

    def executor_of(place: Checkout) -> Any:
        return lambda: place.time_executor(jobs=jobs, workers=workers, one_by_one=one_by_one, in_all=in_all)

    found, load = in_turn({place.name: executor_of(place) for place in places}, rounds=rounds)
    return {"jobs": jobs, "workers": workers, "in_all": in_all, "rounds": found, "foreign_load": load}


def executor_rows(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a row a checkout: medians over rounds, and over all jobs that were sent one by one."""
    rows = []
    for name, rounds in results["rounds"].items():
        each = [seconds for one in rounds for seconds in one["one_by_one"]]
        memory = [total_memory(one["memory"]) for one in rounds]
        rows.append(
            {
                f"jobs that are {results['jobs']}": name,
                "to the first answer, s": f"{median(one['first'] for one in rounds):.2f}",
                "one by one, ms a job": f"{1000 * median(each):.2f}",
                f"{results['in_all']} jobs, s": f"{median(one['in_all'] for one in rounds):.2f}",
                "closing, s": f"{median(one['closed'] for one in rounds):.2f}",
                "parent, MB": f"{median(one['parent'] for one in memory):.0f}",
                "before, MB": f"{median(one['parent_before'] for one in memory):.0f}",
                "a worker, MB": f"{median(one['worker'] for one in memory):.0f}",
                "others, MB": f"{median(one['others'] for one in memory):.0f}",
                "all, MB": f"{median(one['all'] for one in memory):.0f}",
            }
        )
    return rows


def total_memory(memory: Mapping[str, Any], *, kind: str = "pss") -> dict[str, float]:
    """Return megabytes (1e6 bytes) of the parent, of a worker on average, of other processes, and of all together."""
    workers = [one[kind] / 1e6 for one in memory["workers"]]
    parent, others = memory["parent"][kind] / 1e6, sum(one[kind] for one in memory["others"]) / 1e6
    return {
        "parent": parent,
        "parent_before": memory["parent_before"][kind] / 1e6,
        "worker": sum(workers) / len(workers),
        "others": others,
        "all": parent + sum(workers) + others,
    }


def measure_first_runs(
    places: Sequence[Checkout], *, rounds: int, settings: Sequence[str], workers: int = 2
) -> dict[str, Any]:
    """Return the seconds from the call of `study.ablate` on two arms to its first finished run, and to its exit."""
    given = [*study_arguments(settings, workers=workers, seeds=1), *ARMS]

    def study_of(place: Checkout) -> Any:
        return lambda: place.time_study(given)

    found, load = in_turn({place.name: study_of(place) for place in places}, rounds=rounds)
    return {"workers": workers, "arguments": given, "rounds": found, "foreign_load": load}


def first_run_rows(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a row a checkout; ratios are the medians over rounds of times of the same round."""
    rounds, load = results["rounds"], results["foreign_load"]
    base = next(iter(rounds))
    first = Measured(
        reference=base, seconds={name: [one["ends"][0] for one in of] for name, of in rounds.items()}, foreign_load=load
    )
    whole = Measured(
        reference=base, seconds={name: [one["exit"] for one in of] for name, of in rounds.items()}, foreign_load=load
    )
    return [
        {
            "study.ablate, two runs": name,
            "to the first finished run, s": f"{first.median(name):.2f}",
            "over rounds": f"{min(first.seconds[name]):.2f} to {max(first.seconds[name]):.2f}",
            f"times {base}": f"{1 / first.ratio(name):.3f}",
            "to the exit, s": f"{whole.median(name):.2f}",
            f"of {base}": f"{1 / whole.ratio(name):.3f}",
            "processor time, s": f"{median(one['processor'] for one in rounds[name]):.1f}",
        }
        for name in rounds
    ]


def measure_rates(
    places: Sequence[Checkout], *, rounds: int, settings: Sequence[str], seeds: int, workers: Sequence[int] = (1, 2)
) -> dict[str, Any]:
    """Return when the runs of a short study ended, with one worker and with more."""

    def study_of(place: Checkout, number: int) -> Any:
        return lambda: place.time_study(study_arguments(settings, workers=number, seeds=seeds))

    measure = {f"{place.name}, {number} workers": study_of(place, number) for place in places for number in workers}
    found, load = in_turn(measure, rounds=rounds)
    return {
        "workers": {f"{place.name}, {number} workers": number for place in places for number in workers},
        "settings": list(settings),
        "rounds": found,
        "foreign_load": load,
    }


def rate_rows(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a row for each checkout and number of workers."""
    rows = []
    for name, rounds in results["rounds"].items():
        number = results["workers"][name]
        rows.append(
            {
                "": name,
                "runs": str(len(rounds[0]["ends"])),
                "s": f"{median(one['exit'] for one in rounds):.1f}",
                "an hour, start and end included": f"{median(whole_rate(one) for one in rounds):,.0f}",
                "an hour, between": f"{median(steady_rate(one['ends'], workers=number) for one in rounds):,.0f}",
            }
        )
    return rows


def whole_rate(one: Mapping[str, Any]) -> float:
    """Return runs an hour of a whole command."""
    return float(3600 * len(one["ends"]) / one["exit"])


def steady_rate(ends: Sequence[float], *, workers: int) -> float:
    """Return runs an hour from the end of each worker's first on, where neither start nor exit counts."""
    return 3600 * (len(ends) - workers) / (ends[-1] - ends[workers - 1])


def study_arguments(settings: Sequence[str], *, workers: int, seeds: int) -> list[str]:
    """Return the arguments of `study.ablate` for lambda-mu-nu on digits."""
    given = ["--study", "lambda-mu-nu", "--profile", "digits", "--device", "cpu", "--seeds", str(seeds)]
    return [*given, "--workers", str(workers), *(part for setting in settings for part in ("--set", setting))]
