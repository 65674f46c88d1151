"""Build a report's view, formatted once for both of its pages."""

from typing import Any

from study.reporting.format import without_paths
from study.reporting.glossary import TYPE_GLOSSARY, glossary_of
from study.reporting.inputs import Inputs
from study.reporting.names import measure_name
from study.reporting.palette import COLLAPSE_TYPES, COLOUR_NAMES, named_type_view
from study.reporting.panels.groups import groups_of
from study.reporting.panels.maps import MapView, map_view
from study.reporting.panels.phase_diagram import phase_source
from study.reporting.selection import shown_arms
from study.reporting.terms import terms_of
from study.reporting.view import arms, certainty, designs, header, runs
from study.results.schema import StudyResults

View = dict[str, Any]  # what the templates name: text, lists of rows, and dicts of these


def build_view(inputs: Inputs) -> View:
    """Return everything that the templates of a report print."""
    study, shown = inputs.study, shown_arms(inputs.study)
    measures = list(dict.fromkeys(["knn_20", "linear_cached", study.primary]))
    types = [name for name in COLLAPSE_TYPES if any(arm.collapse_type.name == name for arm in shown)]
    return {
        **_header(inputs), **_designs(study), **_runs(inputs),
        "has_control": any(arm.is_control for arm in shown),
        "measures": [measure_name(name) for name in measures],
        "primary": measure_name(study.primary),
        "has_published": any(arm.published for arm in shown),
        "published": arms.published_notes(study),
        "arms": arms.arm_views(study, shown, measures),
        "every_measure": arms.measure_table(shown),
        "types": arms.type_table(shown),
        "certainty": certainty.certainty_texts(study, shown),
        "power": certainty.power_view(study),
        "colours": ", ".join(f"{COLOUR_NAMES[name]} {name}" for name in types),
        "figures": groups_of(study, measures, inputs.curves),
        "map": _map(inputs),
        "type_glossary": [(named_type_view(name), text) for name, text in TYPE_GLOSSARY],
        "glossary": glossary_of(terms_of(study)),
    }  # fmt: skip


def _header(inputs: Inputs) -> View:
    study = inputs.study
    return {
        "study": study.study,
        "question": study.question,
        "hypothesis": study.hypothesis,
        "profile": study.profile,
        "mode": study.mode,
        "answer": study.answer,
        "warnings": header.warnings_of(study),
        "notes": [without_paths(note) for note in study.notes],
        "scale": header.scale_text(study),
        "cost": header.cost_text(study, inputs.timing),
        "design": header.design_rows(study),
    }


def _designs(study: StudyResults) -> View:
    return {
        "phase": phase_source(study),
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
