"""Items of the project's tables, each with the tests that prove it; `make cases` runs them and prints the table.

Rows of the bad-input matrix carry their number themselves, by the marker ``case``.
"""

__all__ = ["FIGURES", "PROOFS"]

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
    "A07 an event says what was published or promoted, and nothing else": (
        "tests/integration/test_asset_events.py::test_a_published_partition_is_an_event_with_its_key_and_what_was_published",
        "tests/integration/test_asset_events.py::test_a_dry_run_of_a_prediction_is_no_event",
        "tests/integration/test_asset_events.py::test_a_training_is_an_event_only_if_its_model_was_promoted",
    ),
    "A08 a clock change shortens no set": (
        "tests/unit/steps/train/test_prepare.py::test_a_clock_change_leaves_the_sets_as_long_as_the_spec_says",
    ),
    "A09 labels are known when the next set begins": (
        "tests/unit/steps/train/test_prepare.py::test_every_label_of_a_set_was_known_when_the_next_set_begins",
    ),
    "A10 days count, not partitions, and persistence at every size": (
        "tests/unit/metrics/test_blocks.py::test_hours_of_a_day_are_one_block",
        "tests/unit/metrics/test_blocks.py::test_one_side_of_an_interval_misses_the_mean_of_persistent_days_in_one_case_of_forty",
    ),
    "A11 no variance is ignorance": (
        "tests/unit/metrics/test_blocks.py::test_no_variance_is_ignorance_and_not_certainty",
        "tests/unit/metrics/test_differences.py::test_ten_positives_that_both_models_find_alike_are_no_certainty",
        "tests/unit/metrics/test_coverage.py::test_few_positives_hardly_ever_accept_a_worse_model",
        "tests/unit/metrics/test_sample_weight.py::test_a_multiple_of_all_weights_changes_neither_a_metric_nor_its_interval",
        "tests/unit/metrics/test_sample_weight.py::test_heavy_rows_that_are_all_right_are_no_certainty",
    ),
    "A12 a baseline is the best constant": (
        "tests/unit/modeling/test_threshold.py::test_a_constant_answer_is_as_good_in_the_metric_as_a_constant_can_be",
        "tests/unit/modeling/test_estimators_tasks.py::test_the_constants_of_a_baseline_are_the_best_in_the_metric_that_decides",
    ),
    "A13 the calibration error covers the truth": (
        "tests/unit/metrics/test_coverage.py::test_the_calibration_error_covers_the_truth_and_is_not_biased_for_perfect_scores",
        "tests/unit/metrics/test_sample_weight.py::test_perfect_scores_of_heavy_rows_have_as_little_calibration_error_as_those_of_light_ones",
    ),
    "A14 estimates are not optimistic": (
        "tests/unit/monitoring/test_estimate.py::test_estimates_are_neither_optimistic_nor_too_sure",
    ),
    "A15 change blames the world only for what features do not explain": (
        "tests/unit/monitoring/test_change.py::test_a_shift_of_the_features_is_no_change_of_the_world",
        "tests/unit/monitoring/test_change.py::test_a_change_of_the_world_is_found_without_a_shift_of_the_features",
        "tests/unit/monitoring/test_change.py::test_under_2_percent_of_90_quiet_days_raise_a_false_alarm",
        "tests/unit/steps/findings/test_days.py::test_hours_that_share_the_effects_of_their_day_raise_no_change",
    ),
    "A16 defaults do not depend on the label's unit": (
        "tests/unit/modeling/gate/test_gate.py::test_without_a_margin_in_the_spec_the_unit_of_the_label_does_not_matter",
    ),
    "A17 isotonic probabilities are neither 0 nor 1": (
        "tests/unit/modeling/test_calibration.py::test_no_isotonic_probability_is_0_or_1_and_none_falls",
    ),
    "A17 a calibration never turns the order round": (
        "tests/unit/modeling/test_calibration.py::test_a_curve_never_turns_the_order_of_two_rows_round",
    ),
    "A17 a search measures with the spec's threshold": (
        "tests/unit/modeling/search/test_measure.py::test_the_threshold_rule_of_the_spec_decides_the_metric",
    ),
    "A17 unseen levels are warned of beyond what is usual": (
        "tests/unit/monitoring/alerts/test_rules.py::test_levels_as_unseen_as_was_usual_raise_nothing",
        "tests/unit/monitoring/alerts/test_rules.py::test_levels_more_unseen_than_was_usual_are_a_warning",
    ),
    "A17 an unseen level is no NULL": (
        "tests/unit/modeling/test_preprocessing.py::test_an_unseen_level_is_rare_or_the_most_frequent_one_and_never_missing",
    ),
    "A17 quiet days hardly ever ask for a training": (
        "tests/unit/monitoring/test_retrain_policy.py::test_runs_of_55_quiet_days_hardly_ever_ask_for_a_training",
        "tests/unit/steps/findings/test_days.py::test_a_days_hours_ask_for_no_training_by_what_they_share",
    ),
    "A17 a test set that can never pass is named": (
        "tests/unit/test_checking.py::test_a_test_set_that_can_never_pass_is_named_with_the_setting_that_helps",
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
    "P1 sentences and marks of a page are of the same figures": (
        "tests/unit/report/test_monitoring.py::test_no_sentence_calls_drift_within_its_thresholds_while_a_row_is_beyond",
        "tests/unit/report/test_monitoring.py::test_a_column_is_usual_beyond_its_threshold_or_in_an_alert",
    ),
    "P2 a distribution is visible": (
        "tests/unit/report/pictures/test_histograms.py::test_a_picture_has_20_to_60_bars_of_equal_width",
        "tests/unit/report/pictures/test_histograms.py::test_reference_and_partition_are_both_visible",
        "tests/unit/report/pictures/test_histograms.py::test_no_bar_hides_the_others",
    ),
    "P3 figures stay within their range, small slices are marked": (
        "tests/unit/metrics/test_evaluation.py::test_an_interval_keeps_to_the_range_of_its_metric",
        "tests/unit/report/test_monitoring.py::test_a_slice_of_two_rows_is_marked",
    ),
    "P4 slow growth of a step is found": (
        "tests/unit/monitoring/test_growth.py::test_memory_that_leaks_one_percent_a_day_is_found_within_five_weeks",
        "tests/unit/monitoring/test_growth.py::test_90_quiet_days_hardly_ever_raise_an_alarm",
    ),
    "B47 rows that training would read differently": (
        "tests/integration/test_outlook.py::test_a_value_changed_without_a_trace_is_named",
    ),
    "B48 a score that is not a number": (
        "tests/integration/test_answers.py::test_probability_beyond_0_and_1_is_refused",
    ),
    "G1 what cannot be meant is stopped, in predict and in train": (
        "tests/integration/test_bad_input_matrix.py::test_bad_input_meets_its_verdict_in_predict",
        "tests/integration/test_bad_input_matrix.py::test_bad_input_meets_its_verdict_in_train",
    ),
    "G2 no entry among the specs disturbs another model": (
        "tests/dags/test_hostile_specs.py::test_the_good_models_dags_stay",
        "tests/dags/test_hostile_specs.py::test_the_import_error_of_one_file_names_every_hostile_entry",
        "tests/unit/test_spec_file.py::test_an_owner_is_one_line_that_airflow_can_store",
    ),
    "G3 malformed files, keys, places and queries are refused with a message": (
        "tests/unit/storage/test_tampering.py::test_a_malformed_file_with_matching_digests_is_refused_with_a_message",
        "tests/unit/storage/test_store.py::test_a_path_that_cannot_be_written_is_refused_with_a_message",
        "tests/unit/warehouse/test_model_queries.py::test_set_config_is_refused_with_its_line",
        "tests/integration/test_bad_input_matrix.py::test_trace_of_a_key_that_is_not_a_text_is_answered_with_a_message",
        "tests/integration/test_bad_input_matrix.py::test_category_in_another_spelling_is_named",
    ),
    "G4 an MLflow that never answers is asked one question": (
        "tests/integration/test_doctor.py::test_an_mlflow_that_accepts_and_never_answers_is_asked_one_question",
    ),
    "G5 a reader's lock holds up nothing, and equal commands all succeed": (
        "tests/integration/test_forgeries.py::test_a_reader_holds_up_no_migration_promotion_declaration_or_alert",
        "tests/integration/test_forgeries.py::test_a_migration_that_waits_for_a_reader_ends_and_names_it",
        "tests/integration/test_equal_attempts.py::test_commands_at_once_all_end_with_status_0",
    ),
    "G6 what a killed process leaves is collected": (
        "tests/unit/storage/test_scratch.py::test_what_a_killed_process_has_left_goes_when_the_next_one_begins",
        "tests/integration/test_retention.py::test_test_rows_of_a_killed_process_are_collected",
    ),
    "G7 specs are parsed once": (
        "tests/plugins/test_plugin.py::test_only_the_dag_processor_reads_specs_before_it_forks",
        "tests/dags/test_parsing_context.py::test_a_tasks_dag_is_the_one_among_all",
        "tests/dags/test_approval.py::test_a_person_is_asked_between_the_gate_and_the_release",
    ),
    "G8 what is missing is named, with the next step": (
        "tests/integration/test_installation.py::test_a_bare_airflow_lacks_exactly_what_it_lacks",
        "tests/test_compose.py::test_a_taken_port_is_named_with_the_variable_that_moves_it",
    ),
    "W1 no other account gets into MLflow": (
        "tests/integration/test_mlflow_login.py::test_without_a_login_every_route_but_health_answers_401",
        "tests/integration/test_mlflow_login.py::test_an_experiment_elsewhere_is_refused",
        "tests/integration/test_mlflow_login.py::test_a_link_in_the_folder_is_not_followed",
        "tests/integration/test_mlflow_login.py::test_another_account_cannot_read_the_servers_environment",
        "tests/unit/local/test_secrets.py::test_another_account_reads_no_login",
    ),
    "W2 no role that runs forges what readers see": (
        "tests/integration/test_forgeries.py::test_a_role_may_not_forge",
        "tests/integration/test_forgeries.py::test_the_pointer_moves_only_with_its_event",
        "tests/integration/test_forgeries.py::test_a_threshold_that_was_changed",
        "tests/integration/test_forgeries.py::test_a_run_opened_with_a_threshold_of_its_own",
        "tests/integration/test_forgeries.py::test_a_run_of_another_models_release",
        "tests/integration/test_forgeries.py::test_a_pointer_that_was_moved_by_hand",
        "tests/integration/test_forgeries.py::test_a_published_run_that_the_audit_does_not_have",
    ),
    "W3 a cut audit is noticed": (
        "tests/integration/test_forgeries.py::test_an_audit_that_was_cut_at_its_end",
        "tests/integration/test_forgeries.py::test_a_publication_that_was_cut_out_of_the_audit_lacks_its_event",
    ),
    "W4 nobody erases what is young": (
        "tests/integration/test_forgeries.py::test_the_writer_cannot_erase_what_is_young",
    ),
    "W5 an archive brings no page that cannot be shown and no folder of others": (
        "tests/integration/test_transfer.py::test_an_archive_with_a_page_that_cannot_be_made_is_refused",
        "tests/integration/test_transfer.py::test_a_passport_that_names_a_folder_of_another_model_is_refused",
    ),
    "W6 a container can and knows only what it needs": (
        "tests/test_compose.py::test_a_service_of_others_can_change_nothing_but_its_volumes_and_its_memory",
        "tests/test_compose.py::test_only_the_register_queues_worker_and_people_can_promote",
    ),
}  # fmt: skip
"""Tests by item, as ``file::function``."""

FIGURES = {
    "A01": ("ROC AUC of a day with one NULL: 0.510", "0.867, as without"),
    "A02": ("promoted without --force after a refusal", "refused"),
    "A03": ("an empty version is registered", "the upload is completed first"),
    "A04": ("2,500 of 4,500 labels lost", "none lost, or refused by check"),
    "A05": ("4 of 24 hours in the wrong day", "refused with AT TIME ZONE"),
    "A06": ("a forbidden bigint beside a NULL passes", "34 of 34 entries judged right"),
    "A07": ("events of dry runs and refusals", "only of what was published or promoted"),
    "A08": ("a test set of 14 days has 13", "14"),
    "A09": ("test AUC over live AUC by 0.048", "labels known at each cut"),
    "A10": ("wrong accepts of hourly models 18.5 %", "1.4 to 1.6 %"),
    "A11": ("wrong accepts at 4 positives 57 %, at 18 positives 16 %", "0.1 % and 0.3 %; ROC AUC 0.5 % and 2.4 %"),
    "A12": ("accuracy of the baseline prior 0.038", "0.962"),
    "A13": ("calibration error of perfect scores, 140 rows: 0.080", "0.013"),
    "A14": ("estimated AUC too high by 0.046, coverage 47 to 80 %", "less than 0.02, 94 %"),
    "A15": ("quiet runs of 90 days with a change: 10 to 17 %", "0.1 to 1.3 %"),
    "A16": ("200 of 200 broken models accepted", "none"),
    "A17": ("quiet runs of 55 days that ask for a training: 38 %", "1 to 23 %, by the spread of the days"),
    "A18": ("ModuleNotFoundError: tidemill", "loads, and scores the same bits"),
    "A19": ("DependentObjectsStillExist", "the view stays, with grants and comments"),
    "A20": ("options of a connection dropped", "kept"),
    "P1": ("0 of 35 above seven rows over their threshold", "sentences counted from the rows"),
    "P2": ("21 of 35 distributions are empty lines", "none"),
    "P3": ("intervals of ROC AUC beyond 1", "none"),
    "P4": ("no test of a trend", "growth of 1 % a day found within five weeks"),
    "G1": ("a NULL column, a boolean and a tenth of the rows published", "stopped or withheld"),
    "G2": ("one bad file takes every model's DAGs away", "the others stay, and it is named"),
    "G3": ("tracebacks", "words"),
    "G4": ("147.8 s with 18 models, then \"server ok\"", "one question with a limit"),
    "G5": ("migrate waits forever; six of eight equal commands end with 1", "it ends and names the session; all with 0"),
    "G6": ("test rows stay in temporary folders", "collected"),
    "G7": ("300 specs: 10.3 to 11.4 processor seconds for all DAG files", "3.4 to 3.5, in pairs at a load of 14"),
    "G8": ("tracebacks of psycopg2 and pyarrow; Docker's words", "packages, port and variable named"),
    "W1": ("any local account reads and writes without a login", "401 everywhere but /health"),
    "W2": ("threshold changed, 123 -> 200 positives, and approved", "denied, or named by the doctor"),
    "W3": ("unnoticed", "the anchor names the row that is lacking"),
    "W4": ("942 -> 490 rows of tidemill.run", "none younger than 30 days"),
    "W5": ("a page that the console answers with 500", "refused"),
    "W6": ("every worker holds the promoter's password", "only the registrar"),
}  # fmt: skip
"""What was found at first and what is found now, by the number of the item."""
