"""A run survives the way to the process that executes it."""

import dataclasses
import json

import torch

from study.execution.job import Job, read_job
from study.runs.run import make_run

CPU = torch.device("cpu")
DATA = "sha256:" + "a" * 64


def test_a_run_read_from_json_is_the_run_that_was_written(tiny_config):
    config = tiny_config({"pretrain.nu": 3, "pretrain.augmentation.solarize": [0.0, 0.2], "evaluate.knn": [3]})
    views = tuple(dataclasses.replace(view, flip=0.0) for view in config.pretrain.views)
    run = make_run(config, data=DATA, device=CPU, probes=("knn", "linear"), views=views)
    line = Job(run=run, prune_after=2).to_json()
    assert "\n" not in line and json.loads(line)["prune_after"] == 2
    read = read_job(line, data=DATA, device=CPU)
    assert read == Job(run=run, prune_after=2)
    assert (read.run.digest, read.run.evaluation) == (run.digest, run.evaluation)


def test_data_and_device_are_those_of_the_process_that_reads(tiny_config):
    line = Job(run=make_run(tiny_config(), data=DATA, device=CPU, probes=("knn",)), prune_after=None).to_json()
    assert read_job(line, data="sha256:other", device=CPU).run.identity.data == "sha256:other"
    assert DATA not in line
