"""The state of all models, and of each model with its reasons."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from tidemill.intervals import key_order
from tidemill.records import MOST_UNEXAMINED, ModelDetails, ModelState, ScoreSection, Severity, Wishes, percent
from tidemill.report.console.links import run_path, task_path, trail_of
from tidemill.report.console.runbook import instructions
from tidemill.report.html import Answer, Link, Tile, count, figure, interval, page, when
from tidemill.report.timeline import calendar, drift_rows, quality_chart

__all__ = ["model_page", "models_page"]

N_ROWS = 30  # of the table of partitions
N_NAMED = 5  # models that a headline names
_NOTHING = Wishes()
_TONES = {None: "good", Severity.WARN: "warn", Severity.FAIL: "fail"}
_WORDS = {None: "fine", Severity.WARN: "look", Severity.FAIL: "act"}


def models_page(states: Sequence[ModelState], outages: Sequence[str] = ()) -> str:
    """Return the overview page: whether all models are fine.

    Parameters
    ----------
    states : sequence of ModelState
        In any order.
    outages : sequence of str, default ()
        Parts of Airflow that do not run, one sentence each.
    """
    ranked = sorted(states, key=lambda state: (_rank(state), state.model))
    return page(
        "models.html",
        kind="Models",
        model="",
        partition="",
        answer=replace(_of_all(ranked), reasons=(*outages, *_of_all(ranked).reasons)),
        states=[(state, *_mark(state), _why(state)) for state in ranked],
    )


def model_page(details: ModelDetails, wishes: Wishes = _NOTHING) -> str:
    """Return a model's page: its state with reasons, its recent past, and links to all its pages.

    Parameters
    ----------
    wishes : Wishes, optional
        What the reader may ask for, and what has been asked for; by default nothing.
    """
    state = details.state
    return page(
        "model.html",
        kind="Model",
        model=state.model,
        partition="",
        trail=trail_of(state.model, up=""),
        links=[Link("Look up a row", "rows/"), Link("Figures over time", "figures/"), *_actions(state, wishes)],
        answer=_of_one(details),
        tiles=[*_tiles(details), *_shadow(details)],
        n_published=details.n_published,
        state=state,
        runbook=instructions(),
        task_path=task_path,
        run_path=run_path,
        partitions=details.partitions[:N_ROWS],
        chart=quality_chart(details.partitions, state, details.row_decisions),
        calendar=calendar(details.partitions, state),
        drift=drift_rows(details.drift, sorted({item.partition for item in details.drift}, key=key_order)),
        pages={item.partition: item.monitoring for item in details.partitions if item.monitoring},
        releases=details.releases,
        decisions=details.decisions,
        score=details.score,
        sections=[section.value for section in ScoreSection],
        wishes=wishes,
        possible=wishes.possible,
        held=details.held,
        metric_name=state.champion.metric if state.champion else "quality",
    )


def _actions(state: ModelState, wishes: Wishes) -> list[Link]:
    """Return the links to the actions that concern no single row of the page."""
    newest = f"?partition={quote(state.newest.partition)}" if state.newest else ""
    found = (
        ("train", "Train now…", f"act/train/{newest}"),
        ("retrain", "Decide about retraining…", f"act/retrain/{newest}"),
        ("roll_back", "Roll back…", "act/roll_back/"),
    )
    return [Link(text, href) for name, text, href in found if name in wishes.possible]


def _mark(state: ModelState) -> tuple[str, str]:
    """Return a model's state as one word, and its tone."""
    if state.draft:
        return "draft", "none"
    if state.severity is None and state.alerts:
        return "known", "none"
    return _WORDS[state.severity], _TONES[state.severity]


def _rank(state: ModelState) -> int:
    return [Severity.FAIL, Severity.WARN, None].index(state.severity)


def _of_all(ranked: Sequence[ModelState]) -> Answer:
    question = "Are my models fine?"
    if not ranked:
        return Answer(
            question=question,
            answer="No model has run yet.",
            tone="none",
            reasons=("A spec in the folder of models makes seven DAGs; the first training puts the model here.",),
        )
    worst = ranked[0].severity
    if worst is None:
        fine, drafts = ([state.model for state in ranked if state.draft is wanted] for wanted in (False, True))
        drafted = f"{_named(drafts)} {'is a draft' if len(drafts) == 1 else 'are drafts'}"
        if not fine:
            return Answer(question=question, answer=f"None serves yet: {drafted}.", tone="none")
        named = f"{fine[0]} is" if len(fine) == 1 else f"all {len(fine)} are"
        return Answer(question=question, answer=f"Yes, {named}{f'; {drafted}' if drafts else ''}.", tone="good")
    act = [state.model for state in ranked if state.severity is Severity.FAIL]
    look = [state.model for state in ranked if state.severity is Severity.WARN]
    said = [f"{_named(act)} {'needs' if len(act) == 1 else 'need'} action"] if act else []
    said += [f"{_named(look)} {'needs' if len(look) == 1 else 'need'} a look"] if look else []
    return Answer(question=question, answer=f"Not all: {'; '.join(said)}.", tone=_TONES[worst])


def _named(models: Sequence[str]) -> str:
    """Return the models as a headline names them: all of a few, the first of many."""
    if len(models) <= N_NAMED:
        return ", ".join(models)
    return f"{', '.join(models[:N_NAMED])} and {len(models) - N_NAMED} more"


def _of_one(details: ModelDetails) -> Answer:
    state, question = details.state, "Is my model fine?"
    if state.severity is not None:
        answer = "No, it needs action." if state.severity is Severity.FAIL else "It needs a look."
        reasons = (*_problems(state), *_known(state))
        return Answer(question=question, answer=answer, tone=_TONES[state.severity], reasons=reasons)
    if state.draft:
        return Answer(question=question, answer="It is a draft.", tone="none", reasons=(_why(state),))
    if known := _known(state):
        return Answer(question=question, answer=f"Nothing new: {_nothing(state)}", tone="none", reasons=tuple(known))
    latest = details.decisions[0].reasons if details.decisions else ()
    return Answer(question=question, answer=f"Yes, {_nothing(state)}", tone="good", reasons=latest)


def _problems(state: ModelState) -> list[str]:
    """Return a sentence for each problem, those that need action first."""
    late = [state.timeliness.message] if state.timeliness and state.timeliness.severity else []
    unrecorded = [
        f"A run of {item.dag_id}{f' for partition {item.partition}' if item.partition else ''} failed on"
        f" {when(item.ended_at)} without a failed step in the ledger: it ended before its first step, or was killed."
        for item in state.unrecorded
    ]
    failed = [
        f"{item.step} of the chain '{item.chain}' has failed for partition {item.partition}"
        f"{'' if item.by_schedule else ', started by a person'}: {_first_line(item.error)}"
        for item in state.failures
    ]
    urgent, others = (
        [
            item.alert.message
            for item in state.alerts
            if (item.alert.severity is Severity.FAIL) is wanted and item.acknowledged_by is None
        ]
        for wanted in (True, False)
    )
    missing = ["No partition has been published."] if state.champion and not state.newest else []
    if state.n_unexamined > MOST_UNEXAMINED:
        missing.append(f"Monitoring has not looked at the newest {count(state.n_unexamined)} partitions.")
    return [*late, *state.obstacles, *unrecorded, *failed, *urgent, *others, *missing]


def _known(state: ModelState) -> list[str]:
    """Return a sentence for each problem that somebody has acknowledged."""
    return [
        f"Known{f' since {when(item.acknowledged_at)}' if item.acknowledged_at else ''}"
        f": {item.acknowledged_reason or item.alert.message} ({item.acknowledged_by}, rule {item.alert.rule})"
        for item in state.alerts
        if item.acknowledged_by is not None
    ]


def _why(state: ModelState) -> str:
    if state.draft:
        return "A draft: its schedules start with the first promotion."
    problems = [*_problems(state), *_known(state)]
    more = f" And {len(problems) - 1} more." if len(problems) > 1 else ""
    fine = _nothing(state)
    return f"{problems[0]}{more}" if problems else fine[0].upper() + fine[1:]  # capitalize() would lower-case 2013-W27


def _nothing(state: ModelState) -> str:
    looked = f"as of {state.examined}" if state.examined else "but monitoring has not looked at it yet"
    return f"nothing asks for a person {looked}."


def _tiles(details: ModelDetails) -> list[Tile]:
    state = details.state
    champion, newest = state.champion, state.newest
    release = f"{champion.estimator}, as of {champion.partition}" if champion else ""
    return [
        Tile(label="Release that serves", value=str(champion.release_id) if champion else "none", note=release),
        Tile(
            label="Newest published partition",
            value=newest.partition if newest else "none",
            note=f"{count(newest.n_rows)} rows; {count(details.n_published)} partitions in all" if newest else "",
        ),
        _quality(state),
        Tile(
            label="Drifted features",
            value=percent(newest.drift_share) if newest and newest.drift_share is not None else "not examined",
            note=f"in {newest.partition}" if newest and newest.drift_share is not None else "",
        ),
        Tile(label="Open alerts", value=str(len(state.alerts))),
    ]


def _shadow(details: ModelDetails) -> list[Tile]:
    running = details.shadow
    if running is None:
        return []
    note = f"{running.role}, compared with release {running.against} on partitions up to {when(running.end)}"
    return [Tile(label="Release in the shadow", value=str(running.release_id), note=note)]


def _quality(state: ModelState) -> Tile:
    if state.quality is None:
        return Tile(label="Realised quality", value="not matured yet")
    accepted = f"; at acceptance {figure(state.champion.accepted_value)}" if state.champion else ""
    return Tile(
        label=f"Realised {state.quality.name.removesuffix('_recent')}",
        value=figure(state.quality.value),
        note=f"newest matured partitions, up to {state.matured}; {interval(state.quality)}{accepted}",
    )


def _first_line(error: str) -> str:
    return error.partition("\n")[0].rstrip(":")
