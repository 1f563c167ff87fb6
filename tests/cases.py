"""Items of the project's tables, each with the tests that prove it; `make cases` runs them and prints the table.

Rows of the bad-input matrix carry their number themselves, by the marker ``case``.
"""

__all__ = ["PROOFS"]

PROOFS = {
    "A01 a row's score depends on that row only": (
        "tests/unit/modeling/test_scorer.py::test_a_score_depends_on_its_row_only_for_every_type",
        "tests/unit/modeling/test_in_pieces.py::test_whole_numbers_beyond_2_to_53_are_learnt_alike_beside_a_null_in_some_piece",
        "tests/integration/test_steps.py::test_score_depends_on_the_row_and_not_on_its_neighbours",
    ),
    "A02 the newest judgement counts": (
        "tests/integration/test_approval.py::test_everybody_reads_the_newest_judgement_and_every_one_stays",
    ),
    "A03 an incomplete upload is completed before the alias moves": (
        "tests/integration/test_tracking.py::test_wherever_an_upload_fails_no_version_is_empty_and_the_next_attempt_completes_it",
        "tests/integration/test_tracking.py::test_a_model_whose_file_is_lost_is_uploaded_again_before_the_alias_moves",
    ),
    "A04 keys, labels and categories compare as in SQL": (
        "tests/integration/test_bad_input.py::test_blank_padded_keys_labels_and_categories_are_those_that_sql_compares",
        "tests/integration/test_bad_input.py::test_key_of_another_type_than_that_of_the_features_is_refused_before_anything_runs",
    ),
    "A05 wall clocks get their zone": (
        "tests/integration/test_bad_input.py::test_check_finds_a_wall_clock_that_is_taken_for_utc",
        "tests/integration/test_bad_input.py::test_wall_clock_as_event_time_is_refused_with_its_zone",
    ),
    "A06 a contract judges every type exactly": (
        "tests/unit/test_checks.py::test_a_condition_may_name_any_column",
        "tests/unit/test_checks.py::test_no_argument_ends_in_anything_but_a_verdict",
    ),
    "A08 a clock change shortens no set": (
        "tests/unit/steps/train/test_prepare.py::test_a_clock_change_leaves_the_sets_as_long_as_the_spec_says",
    ),
    "A09 labels are known when the next set begins": (
        "tests/unit/steps/train/test_prepare.py::test_every_label_of_a_set_was_known_when_the_next_set_begins",
    ),
    "A11 no variance is ignorance": (
        "tests/unit/metrics/test_blocks.py::test_no_variance_is_ignorance_and_not_certainty",
        "tests/unit/metrics/test_differences.py::test_ten_positives_that_both_models_find_alike_are_no_certainty",
        "tests/unit/metrics/test_coverage.py::test_few_positives_hardly_ever_accept_a_worse_model",
    ),
    "A12 a baseline is the best constant": (
        "tests/unit/modeling/test_threshold.py::test_a_constant_answer_is_as_good_in_the_metric_as_a_constant_can_be",
        "tests/unit/modeling/test_estimators_tasks.py::test_the_constants_of_a_baseline_are_the_best_in_the_metric_that_decides",
    ),
    "A13 the calibration error covers the truth": (
        "tests/unit/metrics/test_coverage.py::test_the_calibration_error_covers_the_truth_and_is_not_biased_for_perfect_scores",
    ),
    "A14 estimates are not optimistic": (
        "tests/unit/monitoring/test_estimate.py::test_estimates_are_neither_optimistic_nor_too_sure",
    ),
    "A16 defaults do not depend on the label's unit": (
        "tests/unit/modeling/gate/test_gate.py::test_without_a_margin_in_the_spec_the_unit_of_the_label_does_not_matter",
    ),
    "A18 MLflow's copy loads without Tidemill": (
        "tests/unit/storage/test_mlflow_model.py::test_it_loads_without_tidemill_and_scores_the_same_bits",
    ),
    "A19 views keep grants and comments": (
        "tests/integration/test_publishing.py::test_grants_and_comments_survive_every_change_of_the_view",
    ),
    "A20 options of a connection hold, proxies are not asked, pauses are named": (
        "tests/integration/test_reading.py::test_options_of_the_connection_hold",
        "tests/unit/tracking/test_server.py::test_a_proxy_never_catches_requests_to_this_machine",
        "tests/plugins/test_operators.py::test_nobody_waits_for_a_training_whose_dag_is_paused",
    ),
    "B47 rows that training would read differently": (
        "tests/integration/test_outlook.py::test_a_value_changed_without_a_trace_is_named",
    ),
    "B48 a score that is no number": (
        "tests/integration/test_answers.py::test_probability_beyond_0_and_1_is_refused",
    ),
}  # fmt: skip
"""Tests by item, as ``file::function``."""
