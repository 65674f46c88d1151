"""The line that training prints after an epoch."""

from study.pretrain import describe

RECORD = {
    "epoch": 3, "total": 12.5, "weighted_variance": 10.0, "weighted_covariance": 2.5, "images_per_second": 1234.4,
    "embeddings": {"std_mean": 0.9876, "rankme": 45.67},
}  # fmt: skip


def test_a_line_has_the_loss_by_term_the_rank_and_the_pace():
    assert describe(RECORD) == (
        "epoch 3: loss 12.500 = variance 10.000 + covariance 2.500; RankMe 45.7, std 0.988; 1234 images/s"
    )


def test_an_epoch_without_a_rank_is_described_without_it():
    assert describe(RECORD | {"embeddings": {"std_mean": 0.9876}}).endswith("covariance 2.500; std 0.988; 1234 images/s")
