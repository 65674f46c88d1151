"""The reader and the writer of `study.json`: the same bytes come out, and bad files are one sentence."""

import json
import lzma
from pathlib import Path

import pytest

from study.results.files import FILE, parse_results, read_results, results_bytes
from vicreg.errors import InputError
from vicreg.files import to_json

REPORTS = Path(__file__).parents[3] / "reports/measured"
KEPT = sorted(path for path in REPORTS.glob("*/*.json.xz") if path.name != "tsne.json.xz")
LARGEST = sorted(KEPT, key=lambda path: path.stat().st_size)[-2:]  # which take as long as all others together


@pytest.fixture(scope="module")
def modes(made_up_modes):
    """The plain values of a study of each mode."""
    return made_up_modes()


def test_there_are_results_that_were_kept():
    assert len(KEPT) >= 3


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.exhaustive] if path in LARGEST else []) for path in KEPT],
    ids=[f"{path.parent.name}/{path.name}" for path in KEPT],
)
def test_results_that_were_kept_are_written_again_byte_for_byte(path):
    content = lzma.decompress(path.read_bytes())
    assert results_bytes(parse_results(content, where=path.name)) == content


@pytest.mark.parametrize("mode", ["arms", "grid", "search", "path", "tuned"])
def test_a_study_of_each_mode_is_written_again_byte_for_byte(modes, mode, tmp_path):
    content = to_json(modes[mode])
    results = parse_results(content, where=mode)
    (tmp_path / FILE).write_bytes(results_bytes(results))
    assert (tmp_path / FILE).read_bytes() == content
    assert read_results(tmp_path) == read_results(tmp_path / FILE) == results


def test_findings_of_each_design_are_read_as_records(modes):
    read = {mode: parse_results(to_json(values), where=mode) for mode, values in modes.items()}
    assert {effect.term for effect in read["grid"].grid.anova.effects} == {"λ", "μ", "λ x μ"}
    assert read["search"].search.trials[2].status == "pruned" and read["search"].search.importances.n == 21
    assert [step.arm for step in read["path"].path.steps] == ["step-1-nu", "step-2-mu"]
    assert [row.chosen for row in read["tuned"].tuning if row.arm == "base"] == [False, True]
    assert read["arms"].grid is read["arms"].search is read["arms"].path is read["arms"].tuning is None


def test_a_difference_has_its_detail_and_its_adjusted_p_where_it_is_a_test(modes):
    summary = parse_results(to_json(modes["arms"]), where="arms").arm("1-1-0").summary
    main, other = summary["linear_cached"].difference, summary["knn_20"].difference
    assert main.detail.seeds == (0, 2) and len(main.detail.values) == 2 and main.adjusted is not None
    assert other.detail is None and other.adjusted is None and other.p_holm is None


def test_an_epochs_terms_are_read_by_the_names_the_method_gives_them(modes):
    run = parse_results(to_json(modes["arms"]), where="arms").arm("25-25-1").runs[0]
    written = modes["arms"]["arms"][2]["runs"][0]["history"][-1]
    assert run.history[-1].term("invariance") == written["invariance"] and run.history[-1].total == written["total"]
    assert run.history[-1].embeddings.rankme == written["embeddings"]["rankme"]
    with pytest.raises(KeyError, match="redundancy"):
        run.history[-1].term("redundancy")


def test_results_without_what_later_versions_added_are_read(modes):
    early = {
        key: modes["arms"][key]
        for key in ("study", "profile", "mode", "question", "hypothesis", "baseline", "primary", "data", "environment",
                    "answer", "recipe")
    }  # fmt: skip
    keys = ("name", "label", "is_baseline", "is_control", "settings", "command", "summary", "verdict", "runs")
    early["arms"] = [{key: arm[key] for key in keys} for arm in modes["arms"]["arms"]]
    results = parse_results(to_json(early), where="early")
    assert (results.identity, results.power, results.predictors, results.overrides) == (None, None, (), {})
    assert [arm.role for arm in results.arms] == ["arm"] * 3 + ["control"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "study.json must be JSON, but it is malformed"),
        ("[]", "study.json must be an object with the key 'study', but is a list"),
        ("{}", "study.json must have the key 'study', but has none; run the study again."),
        (lambda values: values.pop("recipe"), "study.json must have the key 'recipe', but has none"),
        (lambda values: values.update(data=3), "study.json must have an object under 'data', but got 3"),
        (lambda values: values["arms"][0].pop("label"), "study.json: arms[0] must have the key 'label', but has none"),
        (lambda values: values["arms"][0]["runs"][1].pop("digest"),
         "study.json: arms[0]: runs[1] must have the key 'digest', but has none"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_sentence(modes, tmp_path, content, said):
    if not isinstance(content, str):
        values = json.loads(to_json(modes["arms"]))
        content(values)
        content = json.dumps(values)
    (tmp_path / FILE).write_text(content)
    with pytest.raises(InputError) as refused:
        read_results(tmp_path)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_results_that_are_not_there_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="must be the results of a study, but: No such file or directory; run python -m"):
        read_results(tmp_path / FILE)
