"""Build a report's view, formatted once for both of its pages."""

from collections.abc import Sequence
from typing import Any

from study.analysis.alerts import paired_seeds
from study.analysis.looks import confidence_of
from study.analysis.moments import LEAST_SEEDS
from study.reporting.format import without_paths
from study.reporting.glossary import TYPE_GLOSSARY, glossary_of
from study.reporting.inputs import Inputs
from study.reporting.names import measure_name
from study.reporting.neighbours import ALONE, Neighbours
from study.reporting.palette import COLLAPSE_TYPES, COLOUR_NAMES, named_type_view
from study.reporting.panels.groups import groups_of
from study.reporting.panels.maps import MapView, map_view
from study.reporting.panels.phase_diagram import phase_source
from study.reporting.selection import shown_arms, trained_arms
from study.reporting.terms import terms_of
from study.reporting.view import arms, certainty, columns, designs, first_screen, header, methods, runs
from study.reporting.view.expected import expected_view
from study.results.schema import StudyResults
from study.results.training_images import saw_validation

View = dict[str, Any]  # what the templates name: text, lists of rows, and dicts of these


def build_view(inputs: Inputs, neighbours: Neighbours = ALONE) -> View:
    """Return everything that the templates of a report print; `neighbours` are the pages that it links to."""
    study, shown = inputs.study, shown_arms(inputs.study)
    measures = list(dict.fromkeys(["knn_20", "linear_cached", study.primary]))
    certain, power = certainty.certainty_texts(study, shown), certainty.power_view(study)
    figures = first_screen.with_main(groups_of(study, measures, inputs.curves, inputs.timing), study.mode)
    controls = [arm for arm in shown if arm.is_control]
    interval = confidence_of(study.looks) if paired_seeds(study) >= LEAST_SEEDS else None
    types = [name for name in COLLAPSE_TYPES if any(arm.collapse_type.name == name for arm in shown)]
    return {
        **_header(inputs), **_designs(study), **_runs(inputs),
        "links": neighbours,
        "facts": first_screen.facts_of(study, shown),
        "found": first_screen.found_text(study),
        "has_control": any(arm.is_control for arm in shown),
        "control_is_drawn": len(controls) == 1 and any(name.endswith("_embeddings") for name in controls[0].summary),
        "collapse_images": f"validation images{', which were trained on too' if saw_validation(study) else ''}",
        "primary": measure_name(study.primary),
        "published": arms.published_notes(study),
        "arms": arms.arm_views(study, shown),
        "methods": methods.methods_view(study, trained_arms(shown), measures, inputs.timing, figures["losses"]),
        "more": columns.more_table(study, shown, measures),
        "every_measure": arms.measure_table(shown, of_methods=study.methods is not None),
        "types": arms.type_table(shown),
        "trust": _trust(study, certain, power),
        "certainty": certain,
        "power": power,
        "colours": ", ".join(f"{COLOUR_NAMES[name]} {name}" for name in types),
        "figures": figures,
        "main_caption": first_screen.caption_of(figures["main"], phase_source(study), interval),
        "confidence": confidence_of(study.looks),
        "map": None if neighbours.map else _map(inputs),
        "map_link": neighbours.map if inputs.projection else None,
        "type_glossary": [(named_type_view(name), text) for name, text in TYPE_GLOSSARY],
        "glossary": glossary_of(terms_of(study), of_methods=study.methods is not None),
    }  # fmt: skip


def _header(inputs: Inputs) -> View:
    study = inputs.study
    return {
        "study": study.study,
        "question": study.question,
        **expected_view(study),
        "profile": study.profile,
        "mode": study.mode,
        "answer": study.answer,
        "warnings": header.warnings_of(study),
        "notes": [without_paths(note) for note in study.notes],
        "scale": header.scale_text(study),
        "cost": header.cost_text(study, inputs.timing),
        "design": header.design_rows(study),
    }


def _trust(study: StudyResults, certain: Sequence[str], power: certainty.PowerView | None) -> list[str]:
    """Return how far to trust the answer; for results of earlier versions, what the study could have seen."""
    if study.trust:
        return [without_paths(sentence) for sentence in study.trust]
    return [power["text"]] if power and study.power and study.power.spread is not None else list(certain[:1])


def _designs(study: StudyResults) -> View:
    return {
        "anova": designs.anova_table(study),
        "importances": designs.importance_table(study),
        "trials": designs.trial_table(study),
        "tuning": designs.tuning_table(study),
        "path": designs.path_table(study),
        "predictors": designs.predictor_table(study),
        "claim": designs.scale_texts(study),
    }


def _runs(inputs: Inputs) -> View:
    study = inputs.study
    return {
        "evaluation": runs.evaluation_view(study, inputs.evaluation),
        "failures": runs.failures_of(study.arms),
        "runs": runs.run_rows(study, inputs.timing),
        "provenance": runs.provenance_of(study),
        "certificate": runs.certificate_view(inputs.certificate),
    }


def _map(inputs: Inputs) -> MapView | None:
    shown = inputs.projection
    return None if shown is None else map_view(shown, run=runs.run_name(inputs.study, shown.digest))
