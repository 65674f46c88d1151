"""What readers call things."""

from study.analysis.arms import COLLAPSE_COLUMNS
from study.analysis.predictors import PREDICTORS
from study.reporting.names import METRICS, SPACES, key_name, main_objective, measure_name, metric_name, objective_axis


def test_names_are_those_that_readers_know():
    assert measure_name("linear_cached") == "Linear, cached features" and measure_name("knn_7") == "k-NN, k = 7"
    assert metric_name("rms_correlation", "embeddings") == "rms correlation, emb."
    assert measure_name("effective_rank_embeddings") == "effective rank, centred, emb."
    assert all(measure_name(f"{metric}_{space}") != f"{metric}_{space}" for metric in COLLAPSE_COLUMNS for space in SPACES)
    assert set(PREDICTORS) <= METRICS.keys()
    assert key_name("pretrain.nu") == "nu" and key_name("prepare.dataset") == "prepare.dataset"


def test_a_search_is_shown_by_an_accuracy_where_it_has_one_and_by_the_cost_only_where_it_is_alone():
    assert main_objective(["cost", "rankme_embeddings", "knn_20"]) == "knn_20"
    assert main_objective(["cost", "rankme_embeddings"]) == "rankme_embeddings" and main_objective(["cost"]) == "cost"
    assert objective_axis("knn_20") == "k-NN, k = 20, validation, %" and objective_axis("cost") == "training operations"
