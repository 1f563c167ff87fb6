"""The 28 lines of the ML Test Score: what each needs, how long that stays fresh, and what earns the next half point."""

from dataclasses import dataclass
from datetime import timedelta

from tidemill.records import ScoreLine, ScoreSection

__all__ = ["LINES", "Line", "Need"]

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A kind of evidence that a line needs."""

    name: str
    """Name, as the line's query returns it."""
    what: str
    """What has to be on record, as a noun."""
    days: int
    """Days that it stays fresh."""
    partitions: int = 0
    """Partitions for which it stays fresh at least."""

    def fresh_for(self, partition: timedelta) -> timedelta:
        """Return how long evidence stays fresh, for a model with partitions of a length."""
        return max(self.days * DAY, self.partitions * partition)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the rubric."""

    name: ScoreLine
    """Name; its query is ``score_<name>``."""
    section: ScoreSection
    title: str
    """The test, as the rubric names it."""
    needs: tuple[Need, ...] = ()
    """All of them are needed; none where the platform records nothing yet, so that only an attestation counts."""
    first_half: str = ""
    """What records the evidence, as an instruction."""
    second_half: str
    """What turns half a point into a whole one, as an instruction."""


def _of_training(name: str, what: str) -> Need:
    return Need(name=name, what=what, days=90)  # a champion older than a quarter says little about today's data


def _of_partition(name: str, what: str) -> Need:
    return Need(name=name, what=what, days=7, partitions=3)  # a week without it is an outage


def _of_schedule(name: str, what: str) -> Need:
    return Need(name=name, what=what, days=15, partitions=2)  # of the weekly reproduction, one may be missing


def _of_drill(name: str, what: str) -> Need:
    return Need(name=name, what=what, days=365)  # rare, and shows an ability


_DATA, _MODEL = ScoreSection.DATA, ScoreSection.MODEL
_INFRASTRUCTURE, _MONITORING = ScoreSection.INFRASTRUCTURE, ScoreSection.MONITORING
_TRAIN, _MONITOR = "tidemill train {model} --partition …", "tidemill monitor {model} --partition …"

LINES = (
    # ---------------------------------------------------------------- data
    Line(
        name=ScoreLine.FEATURE_SCHEMA,
        section=_DATA,
        title="Feature expectations are captured in a schema",
        needs=(_of_training("contract", "an expectation about a feature, checked on the champion's training data"),),
        first_half=f"write expectations about features into 'contract', then '{_TRAIN}'",
        second_half="write an expectation for each feature without one into 'contract', and train",
    ),
    Line(
        name=ScoreLine.FEATURE_BENEFIT,
        section=_DATA,
        title="All features are beneficial",
        needs=(_of_training("importance", "the importance of each feature of the champion"),),
        first_half=f"'{_TRAIN}'",
        second_half="train without the features whose importance is not shown to be above 0, or with more test days",
    ),
    Line(
        name=ScoreLine.FEATURE_COST,
        section=_DATA,
        title="No feature's cost is too much",
        needs=(_of_training("feature_groups", "what groups of the champion's features gain and cost"),),
        first_half=f"set train.leave_out, and '{_TRAIN}'",
        second_half="put each feature into a group of train.leave_out, remove groups without a shown gain, and train",
    ),
    Line(
        name=ScoreLine.FEATURE_POLICY,
        section=_DATA,
        title="Features adhere to meta-level requirements",
        needs=(
            _of_training("policy", "denied columns or tables, compared with the plan of the champion's features query"),
        ),
        first_half=f"name what the model must not read in features.policy, and '{_TRAIN}'",
        second_half="",
    ),
    Line(
        name=ScoreLine.PRIVACY,
        section=_DATA,
        title="The data pipeline has appropriate privacy controls",
        second_half="no step searches snapshots and pages for personal data",
    ),
    Line(
        name=ScoreLine.FEATURE_LEAD_TIME,
        section=_DATA,
        title="New features can be added quickly",
        needs=(_of_drill("lead_time", "the time from the first run of the champion's queries to their promotion"),),
        first_half=f"'{_TRAIN}', with an accepted candidate",
        second_half="bring the next change of the features query into production within 30 days of its first run",
    ),
    Line(
        name=ScoreLine.FEATURE_CODE,
        section=_DATA,
        title="All input feature code is tested",
        needs=(
            _of_training("leak_probe", "the leak probe of the champion's training"),
            _of_partition("recomputed", "features of a matured partition, computed again"),
        ),
        first_half=f"'{_TRAIN}' and '{_MONITOR}', for a partition after which labels have matured",
        second_half="let the features query return every feature of the champion, and monitor",
    ),
    # ---------------------------------------------------------------- model
    Line(
        name=ScoreLine.SPEC_REVIEW,
        section=_MODEL,
        title="Model specs are reviewed and submitted",
        needs=(_of_training("review", "a promoted champion whose spec and code are on record, without local changes"),),
        first_half="commit spec and code, train, and let the gate promote",
        second_half="set accept.approval: manual, and let somebody other than the requester approve the next model",
    ),
    Line(
        name=ScoreLine.OFFLINE_ONLINE,
        section=_MODEL,
        title="Offline and online metrics correlate",
        needs=(_of_partition("realised", "realised quality of the champion beside its quality at acceptance"),),
        first_half=f"'{_MONITOR}', for a partition after which labels of the champion's partitions have matured",
        second_half="find out why realised quality is outside the interval at acceptance, and train",
    ),
    Line(
        name=ScoreLine.TUNING,
        section=_MODEL,
        title="All hyperparameters have been tuned",
        needs=(_of_training("search", "a search for the champion's settings"),),
        first_half=f"'{_TRAIN} --trials 20'",
        second_half="give the search the time that it needs, so that it compares its winner with the defaults",
    ),
    Line(
        name=ScoreLine.STALENESS,
        section=_MODEL,
        title="The impact of model staleness is known",
        needs=(_of_training("aged", "releases of some age compared with the youngest one on matured partitions"),),
        first_half=f"'{_TRAIN}' and '{_MONITOR}', until a release is a week older than the youngest one",
        second_half="monitor until releases of at least 30 days have been compared on at least 5 partitions",
    ),
    Line(
        name=ScoreLine.SIMPLER_MODEL,
        section=_MODEL,
        title="A simpler model is not better",
        needs=(_of_training("baselines", "the champion compared with simple baselines"),),
        first_half=f"'{_TRAIN}'",
        second_half="",
    ),
    Line(
        name=ScoreLine.SLICES,
        section=_MODEL,
        title="Model quality is sufficient on all important data slices",
        needs=(_of_training("slices", "the quality of the champion by slice"),),
        first_half="name columns in accept.slices, and train",
        second_half="look into the weak slices that the search found, and train",
    ),
    Line(
        name=ScoreLine.INCLUSION,
        section=_MODEL,
        title="The model has been tested for considerations of inclusion",
        needs=(_of_training("gaps", "gaps between groups of rows, in the champion's evaluation"),),
        first_half=f"name the columns of groups in audit, and '{_TRAIN}'",
        second_half="",
    ),
    # ---------------------------------------------------------------- infrastructure
    Line(
        name=ScoreLine.REPRODUCIBILITY,
        section=_INFRASTRUCTURE,
        title="Training is reproducible",
        needs=(_of_schedule("rebuilt", "a release that was built again"),),
        first_half="'tidemill reproduce {model}'",
        second_half="let the DAG {model}_reproduce run by its schedule",
    ),
    Line(
        name=ScoreLine.SPEC_TESTS,
        section=_INFRASTRUCTURE,
        title="Model specification code is unit tested",
        needs=(_of_training("tests", "tests of the model, or behaviour checks of the champion"),),
        first_half=f"'{_TRAIN}'",
        second_half="set test.schedule, and let the DAG {model}_test pass by its schedule",
    ),
    Line(
        name=ScoreLine.INTEGRATION_TEST,
        section=_INFRASTRUCTURE,
        title="The full ML pipeline is integration tested",
        needs=(_of_schedule("rehearsed", "a run from the source to the evaluation that does not affect what serves"),),
        first_half="'tidemill reproduce {model}'",
        second_half="let the DAG {model}_reproduce run by its schedule",
    ),
    Line(
        name=ScoreLine.VALIDATION,
        section=_INFRASTRUCTURE,
        title="Model quality is validated before serving",
        needs=(_of_training("gate", "the gate's verdict about the champion"),),
        first_half=f"'{_TRAIN}', with an accepted candidate",
        second_half="",
    ),
    Line(
        name=ScoreLine.DEBUGGING,
        section=_INFRASTRUCTURE,
        title="The model allows debugging on a single example",
        needs=(_of_training("explained", "scores of the champion taken apart by feature"),),
        first_half=f"'{_TRAIN}'",
        second_half="",
    ),
    Line(
        name=ScoreLine.CANARY,
        section=_INFRASTRUCTURE,
        title="Models are canaried before they serve",
        needs=(_of_training("rehearsal", "scores of the champion from a clean process"),),
        first_half=f"'{_TRAIN}'",
        second_half="set accept.shadow, and let the next release win beside the champion",
    ),
    Line(
        name=ScoreLine.ROLLBACK,
        section=_INFRASTRUCTURE,
        title="Serving models can be rolled back quickly and safely",
        needs=(_of_drill("rolled_back", "a rollback of this model, or a drill in its tests"),),
        first_half="'tidemill test {model}'",
        second_half="set test.schedule, and let the DAG {model}_test pass by its schedule",
    ),
    # ---------------------------------------------------------------- monitoring
    Line(
        name=ScoreLine.DEPENDENCIES,
        section=_MONITORING,
        title="Dependency changes result in notification",
        needs=(_of_partition("examined", "columns, code and packages compared with the partition before"),),
        first_half=f"'{_MONITOR}'",
        second_half="",
    ),
    Line(
        name=ScoreLine.INVARIANTS,
        section=_MONITORING,
        title="Data invariants hold for inputs",
        needs=(
            _of_partition("contract", "the contract on the newest published partition"),
            _of_partition("volume", "the number of rows of a partition"),
        ),
        first_half=f"'tidemill predict {{model}} --partition …' and '{_MONITOR}'",
        second_half="",
    ),
    Line(
        name=ScoreLine.SKEW,
        section=_MONITORING,
        title="Training and serving are not skewed",
        needs=(_of_partition("compared", "scored rows compared with those that training would read"),),
        first_half=f"'{_MONITOR}', for a partition after which labels have matured",
        second_half="",
    ),
    Line(
        name=ScoreLine.MODEL_AGE,
        section=_MONITORING,
        title="Models are not too stale",
        needs=(_of_partition("age", "the age of the release at a partition"),),
        first_half=f"'{_MONITOR}'",
        second_half="",
    ),
    Line(
        name=ScoreLine.STABILITY,
        section=_MONITORING,
        title="Models are numerically stable",
        needs=(_of_partition("sealed", "published rows, counted and sealed"),),
        first_half="'tidemill predict {model} --partition …'",
        second_half="",
    ),
    Line(
        name=ScoreLine.COMPUTE,
        section=_MONITORING,
        title="Computing performance has not regressed",
        needs=(_of_partition("cost", "the cost of each step at a partition"),),
        first_half=f"'{_MONITOR}'",
        second_half="predict and monitor until five earlier partitions can be compared with",
    ),
    Line(
        name=ScoreLine.QUALITY,
        section=_MONITORING,
        title="Prediction quality has not regressed",
        needs=(
            _of_partition("examined", "an examination of quality"),
            _of_partition("realised", "realised quality of a matured partition"),
        ),
        first_half=f"'{_MONITOR}', for a partition after which labels have matured",
        second_half="",
    ),
)
"""All lines, in the rubric's order."""
