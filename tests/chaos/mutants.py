"""The mutation check: each guard is switched off in a copy of the project, and the tests named for it have to fail.

``make mutants``. A mutant is a piece of text and what stands in its place; if the text is not there any more, or not
once, that is an error: the guard has moved and the mutant has to follow. Before that the same tests have to pass on the
project as it is.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
COPIED = (
    "src", "plugins", "sql", "dags", "docs", "docker", "docker-compose.yaml", "Dockerfile", "tests", "pyproject.toml",
    "README.md", "requirements.txt",
)  # fmt: skip
LIMIT_S = 900  # of the tests of one mutant


@dataclass(frozen=True)
class Mutant:
    """One guard switched off."""

    guard: str
    """What is switched off."""
    file: str
    """Where."""
    old: str
    """What the guard reads."""
    new: str
    """What is put there."""
    tests: tuple[str, ...]
    """What has to fail, as arguments of pytest."""
    also: tuple[str, str] | None = None
    """A second guard that would make up for the first: what it reads, what is put there."""
    also_in: str = ""
    """Where it is, if in another file."""

    def changes(self) -> list[tuple[str, str, str]]:
        """Return each change: the file, what it reads, and what is put there."""
        second = [(self.also_in or self.file, *self.also)] if self.also else []
        return [(self.file, self.old, self.new), *second]


MUTANTS = (
    Mutant(
        "a challenger learns from new labels",
        "src/tidemill/monitoring/retrain_policy.py",
        "evidence.n_new_labels < policy.min_labels",
        "evidence.n_new_labels < 0",
        ("tests/unit/monitoring/test_retrain_policy.py", "-k", "waits_for_new_labels"),
    ),
    Mutant(
        "ages are compared only of releases that answer the same question",
        "src/tidemill/steps/monitor/staleness.py",
        "(older.task, older.classes) == (youngest.task, youngest.classes)",
        "older.classes == youngest.classes",
        ("tests/integration/test_staleness.py", "-k", "reads_a_feature_differently"),
    ),
    Mutant(
        "no key is longer than an index of the ledger takes",
        "src/tidemill/checks/keys.py",
        "pc.greater(n_bytes, MAX_KEY_BYTES)",
        "pc.less(n_bytes, 0)",
        ("tests/unit/test_checks.py", "-k", "longer_than_an_index"),
    ),
    Mutant(
        "no key has only blanks",
        "src/tidemill/checks/keys.py",
        "pc.and_(blank, pc.greater(n_bytes, 0))",
        "pc.less(n_bytes, 0)",
        ("tests/unit/test_checks.py", "-k", "longer_than_an_index"),
    ),
    Mutant(
        "the positive label has one spelling",
        "src/tidemill/steps/data/labels.py",
        "        _refuse_spelling(column.filter(pc.and_(alike, pc.not_equal(column, positive))), positive.as_py(), spec)\n",
        "",
        ("tests/unit/steps/data/test_labels.py", "-k", "nearly_the_positive"),
    ),
    Mutant(
        "a class has one spelling",
        "src/tidemill/steps/data/labels.py",
        "        if first != level:",
        "        if False:",
        ("tests/unit/steps/data/test_labels.py", "-k", "only_in_blanks"),
    ),
    Mutant(
        "a label is a readable text",
        "src/tidemill/steps/data/labels.py",
        "if n_odd := pc.sum(odd).as_py():",
        "if n_odd := 0:",
        ("tests/unit/steps/data/test_labels.py", "-k", "readable_name"),
    ),
    Mutant(
        "a label has a time at which it became known",
        "src/tidemill/steps/data/extract.py",
        "pc.and_(pc.is_null(observed), pc.is_valid(labels[spec.label.column]))",
        "pc.less(late, late)",
        ("tests/unit/steps/data/test_labels.py", "-k", "surely_known"),
    ),
    Mutant(
        "every feature has a value in the later sets, too",
        "src/tidemill/steps/train/prepare.py",
        '{"validation": usual, "test": usual}',
        "{}",
        ("tests/unit/steps/train/test_prepare.py", "-k", "feature_has_no_value"),
    ),
    Mutant(
        "a value that becomes 0 is counted as rounded",
        "src/tidemill/warehouse/reading.py",
        "pc.or_(pc.greater_equal(pc.abs(values), float(2**53)), pc.equal(values, 0.0))",
        "pc.greater_equal(pc.abs(values), float(2**53))",
        ("tests/unit/warehouse/test_reading.py",),
    ),
    Mutant(
        "no NUL comes from DuckDB",
        "src/tidemill/sources/duckdb.py",
        "        _refuse_nul(arrays, columns, query)\n",
        "",
        ("tests/unit/sources/test_duckdb.py", "-k", "cannot_run"),
    ),
    Mutant(
        "DuckDB's names differ in more than case",
        "src/tidemill/sources/duckdb.py",
        "folded.count(n.lower()) > 1",
        "names.count(n) > 1",
        ("tests/unit/sources/test_duckdb.py", "-k", "cannot_run"),
    ),
    Mutant(
        "a quote in a loaded file is closed",
        "src/tidemill/onboarding/files.py",
        """    if '"' in text:""",
        "    if False:",
        ("tests/unit/onboarding/test_files.py", "-k", "broken_csv"),
    ),
    Mutant(
        "a loaded file fits into memory",
        "src/tidemill/onboarding/files.py",
        "    if len(data) > limit:",
        "    if False:",
        ("tests/unit/onboarding/test_files.py", "-k", "more_than_memory"),
    ),
    Mutant(
        "a loaded column has a name that can be seen",
        "src/tidemill/onboarding/files.py",
        'unicodedata.category(character).startswith("C")',
        "character is None",
        ("tests/unit/onboarding/test_files.py", "-k", "broken_csv or without_names"),
    ),
    Mutant(
        "a page of a loaded Parquet file has its checksum",
        "src/tidemill/onboarding/files.py",
        "page_checksum_verification=True",
        "page_checksum_verification=False",
        ("tests/unit/onboarding/test_files.py", "-k", "checksum"),
    ),
    Mutant(
        "hours begin after a midnight that the clocks skip",
        "src/tidemill/intervals.py",
        "instant.astimezone(UTC).astimezone(ZoneInfo(timezone))",
        "instant.astimezone(ZoneInfo(timezone))",
        ("tests/plugins/test_schedules.py", "-k", "midnight_the_clocks_skip"),
    ),
    Mutant(
        "limits of the data are days of the zone",
        "src/tidemill/spec/model.py",
        ".astimezone(UTC).astimezone(zone).date() != day",
        ".date() != day",
        ("tests/unit/test_spec_file.py", "-k", "clocks_skipped"),
    ),
    Mutant(
        "a published run decides as its release does",
        "sql/queries/doctor.sql",
        "judged.model <> r.model OR judged.threshold <> r.threshold",
        "judged.model <> r.model",
        ("tests/integration/test_forgeries.py", "-k", "threshold_of_its_own"),
    ),
    Mutant(
        "a published run is of its own model's release",
        "sql/queries/doctor.sql",
        "judged.model <> r.model OR judged.threshold <> r.threshold",
        "judged.threshold <> r.threshold",
        ("tests/integration/test_forgeries.py", "-k", "another_models_release"),
    ),
    Mutant(
        "an owner fits into Airflow's database",
        "src/tidemill/spec/kinds.py",
        r'LINE = r"^[^\n\r\x85\u2028\u2029]{0,200}$"',
        r'LINE = r"^[\s\S]*$"',
        ("tests/unit/test_spec_file.py", "-k", "airflow_can_store"),
    ),
    Mutant(
        "a task carries no copy of its run's form",
        "plugins/tidemill_airflow/model_dags.py",
        "            yield dag\n            dag.params.update(trigger_form(*form))",
        "            dag.params.update(trigger_form(*form))\n            yield dag",
        ("tests/dags/test_approval.py", "-k", "between_the_gate_and_the_release"),
    ),
    Mutant(
        "the DAG processor reads specs before it forks",
        "plugins/tidemill_airflow/plugin.py",
        'if sys.argv[1:2] == ["dag-processor"]:',
        "if False:",
        ("tests/plugins/test_plugin.py", "-k", "before_it_forks"),
    ),
    Mutant(
        "a changed spec is read again, although one of its name is known",
        "src/tidemill/spec_file.py",
        "if known is None or known[0] != digest:",
        "if known is None:",
        ("tests/unit/test_spec_file.py",),
    ),
    Mutant(
        "an action is only for those who may trigger its DAG",
        "plugins/tidemill_airflow/console/requests.py",
        "    require_action(ACTIONS[name], model, request, user)\n",
        "",
        ("tests/integration/test_console.py", "-k", "a_viewer_sees"),
    ),
    Mutant(
        "a form comes from the console's own pages",
        "plugins/tidemill_airflow/console/requests.py",
        "    _refuse_other_origin(request)\n",
        "",
        ("tests/integration/test_console.py", "-k", "from_elsewhere"),
    ),
    Mutant(
        "a form is bound to its person, model and action",
        "plugins/tidemill_airflow/console/requests.py",
        "    if bound != [str(user.get_id()), model, name]:",
        "    if not bound:",
        ("tests/integration/test_console.py", "-k", "from_elsewhere"),
    ),
    Mutant(
        "a form is accepted once",
        "plugins/tidemill_airflow/console/requests.py",
        'f"{RUN_PREFIX}{name}__{number}"',
        'f"{RUN_PREFIX}{name}__{secrets.token_hex(8)}"',
        ("tests/integration/test_console.py", "-k", "accepted_once"),
    ),
    Mutant(
        "an undecided release serves only once it has won in the shadow",
        "sql/migrations/0027_shadow.sql",
        "d.verdict = 'not_enough_evidence' AND EXISTS (",
        "d.verdict = 'not_enough_evidence' OR EXISTS (",
        ("tests/integration/test_shadow.py", "-k", "undecided"),
    ),
    Mutant(
        "a comparison in the shadow counts only while its champion serves",
        "src/tidemill/operations/shadow.py",
        "if serving != running.against and not",
        "if serving is None and not",
        ("tests/integration/test_shadow.py", "-k", "void"),
    ),
    Mutant(
        "a look after each day does not make the shadow err more often",
        "src/tidemill/metrics/sequential.py",
        "(LEVEL**2 * PRIOR / (n + PRIOR)) ** (1 / n)",
        "LEVEL ** (2 / n)",
        ("tests/unit/metrics/test_sequential.py",),
    ),
    Mutant(
        "later comparisons with one champion need more",
        "src/tidemill/modeling/gate/power.py",
        "stats.t.ppf(1 - level_of_look(look), freedom)",
        "stats.t.ppf(1 - level_of_look(1), freedom)",
        ("tests/unit/modeling/gate/test_gate.py", "-k", "truth_table"),
    ),
    Mutant(
        "trainings without a gain are counted across trainings",
        "src/tidemill/steps/train/evaluation/leave_out.py",
        "before.get(frozenset(fit.features), 0) + 1",
        "1",
        ("tests/integration/test_leave_out.py", "-k", "three_trainings"),
    ),
    Mutant(
        "an audit column never reaches the model",
        "src/tidemill/steps/data/features.py",
        "spec.weight, *spec.audit, *_OURS}",
        "spec.weight, *_OURS}",
        ("tests/unit/steps/data/test_features.py", "-k", "audit"),
    ),
    Mutant(
        "a training reads nothing that the policy denies",
        "src/tidemill/steps/data/extract.py",
        "                _refuse_denied_reads(source, job)\n",
        "",
        ("tests/integration/test_policy.py", "-k", "training_stops"),
    ),
    Mutant(
        "a weak slice is confirmed by the test set",
        "src/tidemill/modeling/slices/weak.py",
        "for found, is_weak in zip(measured, confirmed, strict=True) if is_weak",
        "for found in measured",
        ("tests/unit/modeling/slices/test_weak.py", "-k", "same_everywhere"),
    ),
    Mutant(
        "the text of an optional library's model is checked before it is read",
        "src/tidemill/storage/bundles/load.py",
        "    refuse_unsound_text(content, kind.file)\n",
        "",
        ("tests/unit/storage/test_text_checks.py", "-k", "points_elsewhere"),
    ),
    Mutant(
        "a text of LightGBM holds no line that the check does not know",
        "src/tidemill/storage/bundles/text_checks.py",
        "    if tree.keys() != known:",
        "    if False:",
        ("tests/unit/storage/test_text_checks.py", "-k", "of_another_form"),
    ),
    Mutant(
        "old evidence has no points",
        "src/tidemill/score/points.py",
        "if standard.now < stale_from[row.need]]",
        "]",
        ("tests/unit/score/test_points.py", "-k", "too_old"),
    ),
    Mutant(
        "an attestation outvotes no evidence",
        "src/tidemill/score/points.py",
        "if contrary:",
        "if contrary and attestation is None:",
        ("tests/unit/score/test_points.py", "-k", "outvotes_nothing"),
    ),
    Mutant(
        "an attestation expires",
        "src/tidemill/spec/attestation.py",
        "return self.signed <= day <= self.until",
        "return self.signed <= day",
        ("tests/unit/score/test_points.py", "-k", "last_day"),
    ),
    Mutant(
        "the scheduled runs of a draft are skipped",
        "plugins/tidemill_airflow/scheduling/drafts.py",
        "if Releases(workspace.connection(LEDGER)).champion(spec.model) is None:",
        "if False:",
        ("tests/integration/test_quiet_start.py", "-k", "scheduled_run_of_a_draft and train"),
    ),
    Mutant(
        "only the schedule's runs of a draft are skipped",
        "plugins/tidemill_airflow/scheduling/drafts.py",
        'or context["dag_run"].run_type not in BY_ITSELF',
        "",
        ("tests/integration/test_quiet_start.py", "-k", "by_hand_of_a_draft"),
    ),
    Mutant(
        "no alert about a draft's missing partitions",
        "src/tidemill/steps/monitor/freshness.py",
        "if (serves or not job.spec.draft) and _is_due(job.spec, job.partition):",
        "if _is_due(job.spec, job.partition):",
        ("tests/integration/test_quiet_start.py", "-k", "opens_no_alert"),
    ),
    Mutant(
        "a scheduled failure stays red after a person's attempt",
        "sql/queries/overview.sql",
        "SELECT bool_or(a.by_schedule) FROM failed a",
        "SELECT bool_and(a.by_schedule) FROM failed a",
        ("tests/integration/test_quiet_start.py", "-k", "does_not_hide"),
    ),
    Mutant(
        "a dismissal ends with the next failure",
        "sql/queries/overview.sql",
        "AND CAST(details ->> 'run_id' AS bigint) >= f.run_id",
        "",
        ("tests/integration/test_quiet_start.py", "-k", "later_one_is_shown"),
    ),
    Mutant(
        "the offset of a run's partition",
        "src/tidemill/spec/model.py",
        "self.timezone, cutoff), self.predict.offset, cutoff)",
        "self.timezone, cutoff), 0, cutoff)",
        ("tests/unit/test_offset.py", "-k", "walk or due"),
    ),
    Mutant(
        "the offset in the scheduler",
        "plugins/tidemill_airflow/scheduling/timetable.py",
        "self._every.move(self._every.containing(tick, self._zone), self._offset)",
        "self._every.containing(tick, self._zone)",
        ("tests/plugins/test_timetable.py", "-k", "walk"),
    ),
    Mutant(
        "one run of a backfill for each partition",
        "plugins/tidemill_airflow/scheduling/timetable.py",
        "and partition.key != seen",
        "",
        ("tests/plugins/test_timetable.py", "-k", "several_runs"),
    ),
    Mutant(
        "a new DAG waits for a tick to come",
        "plugins/tidemill_airflow/scheduling/timetable.py",
        "if last_dagrun_info is None and begun and not restriction.catchup:",
        "if False:",
        ("tests/plugins/test_timetable.py", "-k", "does_not_run_for_yesterday"),
    ),
    Mutant(
        "a cutoff by hand that lies too late",
        "src/tidemill/runtime/run.py",
        "if cutoff > latest:",
        "if False:",
        ("tests/unit/runtime/test_run.py", "-k", "after_the_end"),
    ),
    Mutant(
        "a table without a bound by the cutoff",
        "src/tidemill/warehouse/cutoff_bounds.py",
        'and not any(_mentions(text, node["Alias"]) for text in bounds)',
        "and not bounds",
        ("tests/integration/test_cutoff_hints.py", "-k", "no_condition_bounds"),
    ),
    Mutant(
        "a partition that is not over is reported as incomplete",
        "src/tidemill/operations/completeness.py",
        "if at <= now:",
        "if True:",
        ("tests/integration/test_quiet_start.py", "-k", "incomplete"),
    ),
    Mutant(
        "deadline of a run that waits for its data",
        "src/tidemill/steps/monitor/await_ready.py",
        "late = bool(reason) and deadline is not None and job.ledger.now() >= deadline",
        "late = False",
        ("tests/integration/test_ready.py", "-k", "deadline_the_alert_opens"),
    ),
    Mutant(
        "a partition that is not ready waits",
        "plugins/tidemill_airflow/operators/await_ready.py",
        'if record["outcome"] == "wait":',
        "if False:",
        ("tests/plugins/test_await_ready.py", "-k", "not_ready_waits"),
    ),
    Mutant(
        "a shell refuses to score a partition that is not ready",
        "src/tidemill/cli/chains.py",
        "        if not force:\n            _refuse_unready",
        "        if False:\n            _refuse_unready",
        ("tests/integration/test_ready.py", "-k", "only_by_force"),
    ),
    Mutant(
        "examinations of one step beside those of another",
        "sql/queries/alerts.sql",
        "DISTINCT ON (partition, parts[1])",
        "DISTINCT ON (partition)",
        ("tests/integration/test_ready.py", "-k", "leaves_what_monitoring_found"),
    ),
    Mutant(
        "feature of another kind than in training",
        "src/tidemill/steps/predict/compatibility.py",
        "    if changed:",
        "    if False:",
        ("tests/integration/test_bad_input_matrix.py", "-k", "predict and B11"),
    ),
    Mutant(
        "feature without any value in a partition",
        "src/tidemill/steps/predict/compatibility.py",
        "if n_values.get(name) == 0 and name not in schema.with_gaps",
        "if False",
        ("tests/integration/test_bad_input_matrix.py", "-k", "predict and B02"),
    ),
    Mutant(
        "feature without any value in the train set",
        "src/tidemill/steps/train/prepare.py",
        "if n_values.get(feature) == 0]",
        "if False]",
        ("tests/integration/test_bad_input_matrix.py", "-k", "in_train and B02"),
    ),
    Mutant(
        "champion trained on other types than the candidate",
        "src/tidemill/steps/train/against_champion.py",
        "    if changed:",
        "    if False:",
        ("tests/integration/test_bad_input_matrix.py", "-k", "champion_of_another_type"),
    ),
    Mutant(
        "whole numbers beyond 2**53 as a numeric feature",
        "src/tidemill/modeling/schema.py",
        'found = [f"{name!r} ({count} of {n_rows} rows)" for name, count in counts.items() if count]',
        "found: list[str] = []",
        ("tests/unit/modeling/test_feature_kinds.py", "-k", "beyond"),
    ),
    Mutant(
        "digits of numeric that a double loses",
        "src/tidemill/warehouse/reading.py",
        "if column.oid == _NUMERIC and (n_rounded :=",
        "if False and (n_rounded :=",
        ("tests/integration/test_bad_input_matrix.py", "-k", "predict and B08"),
    ),
    Mutant(
        "set_config in a query",
        "src/tidemill/warehouse/model_queries.py",
        'if match["setting"]:',
        "if False:",
        ("tests/unit/warehouse/test_model_queries.py", "-k", "set_config"),
    ),
    Mutant(
        "rows of an input that were observed after the cutoff are not there",
        "src/tidemill/sources/duckdb.py",
        '\'" if observed_at else ""',
        '\'" if False else ""',
        ("tests/unit/sources/test_duckdb.py", "-k", "observed_after or several_cutoffs"),
    ),
    Mutant(
        "DuckDB reads no file but the staged ones",
        "src/tidemill/sources/duckdb.py",
        'database.execute("SET enable_external_access = false")',
        'database.execute("SELECT 1")',
        ("tests/unit/sources/test_duckdb.py", "-k", "nothing_but_its_inputs"),
    ),
    Mutant(
        "a query on inputs is one SELECT",
        "src/tidemill/sources/duckdb.py",
        "if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:",
        "if not statements:",
        ("tests/unit/sources/test_duckdb.py", "-k", "cannot_run"),
    ),
    Mutant(
        "a partition without files stops a run",
        "src/tidemill/sources/files.py",
        "if not found and self.input.missing is Missing.FAIL:",
        "if False:",
        ("tests/unit/sources/test_files.py", "-k", "without_files_is_not_ready"),
    ),
    Mutant(
        "files of an input have the same columns",
        "src/tidemill/sources/files.py",
        "if schema != expected:",
        "if False:",
        ("tests/unit/sources/test_files.py", "-k", "differ_in_their_columns"),
    ),
    Mutant(
        "a CSV file that may be cut off is refused",
        "src/tidemill/sources/files.py",
        'stream.read(1) != b"\\n"',
        'stream.read(1) == b""',
        ("tests/unit/sources/test_files.py", "-k", "last_line_break"),
    ),
    Mutant(
        "a file of an input that changes while it is read is refused",
        "src/tidemill/sources/files.py",
        "        if changed:\n",
        "        if False:\n",
        ("tests/unit/sources/test_files.py", "-k", "changes_while"),
    ),
    Mutant(
        "partition keys of far-off years",
        "src/tidemill/intervals.py",
        "if local.year not in _YEARS:",
        "if False:",
        ("tests/unit/test_intervals.py", "-k", "far_off"),
    ),
    Mutant(
        "text that no database holds in a bundle's JSON",
        "src/tidemill/storage/bundles/load.py",
        "json.dumps(values, ensure_ascii=False).encode()",
        "pass",
        ("tests/unit/storage/test_tampering.py", "-k", "malformed"),
    ),
    Mutant(
        "booleans for numbers in MLflow's copy",
        "src/tidemill/storage/bundles/pyfunc_loader.py",
        "        self._refuse_booleans(model_input)\n",
        "",
        ("tests/unit/storage/test_mlflow_model.py", "-k", "booleans"),
    ),
    Mutant(
        "stale-attempt check in publish",
        "src/tidemill/warehouse/predictions/publisher.py",
        "stale = row is None or row[0] != prediction.token",
        "stale = False",
        ("tests/integration/test_publishing.py", "-k", "stale or older or newer"),
    ),
    Mutant(
        "publish asks the ledger whether a run is withheld",
        "src/tidemill/warehouse/predictions/pointer.py",
        'return decided is not None if stale else status in ("withheld", "discarded")',
        "return False",
        ("tests/integration/test_inspect.py", "-k", "withheld_run_again or before_a_reader"),
    ),
    Mutant(
        "a withheld run becomes visible by a recorded decision only",
        "sql/migrations/0019_withheld_runs.sql",
        "OR status IN ('withheld', 'stale', 'collected')),",
        "OR true),",
        ("tests/integration/test_inspect.py", "-k", "without_a_decision"),
    ),
    Mutant(
        "states of a run change as the protocol says",
        "sql/migrations/0019_withheld_runs.sql",
        "IF (OLD.status, NEW.status) NOT IN (",
        "IF false AND (OLD.status, NEW.status) NOT IN (",
        ("tests/integration/test_inspect.py", "-k", "protocol_does_not_have"),
    ),
    Mutant(
        "many values out of range are a break, although the mean is within",
        "src/tidemill/monitoring/breaks.py",
        "if _many_outside(now) else",
        "if False else",
        ("tests/unit/monitoring/test_breaks.py", "-k", "most_values_are_zero"),
    ),
    Mutant(
        "days that have nothing in common do not jump",
        "src/tidemill/monitoring/alerts/reading.py",
        'psi <= rare or max(rare, self.known("psi_threshold", 0.0)) >= UNLIKE',
        "psi <= rare",
        ("tests/unit/monitoring/alerts/test_rules.py", "-k", "anything_in_common"),
    ),
    Mutant(
        "days that the reference has had are no break",
        "src/tidemill/monitoring/alerts/rules.py",
        " and not r.had_such_days",
        "",
        ("tests/unit/monitoring/counting/test_past.py", "-k", "rain_after_dry_weeks"),
    ),
    Mutant(
        "one broken day of the past excuses nothing",
        "src/tidemill/monitoring/counting/past.py",
        "_psi_among_others(groups, blocks, n_groups))[-2])",
        "_psi_among_others(groups, blocks, n_groups))[-1])",
        ("tests/unit/monitoring/counting/test_past.py", "-k", "one_broken_day or rain_after_dry_weeks"),
    ),
    Mutant(
        "a partition whose labels were corrected is measured again",
        "src/tidemill/steps/monitor/corrections.py",
        "known[key] != (run.prediction_run_id, label_digest(labels, job.spec))",
        "known[key][0] != run.prediction_run_id",
        ("tests/integration/test_corrected_labels.py", "-k", "measured_again"),
    ),
    Mutant(
        "a partition that was scored again is measured again",
        "src/tidemill/steps/monitor/corrections.py",
        "known[key] != (run.prediction_run_id, label_digest(labels, job.spec))",
        "known[key][1] != label_digest(labels, job.spec)",
        ("tests/integration/test_corrected_labels.py", "-k", "measured_again"),
    ),
    Mutant(
        "the same rows in a file of other bytes are no change",
        "src/tidemill/steps/predict/look_back.py",
        "if any(item is not None and not item.any for item in changes):",
        "if any(run.snapshot_digest == snapshot.digest for run in runs):",
        ("tests/integration/test_late_rows.py", "-k", "only_read"),
    ),
    Mutant(
        "changed rows that wait for a person, or that a person has discarded, are not scored again",
        "sql/queries/predictions.sql",
        "r.status IN ('published', 'withheld', 'discarded')",
        "r.status = 'published'",
        ("tests/integration/test_late_rows.py", "-k", "asked_about_once"),
    ),
    Mutant(
        "only the newest partition looks back",
        "src/tidemill/steps/predict/look_back.py",
        "if any(key_order(run.partition) > key_order(job.partition.key) for run in runs):",
        "if False:",
        ("tests/integration/test_late_rows.py", "-k", "another_reason"),
    ),
    Mutant(
        "rows that differ because of the query or the cutoff are left alone",
        "src/tidemill/steps/predict/look_back.py",
        "    if snapshot.query_digest != newest.query_digest:\n        return None\n",
        "",
        ("tests/integration/test_late_rows.py", "-k", "another_reason"),
    ),
    Mutant(
        "a second attempt triggers no second run for a changed partition",
        "plugins/tidemill_airflow/operators/look_back.py",
        'if context["ti"].get_dr_count(self.trigger_dag_id, run_ids=[run_id]):',
        "if False:",
        ("tests/plugins/test_operators.py", "-k", "changed_partition_twice"),
    ),
    Mutant(
        "a finding that opens an alert at once withholds",
        "src/tidemill/monitoring/alerts/inspection.py",
        "    if grave:",
        "    if False:",
        ("tests/unit/monitoring/alerts/test_inspection.py",),
    ),
    Mutant(
        "a model without a past is not withheld",
        "src/tidemill/monitoring/alerts/inspection.py",
        "    if n_past < MIN_PAST:",
        "    if False:",
        ("tests/unit/monitoring/alerts/test_inspection.py",),
    ),
    Mutant(
        "four eyes on withheld rows",
        "src/tidemill/steps/predict/resolution.py",
        "if said.publish and spec.accept.four_eyes and said.by and said.by == run.requested_by:",
        "if False:",
        ("tests/integration/test_inspect.py", "-k", "four_eyes"),
    ),
    Mutant(
        "an answer about replaced rows leaves the alert about the newer ones open",
        "src/tidemill/steps/findings/withheld.py",
        "if any(run.token > prediction.token for run in withheld):",
        "if False:",
        ("tests/integration/test_inspect.py", "-k", "newer_ones"),
    ),
    Mutant(
        "who runs a command in a shell is on record",
        "src/tidemill/warehouse/ledger.py",
        'return self.requested_by or ("" if self.dag_id else getpass.getuser())',
        "return self.requested_by",
        ("tests/integration/test_inspect.py", "-k", "in_a_shell"),
    ),
    Mutant(
        "a look back holds a partition",
        "src/tidemill/spec/operation.py",
        "if predict.lookback and predict.lookback < _LONGEST[every]:",
        "if False:",
        ("tests/unit/test_spec_file.py", "-k", "look_back"),
    ),
    Mutant(
        "a newer attempt makes a withheld run stale",
        "src/tidemill/warehouse/predictions/withholding.py",
        "if cursor.fetchone() != (prediction.token,):",
        "if not cursor.fetchone():",
        ("tests/integration/test_inspect.py", "-k", "new_attempt"),
    ),
    Mutant(
        "values that a person has published are usual",
        "src/tidemill/steps/findings/recent_counts.py",
        "    if run.found_right:",
        "    if False:",
        ("tests/integration/test_inspect.py", "-k", "usual_on_the_next_day"),
    ),
    Mutant(
        "values that nobody has decided about stay unusual",
        "sql/queries/predictions.sql",
        "r.resolution_id IS NOT NULL AND NOT r.marked AS found_right",
        "r.resolution_id IS NOT NULL AS found_right",
        ("tests/integration/test_inspect.py", "-k", "usual_on_the_next_day"),
    ),
    Mutant(
        "a dry run withholds nothing",
        "src/tidemill/steps/predict/inspect.py",
        "if decision.verdict is Verdict.REJECT and not dry_run:",
        "if decision.verdict is Verdict.REJECT:",
        ("tests/integration/test_inspect.py", "-k", "dry_run"),
    ),
    Mutant(
        "stale-attempt check after writing",
        "src/tidemill/warehouse/predictions/publisher.py",
        "if token:  # a dry run has none",
        "if False:",
        ("tests/chaos/test_frozen.py", "-k", "older_of_two and write-in-copy"),
    ),
    Mutant(
        "gap before the test set",
        "src/tidemill/steps/data/split_plan.py",
        "_known(spec, _before(mature, test), test[0].cutoff)",
        "_before(mature, test)",
        ("tests/unit/steps/train/test_prepare.py", "-k", "known_when_the_next_set_begins"),
    ),
    Mutant(
        "keys of features and labels that do not meet",
        "src/tidemill/modeling/gate/gate.py",
        "if near > _MAX_NEAR:",
        "if False:",
        ("tests/unit/modeling/gate/test_gate.py", "-k", "verdict"),
    ),
    Mutant(
        "share of rows without a label far above the champion's",
        "src/tidemill/modeling/gate/gate.py",
        "share <= _MAX_RISE_FACTOR * usual or share - usual <= _MAX_RISE",
        "True",
        ("tests/unit/modeling/gate/test_gate.py", "-k", "verdict"),
    ),
    Mutant(
        "labels joined by time where they have one",
        "src/tidemill/steps/data/label_join.py",
        "return spec.time_column in label_columns",
        "return False",
        ("tests/unit/steps/data/test_labels.py", "-k", "belong_to_the_row_of_that_time or composite"),
    ),
    Mutant(
        "keys unique within a partition",
        "src/tidemill/steps/data/validate_data.py",
        "return (PARTITION, spec.entity_key) if is_panel else (spec.entity_key,)",
        "return (PARTITION, spec.entity_key, spec.time_column)",
        ("tests/integration/test_panel.py", "-k", "twice_on_one_day or need_the_time"),
    ),
    Mutant(
        "an entity's rows in one fold of the leak probe",
        "src/tidemill/modeling/leakage/alone.py",
        "np.arange(n_samples) if entities is None else",
        "np.arange(n_samples) if True else",
        ("tests/unit/modeling/test_leakage.py", "-k", "identifies_an_entity"),
    ),
    Mutant(
        "what an entity's rows share in an interval",
        "src/tidemill/metrics/blocks.py",
        "blocks.shared_variance(statistic.influence())",
        "0.0",
        ("tests/unit/metrics/test_coverage.py", "tests/unit/metrics/test_blocks.py", "-k", "reappear or share"),
    ),
    Mutant(
        "the skewness of days in an interval",
        "src/tidemill/metrics/blocks.py",
        "if abs(lean) < _STRAIGHT:",
        "if True:",
        ("tests/unit/metrics/test_blocks.py", "-k", "undoes_the_skewness"),
    ),
    Mutant(
        "labels without a row counted",
        "src/tidemill/steps/data/labels.py",
        "known.num_rows - n_matched",
        "0",
        ("tests/unit/steps/train/test_prepare.py", "-k", "zero_padded"),
    ),
    Mutant(
        "keys that labels write in another way counted",
        "src/tidemill/steps/train/prepare.py",
        "if n_unmatched and target.null_count:",
        "if False:",
        ("tests/unit/steps/train/test_prepare.py", "-k", "in_another_way"),
    ),
    Mutant(
        "features and labels that hardly meet",
        "src/tidemill/modeling/gate/gate.py",
        "if usual is None and min(share, unmatched) > _MAX_APART:",
        "if False:",
        ("tests/unit/modeling/gate/test_gate.py", "-k", "verdict"),
    ),
    Mutant(
        "checks of a fit on all rows",
        "src/tidemill/modeling/gate/gate.py",
        "        *_weigh_refit(report.refit, accept),\n",
        "",
        ("tests/unit/modeling/gate/test_gate.py", "-k", "verdict"),
    ),
    Mutant(
        "rows that a refitted champion has seen",
        "src/tidemill/steps/train/register.py",
        "split.test_start if evaluation.refit is None else snapshot.cutoff",
        "split.test_start",
        ("tests/integration/test_reproduce.py", "-k", "fitted_again"),
    ),
    Mutant(
        "a model that something holds is not removed",
        "src/tidemill/operations/remove_model.py",
        "if held := Holds(workspace.connection(LEDGER)).held(model):",
        "if held := ():",
        ("tests/integration/test_remove_model.py", "-k", "in_use"),
    ),
    Mutant(
        "equal models are equal",
        "src/tidemill/metrics/differences.py",
        "if all(pair.is_identical(metric, task) for pair in pairs)",
        "if False",
        ("tests/unit/metrics/test_differences.py", "-k", "on_every_row_are_equal"),
    ),
    Mutant(
        "degrees of freedom of days that resemble the day before",
        "src/tidemill/metrics/student.py",
        "return min(max(slow, 3), n_blocks - 1)",
        "return n_blocks - 1",
        ("tests/unit/metrics/test_blocks.py", "-k", "slowest_cosines"),
    ),
    Mutant(
        "exact comparison of whole numbers as served",
        "src/tidemill/modeling/leakage/late.py",
        "if pd.api.types.is_integer_dtype(before) and",
        "if False and",
        ("tests/unit/modeling/test_leakage_rows.py", "-k", "tell_apart"),
    ),
    Mutant(
        "hours of a day as one block",
        "src/tidemill/intervals.py",
        "return key[:10] if _HOUR_KEY.fullmatch(key) else key",
        "return key",
        ("tests/unit/test_checking.py", "-k", "never_pass"),
    ),
    Mutant(
        "tolerance of a fall beyond chance",
        "src/tidemill/monitoring/retrain_policy.py",
        "if fall - margin <= tolerated:",
        "if fall - margin <= 0:",
        ("tests/unit/monitoring/test_retrain_policy.py", "-k", "quiet"),
    ),
    Mutant(
        "refusal of pipes and devices among the specs",
        "src/tidemill/spec_file.py",
        "if not stat.S_ISREG(mode):",
        "if False:",
        ("tests/unit/test_spec_file.py", "-k", "not_a_file"),
    ),
    Mutant(
        "refusal of links out of the folder of specs",
        "src/tidemill/spec_file.py",
        "if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):",
        "if False:",
        ("tests/unit/test_spec_file.py", "-k", "link_out"),
    ),
    Mutant(
        "a spec that may not be read",
        "src/tidemill/spec_file.py",
        "except (OSError, ValueError) as error:",
        "except IsADirectoryError as error:",
        ("tests/unit/test_spec_file.py", "-k", "may_not_be_read"),
    ),
    Mutant(
        "limit of a spec's bytes",
        "src/tidemill/spec_file.py",
        "if len(content) > MAX_BYTES:",
        "if False:",
        ("tests/unit/test_spec_file.py", "-k", "too_large_a_file"),
    ),
    Mutant(
        "a rule of the spec that fails in a way of its own",
        "src/tidemill/spec_file.py",
        "except Exception as error:",
        "except KeyError as error:",
        ("tests/unit/test_spec_file.py", "-k", "rule_that_fails"),
    ),
    Mutant(
        "limit of a spec's whole numbers",
        "src/tidemill/spec/document.py",
        "len(text) <= 20 and int(text) in WHOLE",
        "True",
        ("tests/unit/test_spec_file.py", "-k", "64_bits"),
    ),
    Mutant(
        "limit of a spec's values",
        "src/tidemill/spec/document.py",
        "if self.n_values > MAX_VALUES:",
        "if False:",
        ("tests/unit/test_spec_file.py", "-k", "too_many_values"),
    ),
    Mutant(
        "control characters of a spec",
        "src/tidemill/spec/document.py",
        "if text.isprintable() or not (found := _UNSTORABLE.search(text)):",
        "if True:",
        ("tests/unit/test_spec_file.py", "-k", "control_character"),
    ),
    Mutant(
        "a task that reads only its own model's spec",
        "plugins/tidemill_airflow/model_dags.py",
        "if verb not in PURPOSE or own not in spec_paths(folder):",
        "if True:",
        ("tests/dags/test_parsing_context.py", "-k", "no_other_spec"),
    ),
    Mutant(
        "a test of a model that fails",
        "src/tidemill/testing/run.py",
        'if (report.when == "call" or not report.passed) and',
        'if report.when == "call" and',
        ("tests/integration/test_model_tests.py", "-k", "cannot_be_trained"),
    ),
    Mutant(
        "rows after the cutoff that a feature counts",
        "src/tidemill/testing/hidden.py",
        "(spec.entity_key,), names, limit=0)",
        "(spec.entity_key,), names, limit=1)",
        ("tests/integration/test_model_tests.py", "-k", "counts_rows_after"),
    ),
    Mutant(
        "missing packages in words",
        "src/tidemill/cli/__init__.py",
        "except ModuleNotFoundError as error:",
        "except ZeroDivisionError as error:",
        ("tests/unit/test_requirements.py", "-k", "traceback"),
    ),
    Mutant(
        "ports of the compose profile that are taken",
        "docker/ports.py",
        "if is_free(int(port)) or is_ours(int(port), *service):",
        "if True:",
        ("tests/test_compose.py", "-k", "taken_port"),
    ),
    Mutant(
        "digits of whole numbers beside a NULL",
        "src/tidemill/arrow.py",
        "    if not with_null:\n",
        "    if True:\n",
        ("tests/unit/test_arrow.py", "-k", "keeps_its_digits"),
    ),
    Mutant(
        "refusal of whole numbers that a float has rounded",
        "src/tidemill/modeling/alignment.py",
        "abs(level) > EXACT",
        "False",
        ("tests/unit/modeling/test_schema.py", "-k", "may_have_rounded"),
    ),
    Mutant(
        "no variance is no certainty",
        "src/tidemill/metrics/blocks.py",
        "_LEAST_STEPS * (statistic.step or 0.0)",
        "1e-12 * (statistic.step or 0.0)",
        ("tests/unit/metrics/test_differences.py", "-k", "no_certainty or same_answers"),
    ),
    Mutant(
        "blocks without a counted row do not count",
        "src/tidemill/metrics/blocks.py",
        "n_active = len(np.unique(blocks.index[statistic.counted > 0]))",
        "n_active = blocks.n",
        ("tests/unit/metrics/test_blocks.py", "-k", "without_a_counted_row"),
    ),
    Mutant(
        "refusal of odd weights",
        "src/tidemill/steps/data/weights.py",
        "pc.and_(pc.is_finite(weights), pc.greater_equal(weights, 0))",
        "pc.is_valid(weights)",
        ("tests/unit/steps/train/test_prepare.py", "-k", "not_a_number_from_0"),
    ),
    Mutant(
        "refusal of a metric that is not repeatable",
        "src/tidemill/metrics/own.py",
        "if call(everything, rows.often).tobytes() != first.tobytes():",
        "if False:",
        ("tests/unit/metrics/test_own.py", "-k", "not_a_metric_is_refused"),
    ),
    Mutant(
        "refusal of a set without weight",
        "src/tidemill/steps/train/prepare.py",
        "for name in SETS if self.weight is not None else ():",
        "for name in ():",
        ("tests/unit/steps/train/test_prepare.py", "-k", "without_any_weight"),
    ),
    Mutant(
        "behaviour check of rows as they are stored",
        "src/tidemill/modeling/gate/behaviour.py",
        "_differing(whole, score(table, nulls)[:-1], ",
        "_differing(whole, whole, ",
        ("tests/unit/modeling/gate/test_behaviour.py", "-k", "null_in_the_batch or beside_a_null"),
    ),
    Mutant(
        "one type of key in features and labels",
        "src/tidemill/steps/data/extract.py",
        "if one.equality != other.equality:",
        "if False:",
        ("tests/integration/test_bad_input.py", "-k", "another_type_than_that"),
    ),
    Mutant(
        "refusal of infinite times by column",
        "src/tidemill/warehouse/reading.py",
        "            refuse_endless_times(batch, columns, query)\n",
        "",
        ("tests/integration/test_reading.py", "-k", "calendar"),
    ),
    Mutant(
        "order of the repeated hour of a clock change",
        "src/tidemill/intervals.py",
        "if _HOUR_KEY.fullmatch(key) else key\n\n\n@dataclass",
        "if False else key\n\n\n@dataclass",
        ("tests/unit/test_intervals.py", "-k", "sort_in_time"),
    ),
    Mutant(
        "wall clocks taken for UTC by DuckDB",
        "src/tidemill/sources/duckdb.py",
        'strict.execute("SET disable_timestamptz_casts = true")',
        "pass",
        ("tests/unit/sources/test_duckdb.py", "-k", "clock"),
    ),
    Mutant(
        "watch after a promotion by hand",
        "src/tidemill/operations/rollback.py",
        "    if promoted:\n",
        "    if False:\n",
        ("tests/integration/test_shadow.py", "-k", "by_hand"),
    ),
    Mutant(
        "wall clocks taken for UTC",
        "src/tidemill/warehouse/zone_casts.py",
        "    return list(found.items())",
        "    return []",
        ("tests/integration/test_bad_input.py", "-k", "taken_for_utc"),
    ),
    Mutant(
        "refusal in check of what a contract cannot judge",
        "src/tidemill/checks/judging.py",
        "        return error.problem\n",
        "        return None\n",
        ("tests/unit/test_checks.py", "-k", "refused_before"),
    ),
    Mutant(
        "exact ends of a range of whole numbers",
        "src/tidemill/checks/values.py",
        "    if pa.types.is_integer(kind) and value not in (math.inf, -math.inf):",
        "    if False:",
        ("tests/unit/test_checks.py", "-k", "judged_exactly"),
    ),
    Mutant(
        "unseen categories told from missing ones",
        "src/tidemill/modeling/preprocessing.py",
        "        codes[unseen] = ",
        "        codes[unseen & False] = ",
        ("tests/unit/modeling/test_preprocessing.py", "-k", "never_missing"),
    ),
    Mutant(
        "a token of its own for each attempt to write",
        "src/tidemill/steps/predict/predict.py",
        "job.publisher.renew(job.spec.model, release.partition, release.token, job.run_id) if release.token else 0",
        "release.token",
        ("tests/chaos/test_frozen.py", "-k", "older_of_two and write-in-copy"),
    ),
    Mutant(
        "a chain that was overtaken takes no token",
        "sql/migrations/0028_claims_and_snapshots.sql",
        "WHERE (c.model, c.partition, c.origin) = (renew_claim.model, renew_claim.partition, renew_claim.origin)",
        "WHERE (c.model, c.partition) = (renew_claim.model, renew_claim.partition)",
        ("tests/chaos/test_frozen.py", "-k", "overtaken"),
    ),
    Mutant(
        "SIGTERM is heard",
        "src/tidemill/runtime/interrupts.py",
        "            signal.signal(number, self._on_signal)",
        "            pass",
        ("tests/chaos/test_signals.py", "-k", "prediction and store-filled"),
    ),
    Mutant(
        "a signal during COPY stays a signal",
        "src/tidemill/runtime/interrupts.py",
        "if self._status and isinstance(error, Exception):",
        "if False:",
        ("tests/chaos/test_signals.py", "-k", "prediction and write-in-copy"),
    ),
    Mutant(
        "cleaning up is not interrupted",
        "src/tidemill/runtime/interrupts.py",
        "elif not self._status:",
        "else:",
        ("tests/chaos/test_signals.py", "-k", "second_signal"),
    ),
    Mutant(
        "the limit of a step",
        "src/tidemill/runtime/interrupts.py",
        "os.kill(self._owner, signal.SIGTERM)",
        "pass",
        ("tests/chaos/test_limits.py", "-k", "hears"),
    ),
    Mutant(
        "the kill after the limit",
        "src/tidemill/runtime/interrupts.py",
        "            _kill_all()\n",
        "            pass\n",
        ("tests/chaos/test_limits.py", "-k", "deaf"),
    ),
    Mutant(
        "children are ended with the step",
        "src/tidemill/runtime/interrupts.py",
        "            _end(_new_since(self._children))",
        "            pass",
        ("tests/chaos/test_limits.py", "-k", "hears"),
    ),
    Mutant(
        "lack of memory is reported with a message",
        "src/tidemill/runtime/interrupts.py",
        "if error is not None and _lacks_memory(error):",
        "if False:",
        ("tests/chaos/test_limits.py", "-k", "runs_out_of_memory"),
    ),
    Mutant(
        "lost steps are closed by the next one",
        "src/tidemill/runtime/run.py",
        "        close_lost_runs(url, model=model)\n",
        "",
        ("tests/chaos/test_limits.py", "-k", "killed_for_its_memory and retry"),
    ),
    Mutant(
        "the pulse",
        "src/tidemill/warehouse/pulse.py",
        "            self._thread.start()",
        "            pass",
        ("tests/chaos/test_frozen.py", "-k", "pulse"),
    ),
    Mutant(
        "only the sessions of lost processes are ended",
        "sql/queries/runs.sql",
        " AND split_part(application_name, ' ', 2) = ANY(%(processes)s)",
        " AND %(processes)s::text[] IS NOT NULL",
        ("tests/integration/test_lost_runs.py", "-k", "only_the_sessions"),
    ),
    Mutant(
        "sessions of frozen processes are ended",
        "sql/queries/runs.sql",
        "pg_terminate_backend(pid) AS ended",
        "true AS ended",
        ("tests/chaos/test_frozen.py", "-k", "session_of_a_process and doctor"),
    ),
    Mutant(
        "freshness by the warehouse's clock",
        "src/tidemill/doctor/examine.py",
        "as_of or _now(url)",
        "as_of or datetime.now(UTC)",
        ("tests/chaos/test_clock.py", "-k", "doctor"),
    ),
    Mutant(
        "what is being written stays, whatever its age",
        "src/tidemill/retention/folders.py",
        "if not folder.going and _in_use(url, removal.model, started):",
        "if False:",
        ("tests/chaos/test_clock.py", "-k", "being_written"),
    ),
    Mutant(
        "ledger asked first when publishing again",
        "src/tidemill/warehouse/predictions/publisher.py",
        "if visible_run(cursor, prediction.model, prediction.partition) == prediction.prediction_run_id:",
        "if False:",
        ("tests/chaos/test_connections.py", "-k", "lost_answer"),
    ),
    Mutant(
        "completeness: rows written against rows extracted",
        "src/tidemill/warehouse/predictions/publisher.py",
        "if n_rows + n_set_aside != n_extracted:",
        "if False:",
        ("tests/integration/test_publishing.py", "-k", "other_number_of_rows"),
    ),
    Mutant(
        "count and checksum compared when the pointer moves",
        "sql/migrations/0019_withheld_runs.sql",
        " AND r.checksum = move_pointer.checksum",
        "",
        ("tests/integration/test_publishing.py", "-k", "does_not_match_what_was_written"),
    ),
    Mutant(
        "digest of an artifact",
        "src/tidemill/storage/store.py",
        'if found != digest:\n            raise ArtifactCorrupt(\n                f"Artifact {uri} has changed: expected',
        'if False:\n            raise ArtifactCorrupt(\n                f"Artifact {uri} has changed: expected',
        ("tests/unit/storage/test_store.py",),
    ),
    Mutant(
        "digests of a bundle's files",
        "src/tidemill/storage/bundles/load.py",
        "if found != expected:",
        "if False:",
        ("tests/unit/storage/test_bundles.py",),
    ),
    Mutant(
        "NaN and range: the table's CHECK",
        "sql/migrations/0004_tasks.sql",
        "WHEN 'binary' THEN 'score >= 0 AND score <= 1'",
        "WHEN 'binary' THEN 'true'",
        ("tests/integration/test_publishing.py", "-k", "not_a_probability"),
    ),
    Mutant(
        "NaN: predict's own guard",
        "src/tidemill/steps/predict/undefined.py",
        'if batch["score"].null_count:',
        "if False:",
        ("tests/chaos/test_guards.py",),
    ),
    Mutant(
        "rows in are rows out: the seal's own count",
        "sql/migrations/0021_quarantine.sql",
        "IF run.n_rows + run.n_set_aside = run.n_extracted THEN",
        "IF true THEN",
        ("tests/integration/test_quarantine.py", "-k", "neither_published_nor_set_aside"),
    ),
    Mutant(
        "rows in are rows out: the ledger's CHECK",
        "sql/migrations/0021_quarantine.sql",
        "coalesce(n_rows + n_set_aside = n_extracted, false)",
        "true",
        ("tests/integration/test_quarantine.py", "-k", "do_not_add_up"),
    ),
    Mutant(
        "a sealed run takes no more rows in quarantine",
        "sql/migrations/0021_quarantine.sql",
        "AND r.status = 'writing' FOR UPDATE;\n    IF NOT FOUND THEN\n        RAISE",
        "FOR UPDATE;\n    IF NOT FOUND THEN\n        RAISE",
        ("tests/integration/test_quarantine.py", "-k", "sealed_run"),
    ),
    Mutant(
        "the limit of rows that break the contract",
        "src/tidemill/steps/data/quarantine.py",
        "if self.n_set_aside > limit:",
        "if False:",
        ("tests/integration/test_quarantine.py", "-k", "more_rows_than_allowed"),
    ),
    Mutant(
        "the limit of rows without a score",
        "src/tidemill/steps/predict/undefined.py",
        "self.snapshot.n_set_aside + len(self.keys) > self.limit",
        "len(self.keys) > self.limit",
        ("tests/integration/test_quarantine.py", "-k", "both_kinds"),
    ),
    Mutant(
        "many rows set aside withhold a run",
        "src/tidemill/steps/predict/inspect.py",
        "metrics = (*metrics, *measure_set_aside(prediction, past))",
        "pass",
        ("tests/integration/test_quarantine.py", "-k", "withhold_the_run"),
    ),
    Mutant(
        "monitoring leaves out what scoring left out",
        "src/tidemill/steps/data/extract.py",
        "return without_broken(job.spec, rows) if file == job.spec.source.features else rows",
        "return rows",
        ("tests/integration/test_quarantine.py", "-k", "monitoring_does_not_miss"),
    ),
    Mutant(
        "the newest judgement of a release counts",
        "sql/migrations/0015_judgements.sql",
        "              ORDER BY j.decision_id DESC LIMIT 1) newest ON true;",
        "              ORDER BY j.decision_id LIMIT 1) newest ON true;",
        ("tests/integration/test_approval.py", "-k", "second_look"),
    ),
    Mutant(
        "an approval of an older judgement",
        "src/tidemill/warehouse/releases/promotion.py",
        "if newest != wanted.decision_id:",
        "if False:",
        ("tests/integration/test_approval.py", "-k", "older_judgement"),
    ),
    Mutant(
        "a form that shows older figures",
        "src/tidemill/steps/train/approve.py",
        "first_question(model, origin, digest) != digest:",
        "first_question(model, origin, digest) == '':",
        ("tests/integration/test_approval.py", "-k", "cleared_task"),
    ),
    Mutant(
        "compare-and-set of the champion",
        "src/tidemill/warehouse/releases/registry.py",
        "if current != wanted.expected:",
        "if False:",
        ("tests/chaos/test_races.py", "-k", "promotions"),
    ),
    Mutant(
        "lock of the champion, and the compare-and-set in the ledger",  # each makes up for the other
        "sql/migrations/0017_rights.sql",
        "    LOCK TABLE tidemill.champion IN SHARE ROW EXCLUSIVE MODE;\n",
        "",
        ("tests/chaos/test_races.py", "-k", "promotions"),
        also=("IF tidemill.lock_champion(model) IS DISTINCT FROM previous THEN", "IF false THEN"),
        also_in="sql/migrations/0027_shadow.sql",
    ),
    Mutant(
        "types of the caller come last in functions with the owner's rights",
        "sql/migrations/0017_rights.sql",
        "        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', routine);",
        "        NULL;",
        ("tests/integration/test_forgeries.py", "-k", "temporary_type"),
    ),
    Mutant(
        "events that prove what readers see",
        "sql/migrations/0017_rights.sql",
        "    IF event IN (",
        "    IF false AND event IN (",
        ("tests/integration/test_forgeries.py", "-k", "may_not_forge"),
    ),
    Mutant(
        "the writer's rights on pointers",
        "sql/migrations/0017_rights.sql",
        "REVOKE INSERT, UPDATE ON tidemill.published FROM tidemill_writer;",
        "",
        ("tests/integration/test_forgeries.py", "-k", "may_not_forge"),
    ),
    Mutant(
        "a promotion as accepted needs the gate",
        "sql/migrations/0027_shadow.sql",
        "    IF kind = 'promote' AND ",
        "    IF false AND ",
        ("tests/integration/test_forgeries.py", "-k", "has_not_accepted"),
    ),
    Mutant(
        "minimum age of records",
        "sql/migrations/0018_minimum_ages.sql",
        "    SELECT interval '30 days'",
        "    SELECT interval '-100 years'",
        ("tests/integration/test_forgeries.py", "-k", "erase_what_is_young"),
    ),
    Mutant(
        "minimum age of a run's rows",
        "sql/migrations/0019_withheld_runs.sql",
        "        OR run.status_since > clock_timestamp() - interval '1 day'  -- the least that a spec may ask for\n",
        "",
        ("tests/integration/test_forgeries.py", "-k", "rollback_would_need"),
    ),
    Mutant(
        "only a function gives a claim its token",
        "sql/migrations/0028_claims_and_snapshots.sql",
        "REVOKE INSERT, UPDATE ON tidemill.claim FROM tidemill_writer;",
        "",
        ("tests/integration/test_forgeries.py", "-k", "may_not_forge and claim"),
    ),
    Mutant(
        "a snapshot's row never changes",
        "sql/migrations/0028_claims_and_snapshots.sql",
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tidemill.snapshot",
        "CREATE TRIGGER append_only BEFORE TRUNCATE ON tidemill.snapshot",
        ("tests/integration/test_forgeries.py", "-k", "snapshots_row"),
    ),
    Mutant(
        "a snapshot's row compared with its step",
        "sql/queries/doctor.sql",
        "WHERE s.model = %(model)s AND r.step = 'extract' AND r.result IS NOT NULL",
        "WHERE s.model = %(model)s AND r.step = 'extract' AND r.result IS NULL",
        ("tests/integration/test_forgeries.py", "-k", "snapshots_row"),
    ),
    Mutant(
        "a claim's token compared with its runs and its sequence",
        "sql/queries/doctor.sql",
        "AND (c.token < newest.token OR c.token > given.last_value)",
        "AND c.token < newest.token",
        ("tests/integration/test_forgeries.py", "-k", "claims_token"),
    ),
    Mutant(
        "an answer needs a question",
        "sql/queries/doctor.sql",
        "WHERE a.details ? 'by' AND (d.kind <> 'publish' OR d.run_id IS NOT NULL)",
        "WHERE a.details ? 'by' AND d.run_id IS NOT NULL",
        ("tests/integration/test_forgeries.py", "-k", "invented_name"),
    ),
    Mutant(
        "the view's key compared with the spec",
        "src/tidemill/doctor/audit.py",
        "        if found != said\n    ]\n    if not problems:",
        "        if False\n    ]\n    if not problems:",
        ("tests/integration/test_forgeries.py", "-k", "declared_anew"),
    ),
    Mutant(
        "a DAG that cannot be built takes away no other",
        "plugins/tidemill_airflow/model_dags.py",
        "        except Exception as error:\n            dag.auto_register = False",
        "        except ZeroDivisionError as error:\n            dag.auto_register = False",
        ("tests/plugins/test_model_dags.py", "-k", "task_that_cannot"),
    ),
    Mutant(
        "a schedule that cannot be made takes away no other model",
        "plugins/tidemill_airflow/model_dags.py",
        "    except Exception as error:\n        dag, wrong = DAG(",
        "    except ZeroDivisionError as error:\n        dag, wrong = DAG(",
        ("tests/plugins/test_model_dags.py", "-k", "schedule_that_cannot"),
    ),
    Mutant(
        "a DAG that cannot be built is named",
        "plugins/tidemill_airflow/model_dags.py",
        "        _REHEARSED[spec.model][1].append(said)",
        "        pass",
        ("tests/plugins/test_model_dags.py", "-k", "task_that_cannot"),
    ),
    Mutant(
        "what readers see compared with the audit",
        "src/tidemill/doctor/audit.py",
        "            if audited.get(name) != found.get(name):",
        "            if False:",
        ("tests/integration/test_forgeries.py", "-k", "threshold_that_was_changed"),
    ),
    Mutant(
        "rows that readers see compared with those published",
        "src/tidemill/doctor/artifacts.py",
        "    elif visible != (n_rows, n_positive):",
        "    elif False:",
        ("tests/integration/test_forgeries.py", "-k", "shows_something_else"),
    ),
    Mutant(
        "the chain compared with its anchor",
        "src/tidemill/storage/audit_anchor.py",
        "    return cursor.fetchone() == (anchor.hash,)",
        "    return True",
        ("tests/integration/test_forgeries.py", "-k", "cut_at_its_end"),
    ),
    Mutant(
        "an anchor that the chain lacks stays",
        "src/tidemill/storage/audit_anchor.py",
        "            if kept is not None and not is_in_chain(cursor, kept):",
        "            if False:",
        ("tests/integration/test_forgeries.py", "-k", "not_overwritten"),
    ),
    Mutant(
        "one migration at a time",
        "src/tidemill/warehouse/migrations.py",
        '            cursor.execute("LOCK TABLE public.tidemill_migration IN SHARE ROW EXCLUSIVE MODE")\n',
        "",
        ("tests/integration/test_forgeries.py", "-k", "at_once"),
    ),
    Mutant(
        "only an equal attempt stands in for a stale one",
        "src/tidemill/operations/prediction.py",
        '        and (visible.release_id, newest.snapshot_digest) == (release["release_id"], snapshot["digest"])\n',
        "",
        ("tests/integration/test_equal_attempts.py", "-k", "other_rows and extract"),
    ),
    Mutant(
        "an archive names folders of its own model only",
        "src/tidemill/operations/import_checks.py",
        '            or place["owner"] != passport.model\n',
        "",
        ("tests/integration/test_transfer.py", "-k", "folder_of_another"),
    ),
    Mutant(
        "an archive whose page cannot be made",
        "src/tidemill/operations/transfer.py",
        "    refuse_unreadable_texts(passport, unpacked)\n",
        "",
        ("tests/integration/test_transfer.py", "-k", "page_that_cannot"),
    ),
    Mutant(
        "frozen transactions are ended",
        "src/tidemill/warehouse/connections.py",
        "idle_in_transaction_session_timeout={IDLE_TIMEOUT_S}s",
        "idle_in_transaction_session_timeout=0",
        ("tests/chaos/test_frozen.py", "-k", "write-before-commit"),
    ),
    Mutant(
        "a model card is written beside the bundle's folder",
        "src/tidemill/storage/bundles/save.py",
        "written = beside / path.name",
        'written = path.with_name(".card")',
        ("tests/chaos/test_crashes.py", "-k", "card-written"),
    ),
    Mutant(
        "one declaration of a model at a time",
        "sql/migrations/0017_rights.sql",
        "RETURN;  -- somebody else has just declared it; doing it again would disturb those who write already",
        "NULL;",
        ("tests/chaos/test_races.py", "-k", "comes_second"),
    ),
    Mutant(
        "a dry run and a refused training are no asset event",
        "plugins/tidemill_airflow/asset_events.py",
        "or outlet.group not in groups or changes.get(outlet.group)",
        "or True",
        ("tests/integration/test_asset_events.py", "-k", "dry_run"),
    ),
    Mutant(
        "nobody waits for a training whose DAG is paused",
        "plugins/tidemill_airflow/operators/trigger_training.py",
        """            if context["ti"].get_dag(self.trigger_dag_id).is_paused:
                raise RetrainingFailed(
                    f"{self.trigger_dag_id} was paused""",
        """            if False:
                raise RetrainingFailed(
                    f"{self.trigger_dag_id} was paused""",
        ("tests/integration/test_retrain_dag.py", "-k", "in_the_middle"),
    ),
    Mutant(
        "login before MLflow",
        "src/tidemill/tracking/server_app.py",
        'elif not self._knows(dict(scope["headers"])):',
        "elif False:",
        ("tests/unit/tracking/test_server_app.py",),
    ),
    Mutant(
        "password of MLflow compared as a whole",
        "src/tidemill/tracking/server_app.py",
        "secrets.compare_digest(given.strip(), self._expected)",
        "self._expected.startswith(given.strip())",
        ("tests/unit/tracking/test_server_app.py", "-k", "another_login"),
    ),
    Mutant(
        "parts of MLflow that run programs",
        "src/tidemill/tracking/server_app.py",
        'elif _CLOSED.match(scope["path"]):',
        "elif False:",
        ("tests/unit/tracking/test_server_app.py", "-k", "closed"),
    ),
    Mutant(
        "place of an experiment's artifacts",
        "src/tidemill/tracking/server_app.py",
        "    pages.before_request(_refuse_other_location)\n",
        "",
        ("tests/integration/test_mlflow_login.py", "-k", "elsewhere"),
    ),
    Mutant(
        "source of a version in MLflow",
        "src/tidemill/tracking/server_app.py",
        '    os.environ["MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"] = _OWN_SOURCE\n',
        "",
        ("tests/integration/test_mlflow_login.py", "-k", "version_whose_files"),
    ),
    Mutant(
        "artifacts opened outside MLflow's folder",
        "src/tidemill/tracking/server_app.py",
        "if asked != kind or not Path(path).is_relative_to(root):",
        "if False:",
        ("tests/integration/test_mlflow_login.py", "-k", "database_names"),
    ),
    Mutant(
        "links below MLflow's folder",
        "src/tidemill/tracking/server_app.py",
        "part.is_symlink() for part in",
        "False for part in",
        ("tests/integration/test_mlflow_login.py", "-k", "link"),
    ),
    Mutant(
        "the stack's login for its own MLflow only",
        "src/tidemill/workspace.py",
        "if own_server or not",
        "if True or not",
        ("tests/unit/test_workspace.py", "-k", "for_no_other"),
    ),
    Mutant(
        "one question to an MLflow that never answers",
        "src/tidemill/doctor/machine.py",
        "if not answers(uri):",
        "if False:",
        ("tests/integration/test_doctor.py", "-k", "never_answers"),
    ),
    Mutant(
        "no further question to an MLflow that stops answering",
        "src/tidemill/doctor/examine.py",
        "time.monotonic() - began > _LAST_WORD_S",
        "False",
        ("tests/integration/test_doctor.py", "-k", "stops_answering"),
    ),
    Mutant(
        "temporary folders of killed processes",
        "src/tidemill/retention/folders.py",
        "removed = [folder for parent in parents for folder in remove_dead(parent, before)]",
        "removed = []",
        ("tests/integration/test_retention.py", "-k", "killed_process"),
    ),
    Mutant(
        "data of root's temporary servers that still run",
        "src/tidemill/postgres/throwaway.py",
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        ("tests/unit/postgres/test_throwaway.py",),
    ),
    Mutant(
        "folders of other accounts in the temporary folder",
        "src/tidemill/storage/scratch.py",
        "folder.stat().st_uid == os.geteuid()",
        "True",
        ("tests/unit/storage/test_scratch.py", "-k", "others"),
    ),
    Mutant(
        "temporary folders that are still worked with",
        "src/tidemill/storage/scratch.py",
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        ("tests/unit/storage/test_scratch.py", "-k", "worked_with"),
    ),
    Mutant(
        "without a time, realised quality counts only keys that nothing was fitted on",
        "src/tidemill/steps/monitor/realised_quality.py",
        "return rows if spec.has_time else rows.filter(",
        "return rows if True else rows.filter(",
        ("tests/integration/test_onboarding.py", "-k", "table_without_time"),
    ),
    Mutant(
        "a slice in which no row counts has no figure",
        "src/tidemill/steps/monitor/realised_quality.py",
        "if pc.any(counted.filter(members)).as_py()",
        "if True",
        ("tests/unit/steps/monitor/test_realised_quality.py", "-k", "weigh_nothing"),
    ),
    Mutant(
        "a query of rows without a time asks for no interval",
        "src/tidemill/sources/stamped.py",
        "        if bounds:",
        "        if False:",
        ("tests/unit/sources/test_stamped.py", "-k", "interval"),
    ),
    Mutant(
        "folds of the keys are no course of time",
        "src/tidemill/metrics/blocks.py",
        "key.startswith(FOLD)",
        "False",
        ("tests/unit/metrics/test_blocks.py", "-k", "folds"),
    ),
    Mutant(
        "a draft keeps the files that are there",
        "src/tidemill/onboarding/writing.py",
        "if existing and not force:",
        "if False:",
        ("tests/integration/test_onboarding.py", "-k", "files_are_kept"),
    ),
    Mutant(
        "a load replaces a table only when asked",
        "src/tidemill/onboarding/loading.py",
        "    if replace:",
        "    if True:",
        ("tests/integration/test_loading.py", "-k", "replaced_only_when_asked"),
    ),
    Mutant(
        "what got worse is no longer known",
        "src/tidemill/warehouse/alerts/state.py",
        "if change.event is AlertEvent.WORSENED:",
        "if False:",
        ("tests/integration/test_delivery.py", "-k", "until_it_gets_worse"),
    ),
    Mutant(
        "a run leads only those to its partition who may read it",
        "plugins/tidemill_airflow/console/app.py",
        "    permitted(model, request, user)\n    key =",
        "    key =",
        ("tests/integration/test_console.py", "-k", "not_led_from_a_run"),
    ),
    Mutant(
        "a late partition makes the verdict red",
        "src/tidemill/records/overview.py",
        "or late is Severity.FAIL",
        "",
        ("tests/unit/report/test_console.py", "-k", "whether_it_is_fine"),
    ),
)


@contextmanager
def project_copy() -> Iterator[Path]:
    """Yield a copy of the project; all mutants use it, so that Python compiles each module once."""
    with tempfile.TemporaryDirectory(prefix="tidemill-mutants-") as copy:
        folder = Path(copy)
        for name in COPIED:
            source = PROJECT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".tidemill"))
            else:
                shutil.copy2(source, folder / name)
        yield folder


@contextmanager
def switched_off(mutant: Mutant, folder: Path) -> Iterator[None]:
    """Switch a guard off in the copy, and on again at the end."""
    try:
        for file, old, new in mutant.changes():
            path = folder / file
            text = path.read_text(encoding="utf-8")
            if text.count(old) != 1:
                raise SystemExit(f"{file} has {text.count(old)} times, not once: {old!r}")
            path.write_text(text.replace(old, new), encoding="utf-8")
        yield
    finally:
        for file, _, _ in mutant.changes():
            shutil.copy2(PROJECT / file, folder / file)  # with the time of change, by which Python knows its bytecode


def fails(tests: tuple[str, ...], folder: Path) -> tuple[bool, str]:
    """Run tests on the copy; return whether one failed, and pytest's last line. One that could not run proves nothing."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}/src:{folder}/plugins", "TIDEMILL_CHAOS_ROUNDS": "20"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    ran = subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )
    last = [line for line in ran.stdout.splitlines() if line.strip()][-1:] or [ran.stderr.strip()[-200:]]
    if ran.returncode not in (0, 1) or re.search(r"\d+ error", last[0]):
        raise SystemExit(f"pytest {' '.join(tests)} could not run:\n{ran.stdout}\n{ran.stderr}")
    return ran.returncode == 1, last[0]


def check_whole(mutants: Sequence[Mutant], folder: Path) -> None:
    """See that the tests pass while no guard is switched off: those that fail anyway would catch everything."""
    for tests in dict.fromkeys(mutant.tests for mutant in mutants):
        broken, said = fails(tests, folder)
        if broken:
            raise SystemExit(f"pytest {' '.join(tests)} fails without a mutant: {said}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a guard's name")
    parser.add_argument("--part", default="1/1", help="such as 2/4: every fourth mutant, from the second on")
    parser.add_argument("--trust", action="store_true", help="do not run the tests on the whole project first")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    chosen = [mutant for mutant in MUTANTS[part - 1 :: parts] if arguments.only in mutant.guard]
    survivors = 0
    with project_copy() as folder:
        if not arguments.trust:
            check_whole(chosen, folder)
        for mutant in chosen:
            started = time.monotonic()
            with switched_off(mutant, folder):
                caught, said = fails(mutant.tests, folder)
            survivors += not caught
            verdict = "caught" if caught else "SURVIVED"
            sys.stdout.write(f"{verdict:<9} {time.monotonic() - started:5.0f} s  {mutant.guard:<57} {said}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen)} mutants, {survivors} survived.\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
