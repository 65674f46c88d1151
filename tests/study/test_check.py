"""The first stage refuses what no run can have, wherever in params.yaml it stands, and makes no other stage stale."""

import pytest
import yaml

from study import check
from study.config.places import CHECKED

LOADER, DUMPER = getattr(yaml, "CSafeLoader", yaml.SafeLoader), getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@pytest.fixture
def edit(project):
    """`edit("pretrain.epochs", 3)`: another value in params.yaml, where `dvc exp run -S +KEY=VALUE` puts it."""

    def change(key, value):
        path = project.folder / "params.yaml"
        params = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
        *sections, name = key.split(".")
        target = params
        for section in sections:
            target = target.setdefault(section, {})
        target[name] = value
        path.write_text(yaml.dump(params, Dumper=DUMPER), encoding="utf-8")

    return change


def test_it_says_what_the_user_has_set_and_writes_the_same_each_time(project, command, edit):
    status, output, errors = command(check.main)
    assert (status, errors) == (0, "") and output.startswith("profile tiny, studies lambda-mu-nu")
    assert output.endswith("; set beside: nothing\n")
    first = (project.folder / CHECKED).read_bytes()
    edit("pretrain.epochs", 2)
    edit("prepare.per_class", "none")
    status, output, _ = command(check.main)
    assert status == 0 and output.endswith("; set beside: prepare.per_class null, pretrain.epochs 2\n")
    assert (project.folder / CHECKED).read_bytes() == first


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("pretrian.nu", 1, "'pretrian' is not a parameter; did you mean 'pretrain'?"),
        ("profiles.tiny.pretrian.epochs", 1, "'pretrian.epochs' is not a parameter"),
        ("profiles.images.pretrain.epoch", 1, "'pretrain.epoch' is not a parameter"),
        ("profiles.images.pretrain.epochs", "many", "pretrain.epochs must be a whole number, but got 'many'."),
        ("pretrain.nonsense", 1, "'pretrain.nonsense' is not a parameter"),
        ("profile", "nope", "profile must be one of"),
        ("studies", ["nope"], "there is no study 'nope'"),
        ("studies", ["../tiny"], "there is no study '../tiny'"),
        ("source_paper.studies", ["stm"], "there is no study 'stm'; did you mean 'stem'?"),
        ("prepare.validation", 1.5, "prepare.validation must be a share between 0 and 1, both excluded, but got 1.5."),
    ],
)
def test_what_cannot_be_is_one_sentence_and_status_2(project, command, edit, key, value, said):
    edit(key, value)
    status, output, errors = command(check.main)
    assert (status, output) == (2, "") and errors.startswith("error: ") and said in errors and errors.count("\n") == 1
    assert not (project.folder / CHECKED).exists()
