"""Weights of others: held against the settings, known by what they are and not by where they lie, and judged as any run."""

import dataclasses
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from study.runs import weights
from study.runs.execute import execute
from study.runs.identity import run_identity
from study.runs.models import model_from, trained_model
from study.runs.run import make_run
from study.runs.store import Store
from study.runs.weights import starting_weights
from vicreg.errors import InputError
from vicreg.metrics.features import encode
from vicreg.models.joint_embedding import build_model
from vicreg.randomness import make_generator
from vicreg.training.checkpoint import save_weights
from vicreg.training.settings import UNTRAINED

CPU = torch.device("cpu")
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and standard deviation of its channels, as published


@pytest.fixture(autouse=True)
def read_anew():
    """What was read of a path is kept; the next test's file may lie at the same one."""
    weights.load_once.cache_clear()


def network(seed=7, *, width=4, stem="cifar", in_channels=1, expander=(8,)):
    """A network of ours, as a checkpoint has it: of another seed, and of another expander than the runs'."""
    return build_model(
        architecture="resnet18", stem=stem, width=width, in_channels=in_channels, expander=expander, batchnorm=True,
        generator=make_generator(seed, "weights"), zero_init_residual=False,
    )  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path):
    """`checkpoint(...)`: the path of a file of such a network in our own layout."""

    def save(name="model.safetensors", **named):
        save_weights(tmp_path / name, network(**named))
        return str(tmp_path / name)

    return save


def given(tiny_config, path, **more):
    return tiny_config({"pretrain.weights": path, **{f"pretrain.{key}": value for key, value in more.items()}})


def judged(tiny_config, path, **more):
    """The configuration that judges the weights of a file as they are."""
    return given(tiny_config, path, epochs=0, warmup_epochs=0, **more)


# ---- held against the settings


def test_a_run_without_weights_starts_from_its_seed(tiny_config):
    assert starting_weights(tiny_config().pretrain) is None


@pytest.mark.parametrize(
    ("key", "value", "found"), [("width", 8, 4), ("stem", "imagenet", "cifar"), ("backbone", "resnet34", "resnet18")]
)
def test_weights_of_another_architecture_than_the_settings_say_are_refused(tiny_config, checkpoint, key, value, found):
    path = checkpoint()
    with pytest.raises(InputError) as refused:
        starting_weights(given(tiny_config, path, **{key: value}).pretrain)
    assert str(refused.value) == (
        f"pretrain.{key} must be that of pretrain.weights, but is {value}, and {path} holds {found}; set pretrain.{key} to "
        f"{found}."
    )


def test_weights_trained_behind_a_padding_of_two_need_the_stem_that_has_it(tiny_config, checkpoint, monkeypatch):
    encoder = starting_weights(given(tiny_config, checkpoint()).pretrain)
    monkeypatch.setattr(weights, "load_encoder", lambda source: encoder._replace(border=1))
    weights.load_once.cache_clear()
    with pytest.raises(InputError, match="pretrain.stem must be that of .* set pretrain.stem to cifar-padded"):
        starting_weights(given(tiny_config, "theirs").pretrain)
    assert starting_weights(given(tiny_config, "theirs", stem="cifar-padded").pretrain).border == 1


def test_what_is_neither_published_nor_a_file_is_refused_in_one_sentence(tiny_config):
    with pytest.raises(
        InputError, match="must be one of .*vicreg-resnet50.* or the path of a file, but 'nowhere.pth' does not exist"
    ):
        starting_weights(given(tiny_config, "nowhere.pth").pretrain)


# ---- known by what they are


def identify(config):
    return run_identity(config, data="sha256:" + "a" * 64, device=CPU)


def test_the_digest_of_the_weights_and_not_their_path_is_in_a_runs_identity(tiny_config, checkpoint, tmp_path):
    path = checkpoint()
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copy(path, tmp_path / "elsewhere" / "renamed.safetensors")
    first, second = (identify(given(tiny_config, str(one))) for one in (path, moved))
    assert first.digest == second.digest
    assert first.settings["weights"] == starting_weights(given(tiny_config, path).pretrain).digest
    assert str(tmp_path) not in json.dumps(first.settings)


def test_other_weights_make_another_run_and_another_expander_beside_them_does_not(tiny_config, checkpoint):
    one, other, beside = (checkpoint(f"{name}.safetensors", seed=seed, expander=expander) for name, seed, expander in (
        ("one", 1, (8,)), ("other", 2, (8,)), ("beside", 1, (4, 4)),
    ))  # fmt: skip
    for configure in (given, judged):
        digests = [identify(configure(tiny_config, path)).digest for path in (one, other, beside)]
        assert digests[0] == digests[2] != digests[1]


def test_an_untrained_control_has_no_weights(tiny_config, checkpoint):
    config = given(tiny_config, checkpoint())
    assert dataclasses.replace(config.pretrain, **UNTRAINED).weights is None
    assert identify(config.with_settings({
        "pretrain.weights": None, "pretrain.epochs": 0, "pretrain.warmup_epochs": 0,
    })).digest == identify(tiny_config({"pretrain.epochs": 0, "pretrain.warmup_epochs": 0})).digest  # fmt: skip
    assert identify(judged(tiny_config, checkpoint())).settings["weights"].startswith("sha256:")


# ---- judged as any run


@pytest.fixture
def ran(tmp_path, digits):
    """`ran(config)`: its run, executed on the digits, with what was measured of it."""
    store = Store(tmp_path / "store")

    def run(config, *, dataset=digits, probes=("knn",)):
        asked = make_run(config, data=dataset.digest, device=CPU, probes=probes)
        assert execute(asked, store=store, dataset=dataset, device=CPU) == "finished"
        return asked, store.result(asked), trained_model(asked, store=store, dataset=dataset, device=CPU)

    return run


def features(model, dataset, *, mean, std):
    return encode(model, dataset.test.images, size=8, mean=mean, std=std, batch_size=40).representations


def test_a_run_of_no_epochs_is_measured_with_the_features_of_the_file(tiny_config, digits, checkpoint, ran):
    _, result, model = ran(judged(tiny_config, checkpoint()), probes=("knn", "linear_cached"))
    theirs = network().backbone.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in model.backbone.state_dict().items())
    alone = network().to(memory_format=torch.channels_last)
    ours, other = (features(one, digits, mean=digits.mean, std=digits.std) for one in (model, alone))
    assert torch.equal(ours, other)
    assert set(result["test"]) == {"knn_5", "knn_20", "linear_cached"} and result["history"] == []
    assert result["verdict"]["name"] and 0 < result["test"]["linear_cached"]["top1"] <= 1


def test_its_numbers_are_those_of_its_own_weights_and_not_of_its_seed(tiny_config, checkpoint, ran):
    first = ran(judged(tiny_config, checkpoint("one.safetensors", seed=1)))[1]
    other = ran(judged(tiny_config, checkpoint("other.safetensors", seed=2)))[1]
    control = ran(tiny_config({"pretrain.epochs": 0, "pretrain.warmup_epochs": 0}))[1]
    spectra = [run["collapse"]["representations"]["spectrum"] for run in (first, other, control)]
    assert spectra[0] != spectra[1] and spectra[2] not in spectra[:2]
    again = ran(judged(tiny_config, checkpoint("one.safetensors", seed=1), seed=5))[1]
    assert again["collapse"]["representations"]["spectrum"] == spectra[0]


def test_training_goes_on_from_the_weights_of_the_file(tiny_config, checkpoint, ran):
    still = {"epochs": 1, "warmup_epochs": 0, "base_lr": 0.0, "weight_decay": 0.0}
    _, result, model = ran(given(tiny_config, checkpoint(), **still))
    learned = {name for name, _ in network().backbone.named_parameters()}
    theirs = network().backbone.state_dict()
    assert all(torch.equal(theirs[name], model.backbone.state_dict()[name]) for name in learned)  # at a rate of none
    assert len(result["history"]) == 1


def test_the_normalisation_of_imagenet_reaches_evaluation(tiny_config, digits, checkpoint, ran):
    colours = three_channels(digits)
    path = checkpoint(in_channels=3)
    by_data, by_imagenet = (
        ran(judged(tiny_config, path, normalisation=how), dataset=colours)[1] for how in ("data", "imagenet")
    )
    model = network(in_channels=3).to(memory_format=torch.channels_last)
    for result, mean, std in (
        (by_data, colours.mean, colours.std), (by_imagenet, *IMAGENET)
    ):  # fmt: skip
        images = colours.validation.images  # of which the geometry is measured
        of = encode(model, images, size=8, mean=mean, std=std, batch_size=64).representations.double()
        measured = result["collapse"]["representations"]["std_mean"]
        assert measured == pytest.approx(of.std(dim=0, correction=0).mean().item(), rel=0.05)
    first, second = (one["collapse"]["representations"]["std_mean"] for one in (by_data, by_imagenet))
    assert abs(first / second - 1) > 0.1


def three_channels(dataset):
    def part(split):
        return dataclasses.replace(split, images=split.images.repeat(1, 3, 1, 1))

    parts = {name: part(getattr(dataset, name)) for name in ("train", "validation", "test")}
    return dataclasses.replace(dataset, mean=dataset.mean * 3, std=dataset.std * 3, **parts)


def test_imagenets_normalisation_of_images_of_one_channel_is_refused(tiny_config, checkpoint, ran):
    with pytest.raises(InputError, match="normalisation imagenet is for images of 3 channels, but digits has 1"):
        ran(judged(tiny_config, checkpoint(), normalisation="imagenet"))


def test_a_run_can_start_from_the_network_that_another_run_left_in_the_store(tiny_config, digits, ran, tmp_path):
    asked, _, model = ran(tiny_config({"pretrain.epochs": 1, "pretrain.warmup_epochs": 0}))
    left = tmp_path / "store" / "runs" / asked.digest / "model.safetensors"
    assert "expander" in {name.split(".")[0] for name in load_file(left)}
    assert model_from(left, asked, dataset=digits, device=CPU) is not None
    _, _, again = ran(judged(tiny_config, str(left)))
    for name, tensor in model.backbone.state_dict().items():
        assert torch.equal(tensor, again.backbone.state_dict()[name]), name


def test_weights_for_another_number_of_channels_are_refused_in_one_sentence(tiny_config, checkpoint, ran):
    path = checkpoint(in_channels=3)
    with pytest.raises(InputError) as raised:
        ran(judged(tiny_config, path))
    assert str(raised.value) == (
        "pretrain.weights must be of a network for images of 1 channels, as digits has, but "
        f"{path} takes 3; choose other weights or images."
    )
