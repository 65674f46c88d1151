"""The page on the source paper, end to end in a folder of its own: twins, figures, links, commands, and what is kept."""

import gzip
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from study.ablate import parse_arguments
from study.paper.claims.judge import judge
from study.paper.kept import every_result, keep
from study.paper.page.build import build_view
from study.paper.page.claims import SIGNS
from study.paper.page.commands import more_seeds
from study.paper.write import changed_files
from study.results.files import results_bytes
from study.results.schema import StudyResults
from study.source_page import main
from study.spec.study_file import available
from tests.study.made_up import unfinished
from tests.study.made_up_paper import FINE, PUBLISHED, SPREAD, WHOLE, Paper, around, map_of, measured, projection
from tests.study.made_up_reports import without_figures
from tests.study.reading import parse, read_html, read_markdown
from vicreg.errors import InputError

PAGE, TEXT = Path("reports/source-paper.html"), Path("reports/source-paper.md")
FEW = {**WHOLE, "dataset": "imagefolder", "train": 4500, "validation": 500, "test": 1000}
CPU = {"profile": "cifar10-cpu", "data": FEW}


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


@pytest.fixture(scope="module")
def studies(paper):
    """Of this profile, which is a reduced one on a copy; and what a GPU measured elsewhere, part of it lost."""

    def partly(arm, seed):
        return unfinished("killed", "killed by signal 9") if arm == "cifar" else around(0.7667)(arm, seed)

    return {
        "own": {
            "lambda-mu-nu": paper.results("lambda-mu-nu", around(0.5), **CPU),
            "batch-size": paper.results("batch-size", around(0.5), **CPU),
            "longer": paper.results("longer", around(0.6), seeds=(0,), **CPU),
        },
        "kept": {
            "stem": paper.results("stem", partly),
            "epochs": paper.results("epochs", around(0.7), seeds=(0, 1)),
            "batch-size": paper.results(
                "batch-size", lambda arm, seed: measured(arm, seed, 0.7032 + SPREAD[seed] * (1 + 0.1 * (arm == "size-256")))
            ),
        },
    }  # fmt: skip


def write(folder, content, name="study.json"):
    folder.mkdir(parents=True, exist_ok=True)
    given = results_bytes(content) if isinstance(content, StudyResults) else json.dumps(content, sort_keys=True).encode()
    (folder / name).write_bytes(given)
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory, studies):
    """A folder with the page of all of these, made once: to be looked at alone."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        without_figures(patch)
        for name, content in studies["own"].items():
            write(Path("results/source_paper") / name, content)
        write(Path("results/source_paper"), {"generalisation": "it must be at /home/me/.cache/file.pth, but is not."},
              "failures.json")  # fmt: skip
        write(Path("results/project"), map_of(data=FEW, profile="cifar10-cpu"), "tsne.json")
        elsewhere = [str(write(Path("elsewhere") / name, content)) for name, content in studies["kept"].items()]
        elsewhere.append(str(write(Path("elsewhere/map"), map_of(purity=0.8), "tsne.json")))
        assert main(["--keep", *elsewhere]) == 0
    return folder


def test_nothing_measured_makes_a_page_of_what_is_missing(place, capsys):
    assert main([]) == 0
    page, text = read_html(PAGE.read_text()), read_markdown(TEXT.read_text())
    assert "0 reproduced, 0 not reproduced, 14 undetermined" in page.blocks[1]
    assert len(page.tables) == len(text.tables) == 2
    assert all(row[3] == "–" and row[6].startswith("◆ undetermined") for row in page.tables[0][1:])
    assert not list(Path("reports/source-paper").glob("*.svg"))
    assert "None yet." in page.blocks and "None yet." in text.blocks


def test_the_twins_say_the_same(made):
    page, text = read_html((made / PAGE).read_text()), read_markdown((made / TEXT).read_text())
    assert page.headings == text.headings and len(page.headings) >= 9
    assert all(table in page.tables for table in text.tables) and len(text.tables) >= 6
    for table in text.tables:
        assert {len(row) for row in table} == {len(table[0])}
    said = " ".join(text.blocks)
    for block in page.blocks:
        if not block.startswith(("Data of this figure", "and ", "drag it")):
            assert block.removeprefix("VICReg studies: ").removesuffix(".") in said, block


def test_the_page_made_again_is_the_same_to_the_byte(made, monkeypatch, capsys):
    monkeypatch.chdir(made)
    without_figures(monkeypatch)
    files = lambda: {str(path): path.read_bytes() for path in Path("reports").rglob("*.*") if path.is_file()}  # noqa: E731
    before = files()
    assert main([]) == 0
    assert files() == before and len(before) > 20


def test_the_page_names_no_folder_of_the_machine(made):
    for path in (PAGE, TEXT):
        content = (made / path).read_text()
        assert str(made) not in content and "/home/me" not in content and "/root" not in content
    assert "it must be at …/file.pth, but is not." in (made / TEXT).read_text()


def test_links_and_figures_lead_to_files_that_exist(made):
    page, text = (made / PAGE).read_text(), (made / TEXT).read_text()
    targets = [attributes["href"] for tag, attributes in parse(page).attributes if tag == "a"]
    targets += re.findall(r"\]\(([^)]+)\)", text)
    assert len(targets) >= 18
    for target in targets:
        assert (made / "reports" / target).is_file(), target
    assert {path.name for path in (made / "reports/source-paper").glob("*.svg")} == {
        Path(target).name for target in targets if target.endswith(".svg")
    }


def test_every_command_on_the_page_is_one_that_the_command_line_takes(made):
    text = (made / TEXT).read_text()
    commands = set(re.findall(r"python -m study\.ablate[^`\n|;]*", text))
    assert len(commands) >= 10
    for command in commands:
        arguments = parse_arguments(shlex.split(command)[3:])
        assert arguments.study in available() and arguments.profile in ("cifar10", "cifar100", "cifar10-cpu")
    assert "python -m study.ablate --study epochs --profile cifar10 --add-seeds 2" in commands


def claims(folder):
    """Rows of the page's first table, by what the paper says."""
    found = {}
    for says, *cells in read_html((folder / PAGE).read_text()).tables[0][1:]:
        found.setdefault(says, []).append(cells)
    return found


def test_rows_say_what_was_measured_on_what_and_the_verdict_that_follows(made):
    rows = claims(made)
    ((measured_as, published, ours, difference, sure, verdict),) = rows["ResNet-34 trained on CIFAR-10"]
    assert measured_as == "imagenet CIFAR-10, the paper's protocol" and published == "76.67 %"
    assert ours.startswith("76.67 % [76.17, 77.17], n = 3") and difference.startswith("+0.0 points [")
    assert verdict == "● reproduced" and "among them" in sure
    (batch,) = rows["ResNet-18 at batch 256 instead of 128: accuracy does not improve"]
    assert batch[-1] == "● reproduced" and "the paper's protocol" in batch[0]
    for cells in rows["50 -> 100 pretraining epochs: linear accuracy +2 points"]:
        assert cells[-1] == "◆ undetermined missing: three seeds" and "n = 2, no interval" in cells[2]


def test_a_reduced_recipe_on_a_copy_is_shown_as_what_it_is_and_decides_nothing(made):
    rows = claims(made)
    says = "At lambda = mu = 25, nu = 1 the invariance and covariance losses converge to the same scale"
    for cells in rows[says]:
        assert "a copy of CIFAR-10 (bytes not the canonical ones), protocol " in cells[0]
        assert cells[-1].startswith("◆ undetermined by protocol ") and cells[3] == "–"
    blocks = read_html((made / PAGE).read_text()).blocks
    (protocol,) = [block for block in blocks if block.startswith("Protocol A: ")]
    assert "5,000 training images in place of 50,000" in protocol and "epochs 20 in place of 100" in protocol
    assert any(block.startswith("Some measurements are of a copy of CIFAR-10") for block in blocks)


def test_no_row_has_a_number_of_ours_that_was_not_measured(made):
    for cells in (cells for rows in claims(made).values() for cells in rows):
        if cells[0].startswith("–"):
            assert cells[2:5] == ["–", "–", "not measured"]


def test_the_map_on_the_page_is_the_one_that_the_claims_are_judged_by(made):
    rows = claims(made)
    (cells,) = rows["t-SNE of the embeddings separates the ten classes for the most part"]
    assert cells[2] == "80 % n = 1, no interval" and cells[-1] == "● reproduced"
    quality = [table for table in read_html((made / PAGE).read_text()).tables if table[0][-1] == "Trustworthiness"]
    assert quality[0][2][1] == "80.0"


def test_figures_of_an_earlier_page_are_removed(place, studies, capsys):
    stale = Path("reports/source-paper/loss-of-yesterday.svg")
    stale.parent.mkdir(parents=True)
    stale.write_text("<svg/>")
    main([])
    assert not stale.exists()


# ---- what is kept


def test_what_is_kept_of_this_profile_stands_on_the_page_once(place, studies, monkeypatch, capsys):
    without_figures(monkeypatch)
    folder = write(Path("results/source_paper/stem"), studies["kept"]["stem"])
    main([])
    before = TEXT.read_text()
    main(["--keep", str(folder)])
    assert [results.study for _, results in every_result()] == ["stem"]
    assert TEXT.read_text() == before


def test_kept_results_have_the_same_bytes_each_time_and_a_report_beside_them(place, studies, monkeypatch, capsys):
    without_figures(monkeypatch)
    folder = write(Path("elsewhere"), studies["kept"]["stem"])
    first = keep(folder).read_bytes()
    assert keep(folder) == Path("reports/measured/cifar10/stem.json.gz")
    assert keep(folder).read_bytes() == first
    assert json.loads(gzip.decompress(first)) == json.loads((folder / "study.json").read_bytes())
    assert Path("reports/measured/cifar10/stem/README.md").is_file()


def test_a_folder_without_results_is_refused_in_one_sentence(place, command):
    Path("empty").mkdir()
    status, _, errors = command(main, "--keep", "empty")
    assert status == 2
    assert errors.strip() == "error: --keep takes folders that hold a study.json or a tsne.json, but empty holds neither."
    assert not PAGE.exists()


def test_a_map_that_does_not_say_of_what_it_is_is_refused_and_on_the_page_left_out(place, capsys):
    old = {key: value for key, value in map_of().items() if key not in ("recipe", "profile", "data")}
    folder = write(Path("results/project"), old, "tsne.json")
    with pytest.raises(InputError, match="tsne.json must have the key 'data', but has none; run the project stage again"):
        keep(folder)
    assert main([]) == 0 and "t-SNE in two" not in TEXT.read_text()


def test_results_with_other_settings_over_the_profile_do_not_take_the_place_of_kept_ones(place, paper, monkeypatch, capsys):
    without_figures(monkeypatch)
    keep(write(Path("one"), paper.results("stem")))
    other = write(Path("other"), paper.results("stem", settings={"pretrain.nu": 2}))
    with pytest.raises(InputError, match="stem.json.gz holds what came of .* which has other settings than"):
        keep(other)
    elsewhere = paper.results("stem", seeds=(0, 1), settings={"data.root": "another/folder"})
    assert keep(write(Path("elsewhere"), elsewhere)).name == "stem.json.gz"


def test_a_damaged_file_of_kept_results_is_named(place, command):
    path = Path("reports/measured/cifar10/stem.json.gz")
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b"{}")[:-9])
    status, _, errors = command(lambda: main([]))
    assert status == 2 and errors.startswith(f"error: {path} must be a gzip file, but is damaged")


# ---- parts


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("python -m study.ablate --study stem", "python -m study.ablate --study stem --add-seeds 2"),
        ("python -m study.ablate --study stem --seeds 3", "python -m study.ablate --study stem --seeds 5"),
        ("python -m study.ablate --study stem --add-seeds 2", "python -m study.ablate --study stem --add-seeds 4"),
        ("python -m study.ablate --seeds 1 --first-seed 2", "python -m study.ablate --seeds 3 --first-seed 2"),
    ],
)
def test_the_command_for_more_seeds_has_more_than_there_are(command, more):
    assert more_seeds(command) == more


def view_of(found, maps=(), **changes):
    given = {"changed": {}, "links": {}, "failures": {}, **changes}
    return build_view(judge(found, maps, PUBLISHED.source_paper), found, maps, PUBLISHED, **given)


def test_a_command_with_a_folder_of_the_machine_is_shown_without_it(paper, monkeypatch):
    command = """python -m study.ablate --study stem --profile cifar10 --set 'data.root="/home/me/data"'"""
    view = view_of({"stem": [paper.results("stem", command=command)]})
    shown = [view["used"][0]["command"], *view["details"][0]["made"]]
    assert shown == ["""python -m study.ablate --study stem --profile cifar10 --set 'data.root="…/data"'"""] * 2


def test_code_that_has_changed_since_is_named_beside_the_measurement_and_warned_of(paper):
    results = paper.results("stem")
    view = view_of({"stem": [results]}, changed={id(results): ["vicreg/methods/vicreg.py"]})
    assert view["used"][0]["code"] == "earlier; changed since: vicreg/methods/vicreg.py"
    assert any("earlier training code" in warning for warning in view["warnings"])
    assert changed_files(results) == []
    assert any(file.startswith("vicreg/methods/vicreg.py (") for file in changed_files(replace(results, identity=None)))


def test_loss_curves_are_drawn_term_by_term_with_the_collapse_metrics_beside_them(paper):
    losses = view_of({"lambda-mu-nu": [paper.results("lambda-mu-nu", around(0.5), seeds=(0, 1))]})["losses"]
    assert [figure["name"] for figure in losses["figures"]] == ["loss-weighted-invariance", "loss-invariance"]
    assert all(figure["svg"].startswith("<svg") and figure["svg"].count("<path") > 5 for figure in losses["figures"])
    assert [row[0] for row in losses["figures"][0]["rows"]] == [
        "invariance, weighted", "variance, weighted", "covariance, weighted"
    ]  # fmt: skip
    assert [row[1] for row in losses["rows"]] == ["healthy", "untrained"] and "over 2 seeds" in losses["caption"]


def test_studies_of_other_images_are_not_on_the_page(paper):
    digits = paper.results("stem", data={**WHOLE, "dataset": "digits", "classes": ["0"]})
    view = view_of({"stem": [digits], "coefficient-search": [digits]})
    assert view["used"] == [] and view["field"]["rows"] == []


def test_what_the_paper_is_silent_about_is_shown_with_what_its_study_measured(paper):
    view = view_of({"stem": [paper.results("stem", lambda arm, seed: measured(
        arm, seed, 0.7 + (arm == "cifar") * (0.1 + SPREAD[seed])
    ))]})  # fmt: skip
    silent = {row["about"]: row for row in view["silent"]}
    ((stem,)) = silent["the stem at 32 x 32 pixels"]["measured"]
    assert stem["arm"] == "cifar over imagenet" and stem["text"] == "+10.0 points" and "n = 3" in stem["interval"]
    assert silent["LARS's eta and exclusions"]["measured"] == []
    assert silent["LARS's eta and exclusions"]["command"] == "python -m study.ablate --study lars --profile cifar10"
    for row in view["silent"]:
        parse_arguments(shlex.split(row["command"])[3:])


def test_a_number_of_others_stands_beside_ours_where_every_setting_that_it_gives_is_ours(paper):
    view = view_of({"batch-size": [paper.results("batch-size", around(0.68))]})
    rows = view["field"]["rows"]
    shown = {(row["source"].partition(" ")[0], row["arm"].split(": ")[1].split(" ")[0]): row for row in rows}
    assert set(shown) == {
        ("awesomeslayer/Unbiased_VICReg", "size-128"), ("awesomeslayer/Unbiased_VICReg", "size-256"),
        ("AdityaaP27/VICReg-Cifar10", "size-128"), ("AdityaaP27/VICReg-Cifar10", "size-256"),
    }  # fmt: skip
    row = shown["awesomeslayer/Unbiased_VICReg", "size-128"]
    assert (row["paper"], row["ours"], row["n"]) == ("68.18 %", "68.00 %", "3")
    assert view["field"]["others"] == view["field"]["all"] - 2
    for other in ({"settings": {"pretrain.width": 16}}, {"data": {**WHOLE, "train": 4500}}, {"data": FINE}):
        assert view_of({"batch-size": [paper.results("batch-size", around(0.68), **other)]})["field"]["rows"] == []


def test_the_answer_counts_every_row_once(paper):
    found = {"stem": [paper.results("stem", around(0.7667), **CPU)], "epochs": [paper.results("epochs")]}
    view = view_of(found, [projection(data=FEW, pairs=((0, 1),))])
    counts = [int(number) for number in re.findall(r"(\d+) (?:reproduced|not reproduced|undetermined)", view["answer"])]
    assert sum(counts) == len(view["rows"]) and counts[:2] == [0, 0]
    assert "4 of the undetermined were measured by another protocol" in view["answer"]
    assert "there 3 hold, 1 do not, and 0 cannot be told" in view["answer"]


def test_each_verdict_has_a_sign_of_its_own():
    assert len({sign for sign, _ in SIGNS.values()}) == len(SIGNS) == 3
