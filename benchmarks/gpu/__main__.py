"""Checks, timings and the source paper's recipe on a GPU that is rented for 15 minutes, in two calls of ten.

    make gpu-wheels                                                          # before, where there is a network
    python -m benchmarks.gpu --out OUT --images cifar10-jpeg.tar.xz          # and then the command that this prints

Each section is a process of its own, and is stopped where its time or the call's is over, or where the call gets SIGTERM or
SIGINT. What it has measured by then is in OUT/<section>.json, with card, driver, versions, commit and date. Logs and the
records of runs, without weights, are in OUT/results.tar.gz, written anew each minute. Called again it does what is left.

    tests       the tests that need a GPU
    agreement   the device against the CPU, a graph against eager steps, one pass against two, a resumed run against a whole
                one: in float64, where only rounding is between them, and in float32 for the record
    steps       images a second of nine kinds of step, views included
    recipe      the study `source-recipe`: two seeds side by side, the paper's linear evaluation after 100 and 50 epochs
    packing     images a second of 1, 2 and 4 runs side by side
    looks, batch-size   by --only: the recipe's other looks and untrained networks; the study `batch-size`, two seeds
    open-claims         by --only: what an H200 left open in 15 minutes; `--records` brings what it measured (reports/gpu)
    ceilings, parts   by --only: what the device reaches, and milliseconds of each part of a step

`--device cpu` with small settings (`--set pretrain.width=4 ...`) runs all of it without a GPU, which is how it is tested.
The exit status is 0 where every section was measured or waits for the next call, and 1 where one failed or does not agree.
"""

from benchmarks.gpu.call import parse_call
from benchmarks.gpu.supervise import Supervisor
from study.cli.command import run_command


def main(argv: list[str] | None = None) -> int:
    return Supervisor(parse_call(str(__doc__), argv)).run()


if __name__ == "__main__":
    run_command(main)
