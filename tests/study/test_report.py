"""The report says what `study.json` says, in both twins, in the same bytes every time."""

import copy
import hashlib
import json
import math
import random
import re
import xml.etree.ElementTree

import pytest

from study import figures, report
from vicreg.errors import InputError

COEFFICIENTS = [  # lambda, mu, nu, published, verdict here, k-NN and linear share, rank of the embeddings, their std
    (1, 0, 0, None, "complete", 0.69, 0.82, 3, 1e-5),
    (25, 0, 1, None, "complete", 0.68, 0.81, 4, 2e-5),
    (0, 25, 1, None, "uninformative", 0.31, 0.52, 180, 1.0),
    (1, 1, 0, 57.5, "informational", 0.87, 0.91, 36, 0.99),
    (1, 1, 1, None, "dimensional", 0.90, 0.89, 20, 0.4),
    (1, 10, 1, None, "healthy", 0.955, 0.97, 96, 0.97),
    (10, 1, 1, None, "dimensional", 0.88, 0.89, 12, 0.2),
    (5, 5, 1, 68.1, "healthy", 0.958, 0.975, 80, 0.9),
    (10, 10, 1, 68.2, "healthy", 0.96, 0.978, 70, 0.95),
    (25, 25, 1, 68.6, "healthy", 0.961, 0.981, 55, 0.98),
    (50, 50, 1, 68.3, "healthy", 0.959, 0.98, 50, 0.99),
]
CLASSES = [str(digit) for digit in range(10)]


def metrics(rng, knn, linear):
    """Test or validation metrics of one run around the given shares."""
    per_class = [min(1.0, linear + rng.uniform(-0.06, 0.02)) for _ in CLASSES]
    confusion = [[rng.choice([0, 0, 0, 1, 2]) if i != j else 33 for j in range(10)] for i in range(10)]
    share = {"knn_20": knn, "knn_200": knn - 0.02, "linear_cached": linear}
    return {name: {"top1": v + rng.uniform(-0.006, 0.006), "top5": 1.0, "per_class": per_class, "confusion": confusion}
            for name, v in share.items()}  # fmt: skip


def geometry(rank, std, n_eigenvalues=64):
    """Collapse metrics of one space, with a spectrum of about `rank` large eigenvalues."""
    return {"std_mean": std, "std_min": std / 2, "std_quantiles": [std] * 5, "normalised_std": 0.8, "dead_share": 0.0,
            "rankme": rank, "participation_ratio": rank / 2, "rms_correlation": 1 / math.sqrt(rank), "uniformity": -2.0,
            "alignment": 0.3, "spectrum": [math.exp(-3 * i / rank) / 10 for i in range(n_eigenvalues)]}  # fmt: skip


def make_history(rng, rank, std, epochs):
    records = []
    for epoch in range(1, epochs + 1):
        done = 1 - math.exp(-epoch / 3)
        small = std + (0.4 - std) * math.exp(-epoch)
        traced = {**geometry(20 + (rank - 20) * done, small)}
        traced = {key: traced[key] for key in ("std_mean", "std_min", "normalised_std", "rankme", "rms_correlation", "dead_share")}
        terms = {"invariance": small * (0.5 - 0.3 * done) * rng.uniform(0.9, 1.1), "variance": max(0.0, 1 - small),
                 "covariance": 10 * small**2 / done * rng.uniform(0.9, 1.1)}  # fmt: skip
        records.append({"epoch": epoch, **terms, "total": sum(terms.values()), "learning_rate": 0.1, "gradient_norm": 1.0,
                        "representations": traced, "embeddings": traced})  # fmt: skip
    return records


def make_run(name, seed, knn, linear, rank, std, verdict, epochs=12):
    rng = random.Random(f"{name}{seed}")
    digest = hashlib.sha256(f"{name}{seed}".encode()).hexdigest()
    return {"seed": seed, "digest": digest, "status": "finished", "reason": None, "commit": "0123456789abcdef0123",
            "history": make_history(rng, rank, std, epochs) if epochs else [],
            "validation": metrics(rng, knn, linear), "test": metrics(rng, knn, linear),
            "collapse": {"representations": geometry(rank, std), "embeddings": geometry(rank, std)},
            "verdict": {"name": verdict, "reason": "as measured"}}  # fmt: skip


def summarise(runs, *, baseline, control):
    """What another module computes; here only plausible."""
    n = len(runs)
    few = n < 3

    def entry(mean, sd, difference):
        paired = {"n": n, "mean": difference, "low": None if few else difference - 0.03, "high": None if few else difference + 0.03, "p": 0.1}
        return {"n": n, "mean": mean, "sd": sd if n > 1 else None, "difference": None if baseline else paired,
                "gain": None if control else {**paired, "mean": mean - 0.95}}  # fmt: skip

    accuracies = {name: sum(run["test"][name]["top1"] for run in runs) / n for name in ("knn_20", "knn_200", "linear_cached")}
    geometry_of = runs[0]["collapse"]["embeddings"]
    return {**{name: entry(mean, 0.0041, mean - 0.975) for name, mean in accuracies.items()},
            "rankme_representations": entry(geometry_of["rankme"], 1.5, -2.0),
            "rankme_embeddings": entry(geometry_of["rankme"], 1.5, -2.0),
            "std_mean_embeddings": entry(geometry_of["std_mean"], 0.01, 0.1),
            "rms_correlation_embeddings": entry(geometry_of["rms_correlation"], 0.01, 0.1)}  # fmt: skip


def make_arm(name, label, settings, runs, verdict, *, baseline=False, control=False, published=None, effective=None):
    return {"name": name, "label": label, "is_baseline": baseline, "is_control": control, "settings": settings,
            "command": f"python -m study.ablate --study lambda-mu-nu --arm {name} --again", "effective": effective,
            "published": published,
            "agrees": bool(published.get("collapse")) == (verdict != "healthy") if published else None,
            "verdict": {"name": verdict, "reason": f"{verdict}, by its thresholds", "counts": {verdict: len(runs)}},
            "summary": summarise(runs, baseline=baseline, control=control), "runs": runs}  # fmt: skip


def make_study(seeds=(0, 1, 2), rows=COEFFICIENTS):
    """A study.json as the ablate stage writes it, of the rows of VICReg's Table 7 and an untrained control."""
    arms = []
    for lambda_, mu, nu, published, verdict, knn, linear, rank, std in rows:
        name = f"{lambda_}-{mu}-{nu}"
        runs = [make_run(name, seed, knn, linear, rank, std, verdict) for seed in seeds]
        arms.append(make_arm(name, f"λ {lambda_}, μ {mu}, ν {nu}",
                             {"pretrain.lambda": lambda_, "pretrain.mu": mu, "pretrain.nu": nu}, runs, verdict,
                             baseline=name == "25-25-1", published={"linear": published} if published else {"collapse": True},
                             effective={"lambda_": float(lambda_), "mu": float(mu), "nu": float(nu)}))  # fmt: skip
    runs = [make_run("untrained", seed, 0.95, 0.969, 49, 0.3, "healthy", epochs=0) for seed in seeds]
    arms.append(make_arm("untrained", "untrained network", {"pretrain.epochs": 0}, runs, "healthy", control=True))
    return {
        "study": "lambda-mu-nu", "profile": "digits", "mode": "arms", "baseline": "25-25-1", "overrides": {},
        "question": "Which balance of the three terms trains, and which collapses?",
        "hypothesis": "Without variance the representation collapses; without covariance its dimensions repeat one another.",
        "notes": ["The thresholds were fixed before the runs."], "primary": "linear_cached",
        "published_source": "Bardes et al., VICReg, Table 7 (ImageNet, ResNet-50, 100 epochs, linear top-1)",
        "data": {"dataset": "digits", "digest": "sha256:" + "ab" * 32, "classes": CLASSES, "train": 1150, "validation": 140,
                 "test": 360, "shape": [1, 8, 8], "note": None, "chance": 0.1},
        "environment": {"python": "3.11.7", "torch": "2.13.0+cpu", "torchvision": "0.28.0", "device": "cpu", "threads": 1},
        "commits": ["0123456789abcdef0123456789abcdef01234567"],
        "answer": "The baseline is best at 98.1 %, and every arm without the variance term collapses.",
        "recipe": {"pretrain.backbone": "resnet18", "pretrain.epochs": 12, "pretrain.expander": [512, 512, 512]}, "arms": arms,
    }  # fmt: skip


def make_project(study, n=200):
    rng = random.Random(0)
    labels = [i % 10 for i in range(n)]
    centre = [(rng.uniform(-30, 30), rng.uniform(-30, 30), rng.uniform(-30, 30)) for _ in CLASSES]
    points = [[c + rng.gauss(0, 3) for c in centre[label]] for label in labels]
    digest = next(arm for arm in study["arms"] if arm["is_baseline"])["runs"][0]["digest"]
    return {"digest": digest, "dataset": "digits", "classes": CLASSES, "features": "representations", "perplexity": 30,
            "points_2d": [p[:2] for p in points], "points_3d": points, "labels": labels, "note": None}  # fmt: skip


EVALUATION = {"digest": "ff" * 32, "trained": {"knn_20": 0.9611, "knn_200": 0.94, "linear": 0.9777, "linear_cached": 0.981},
              "control": {"knn_20": 0.95, "knn_200": 0.93, "linear": 0.9444, "linear_cached": 0.969}}  # fmt: skip


@pytest.fixture
def sketched(monkeypatch):
    """Figures replaced by an empty drawing, for tests of the text."""
    for name in ("dot_plot", "curves", "confusion", "class_accuracies", "map_2d", "map_3d"):
        monkeypatch.setattr(figures, name, lambda *_, **__: '<svg viewBox="0 0 1 1"></svg>')


@pytest.fixture(scope="module")
def full():
    """The full study and its two twins; read only."""
    study = make_study()
    view = report.build_view(study, make_project(study), EVALUATION)
    return study, view, *report.render(view)


def small(**changes):
    """A study of three arms, quick to draw."""
    study = make_study(rows=[COEFFICIENTS[0], COEFFICIENTS[3], COEFFICIENTS[9]])
    return {**study, **changes}


def twins(study, project=None, evaluation=None):
    return report.render(report.build_view(study, project, evaluation))


def shown(difference):
    return [difference["text"], difference["interval"]]


def strip_markdown(text):
    return re.sub(r"\\([\\`*_{}\[\]|#~$])", r"\1", text)


def test_the_same_input_writes_the_same_bytes(tmp_path):
    study = small()
    for name in ("one", "two"):
        report.write(report.build_view(copy.deepcopy(study), make_project(study), EVALUATION), tmp_path / name)
    one, two = ({path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")} for name in ("one", "two"))
    assert one == two and len(one) > 10


def test_a_user_s_matplotlib_settings_do_not_change_a_figure():
    row = {"label": "a", "verdict": "healthy", "is_baseline": True, "is_control": False, "values": [0.9, 0.8], "mean": 0.85}
    plain = figures.dot_plot([row])
    with figures.matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert figures.dot_plot([row]) == plain


def test_both_twins_print_every_formatted_number(full):
    _, view, html, markdown = full
    markdown = strip_markdown(markdown)
    for arm in view["arms"]:
        for text in (*arm["accuracies"], *shown(arm["difference"]), *shown(arm["gain"]), arm["rank"], arm["std"]):
            assert text in html and text in markdown
        assert arm["command"] in html and arm["command"] in markdown
    for _, cells in view["every_measure"]["rows"]:
        for text, difference in cells:
            assert all(part in html and part in markdown for part in (text, *(shown(difference) if difference else [])))
    for row in view["evaluation"]["rows"]:
        assert all(text in html and text in markdown for text in row)


def test_markdown_tables_have_as_many_cells_in_every_row(full):
    lines = full[3].splitlines()
    tables = "\n".join(line if line.startswith("|") else "" for line in lines)
    blocks = [block.splitlines() for block in re.split(r"\n{2,}", tables) if block.strip()]
    assert len(blocks) == 5
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block}) == 1 and len(block) > 2


def test_accuracies_are_percentages_with_their_spread():
    assert report.mean_and_sd({"n": 3, "mean": 0.9614, "sd": 0.0041}, "knn_20") == "96.1 ± 0.4"
    assert report.mean_and_sd({"n": 1, "mean": 0.9614, "sd": None}, "knn_20") == "96.1"
    assert report.mean_and_sd({"n": 3, "mean": float("nan"), "sd": None}, "knn_20") == "–"
    assert report.mean_and_sd({"n": 3, "mean": 12.34, "sd": 1.0}, "rankme_embeddings") == "12.3 ± 1"


def test_an_interval_that_excludes_zero_is_marked():
    entry = {"n": 3, "mean": -0.02, "low": -0.05, "high": 0.01, "p": 0.08}
    assert report.paired(entry, "knn_20") == {"text": "−2.0", "interval": "[−5.0, +1.0], n = 3", "excludes_zero": False}
    marked = report.paired({**entry, "high": -0.01}, "knn_20")
    assert marked == {"text": "−2.0 *", "interval": "[−5.0, −1.0], n = 3", "excludes_zero": True}


def test_only_intervals_that_exclude_zero_are_set_in_bold(full):
    _, view, html, _ = full
    marked = [cell for arm in view["arms"] for cell in (arm["difference"], arm["gain"]) if cell["excludes_zero"]]
    assert html.count('class="n clear"') == len(marked) and 0 < len(marked) < 20


@pytest.mark.usefixtures("sketched")
def test_effective_coefficients_are_shown_only_where_they_differ_from_the_names():
    study = small()
    assert not any(arm["effective"] for arm in report.build_view(study)["arms"])
    study["arms"][1]["effective"]["lambda_"] = 12800.0
    view = report.build_view(study)
    assert [arm["effective"] for arm in view["arms"]] == ["1, 0, 0", "12800, 1, 0", "25, 25, 1", ""]


def test_two_seeds_get_no_interval():
    assert report.paired({"n": 2, "mean": 0.01, "low": -0.2, "high": 0.22}, "knn_20")["interval"] == "no interval, n = 2"


def test_html_asks_for_nothing_outside_itself(full):
    html = full[2]
    assert not re.search(r'(?:src|href|action|data)\s*=\s*"(?!#)', html)
    assert "http:" not in html and "https:" not in html and "@import" not in html and "url(" not in re.sub(r"url\(#", "", html)
    assert html.count("<svg") == html.count("<figure") and "<script" not in html


def test_ids_are_unique_and_references_resolve(full):
    html = full[2]
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', html)) <= set(ids)


def test_figures_beside_the_markdown_are_complete_and_well_formed(tmp_path):
    study = small()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "stale.svg").write_text("<svg/>")
    report.write(report.build_view(study, make_project(study)), tmp_path)
    linked = set(re.findall(r"\(figures/([^ )]+)", (tmp_path / "README.md").read_text(encoding="utf-8")))
    assert linked == {path.name for path in (tmp_path / "figures").iterdir()} and len(linked) >= 10
    for path in (tmp_path / "figures").iterdir():
        xml.etree.ElementTree.parse(path)


@pytest.mark.usefixtures("sketched")
def test_no_absolute_path_reaches_the_report():
    study = small(notes=["Read from /home/someone/data/raw here."])
    study["arms"][0]["runs"][0].update(status="failed", reason="OSError: [Errno 28] '/home/someone/store/x.pt'")
    html, markdown = twins(study)
    assert "/home" not in html and "/home" not in markdown
    assert "…/x.pt" in html and "…/x.pt" in markdown


def test_a_relative_path_and_a_fraction_are_left_alone():
    assert report.without_paths("data/raw and 1/2, https://host/a/b") == "data/raw and 1/2, https://host/a/b"


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("status", ["diverged", "out-of-memory", "killed", "failed", "pruned", "missing"])
def test_a_run_that_did_not_finish_is_shown_with_its_reason(status):
    study = small()
    study["arms"][0]["runs"][1].update(status=status, reason="stopped at step 12", test={}, validation={}, collapse={})
    for text in twins(study):
        assert text.count("stopped at step 12") == 1 and f"seed 1 {status}" in text and "every run finished" not in text


def test_an_arm_without_a_finished_run_is_still_in_the_report():
    study = small()
    study["arms"][0].update(summary={}, verdict=None)
    for run in study["arms"][0]["runs"]:
        run.update(status="diverged", reason="the loss was not finite at step 12", test={}, validation={}, collapse={}, verdict=None)
    view = report.build_view(study)
    html, markdown = report.render(view)
    assert view["arms"][0]["accuracies"] == ["–", "–"] and view["arms"][0]["verdict"] is None
    for text in (html, markdown):
        assert text.count("the loss was not finite at step 12") == 3 and "seed 2 diverged" in text
    assert "no finished run" in html


@pytest.mark.usefixtures("sketched")
def test_a_study_in_which_nothing_finished_is_reported_as_such():
    study = small()
    for arm in study["arms"]:
        arm.update(summary={}, verdict=None)
        for run in arm["runs"]:
            run.update(status="missing", reason=None, history=[], test={}, validation={}, collapse={}, verdict=None)
    html, markdown = twins(study)
    assert "No run has finished" in html and "No run has finished" in markdown
    assert "Loss, term by term" not in html + markdown and "missing" in html


@pytest.mark.usefixtures("sketched")
def test_a_study_without_a_control_says_so():
    study = small()
    study["arms"] = [arm for arm in study["arms"] if not arm["is_control"]]
    for text in twins(study):
        assert "no untrained control" in text and "Gain over untrained" not in text


@pytest.mark.usefixtures("sketched")
def test_one_seed_has_no_spread_and_no_interval():
    view = report.build_view(make_study(seeds=(0,), rows=[COEFFICIENTS[0], COEFFICIENTS[9]]))
    assert "one finished seed" in view["certainty"][0]
    assert not any("±" in text for arm in view["arms"] for text in arm["accuracies"])
    assert "no interval, n = 1" == view["arms"][0]["difference"]["interval"]
    assert all("one finished seed" in text for text in report.render(view))


def test_markup_in_names_is_shown_and_not_obeyed():
    study = small(question="<script>alert(1)</script> & *why* | how?")
    study["arms"][0].update(label="<b>x</b> & $y$", name="x")
    study["data"]["classes"] = ["<i>", *CLASSES[1:]]
    html, markdown = twins(study)
    assert "<script" not in html and "<b>x</b>" not in html and "<i>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; *why* | how?" in html
    assert "<script" not in markdown and r"\*why\* \| how?" in markdown


@pytest.mark.usefixtures("sketched")
def test_data_that_are_not_canonical_are_announced_above_the_results():
    study = small()
    study["data"]["note"] = "These bytes are not the canonical ones."
    html, markdown = twins(study)
    assert '<p class="warning">About the data: These bytes' in html
    assert markdown.index("These bytes") < markdown.index("## The arms")


@pytest.mark.usefixtures("sketched")
def test_a_verdict_that_differs_from_the_published_outcome_is_named():
    view = report.build_view(small())
    assert [arm["published"]["agreement"] for arm in view["arms"]] == ["agrees", "differs", "agrees", ""]
    assert view["published"][1] == "Here and there differ for: λ 1, μ 1, ν 0."
    assert "protocol differs" in view["published"][0] and "Table 7" in view["published"][0]


def test_seeds_that_disagree_on_a_verdict_are_counted():
    shown = report.verdict_view({"name": "healthy", "reason": "r", "counts": {"healthy": 2, "dimensional": 1}})
    assert shown["counts"] == "2 healthy, 1 dimensional"


def test_a_trace_is_the_mean_over_seeds_within_its_extremes():
    runs = [{"status": "finished", "history": [{"epoch": 1, "embeddings": {"rankme": v}}]} for v in (1.0, 2.0, 6.0)]
    runs.append({"status": "failed", "history": [{"epoch": 1, "embeddings": {"rankme": 100.0}}]})
    assert figures.trace({"runs": runs}, "embeddings.rankme") == ([1], [(3.0, 1.0, 6.0)])


def test_names_of_lines_do_not_touch():
    placed = figures._spread([5.0, 5.0, 6.0, 99.0, 100.0], gap=10, top=100)
    assert all(b - a >= 10 for a, b in zip(placed, placed[1:])) and placed[-1] <= 100


def test_many_arms_many_classes_and_extreme_values_are_drawn():
    arm = small()["arms"][0]
    lines = [([1, 2], [(10.0 ** (9 * i % 40 - 30), 0.0, 1e6), (float(i), 0.0, 1e6)]) for i in range(30)]
    assert "<svg" in figures.curves([arm] * 30, lines, log=True)
    assert "<svg" in figures.map_2d([(i, -i) for i in range(100)], list(range(100)), [f"class {i}" for i in range(100)])
    assert "<svg" in figures.confusion([[1] * 30 for _ in range(30)], [str(i) for i in range(30)])


def test_the_command_writes_both_twins(tmp_path):
    study = small()
    (tmp_path / "study.json").write_text(json.dumps(study))
    assert report.main(["--results", str(tmp_path / "study.json"), "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "README.md", "figures"}


@pytest.mark.usefixtures("sketched")
def test_a_broken_t_sne_is_one_sentence_and_status_2(tmp_path, capsys):
    study = small()
    (tmp_path / "study.json").write_text(json.dumps(study))
    for change, rule in (({"labels": [0]}, "one point of each kind"), ({"classes": ["0"]}, "labels from 0 to 0")):
        (tmp_path / "tsne.json").write_text(json.dumps({**make_project(study, 20), **change}))
        arguments = ["--results", str(tmp_path / "study.json"), "--project", str(tmp_path / "tsne.json"), "--out", str(tmp_path / "out")]
        assert report.main(arguments) == 2
        error = capsys.readouterr().err
        assert rule in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "text, rule",
    [(None, "must be a readable file"), ("{", "must be JSON"), ("[]", "'study'"), ("{}", "'study'"),
     (json.dumps({key: {} for key in report.REQUIRED}), "at least one arm"),
     (json.dumps({**{key: {} for key in report.REQUIRED}, "data": 3}), "an object under 'data'"),
     (json.dumps({**{key: {} for key in report.REQUIRED}, "arms": [{}]}), "'name'")],
)  # fmt: skip
def test_a_missing_or_malformed_file_is_one_sentence_and_status_2(tmp_path, capsys, text, rule):
    path = tmp_path / "study.json"
    if text is not None:
        path.write_text(text)
    assert report.main(["--results", str(path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert rule in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.usefixtures("sketched")
def test_an_output_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out must be a folder"):
        report.write(report.build_view(small()), tmp_path / "file")
