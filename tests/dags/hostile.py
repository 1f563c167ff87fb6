"""What a folder of specs may contain besides specs, by mistake or on purpose; each entry is one name below ``dags/models``."""

import os
import random
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from .conftest import PROJECT

GOOD = (PROJECT / "dags" / "models" / "flight_delays.yaml").read_text(encoding="utf-8")

DIGITS = "9" * 5000
BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "blank": b"\n \n\n",
    "word": b"model",
    "nul": b"model: nul\x00\n",
    "binary": random.Random(1).randbytes(50_000),
    "utf16": GOOD.encode("utf-16"),
    "utf32": GOOD.encode("utf-32"),
    "latin1": "description: Verspätung\n".encode("latin-1"),
    "surrogate_bytes": b"model: \xed\xa0\x80\n",
    "ten_megabytes": b"# " + b"a" * 10_000_000,
    "long_text": f"description: {'a' * 900_000}\n".encode(),
    "long_key": f"{'k' * 900_000}: 1\n".encode(),
    "many_keys": b"".join(b"key_%d: 1\n" % number for number in range(60_000)),
    "many_items": b"features: {numeric: [" + b"a, " * 40_000 + b"]}\n",
    "same_key": b"model: same_key\n" * 30_000,
    "deep_list": b"[" * 100_000,
    "deep_mapping": b"{a: " * 100_000,
    "deep_block": b"".join(b" " * n + b"a:\n" for n in range(500)),
    "bomb": BOMB.encode(),
    "recursion": b"model: &a [*a]\n",
    "unknown_alias": b"model: *nobody\n",
    "merge": b"<<: {model: merge}\n",
    "python_tag": b"model: !!python/object/apply:os.system [exit]\n",
    "binary_tag": b"model: !!binary aGVsbG8=\n",
    "two_documents": GOOD.encode() + b"---\nmodel: two_documents\n",
    "other_version": b"%YAML 9.9\n---\nmodel: other_version\n",
    "tabs": b"train:\n\twindow: 90 days\n",
    "unclosed": b'model: "unclosed\n',
    "complex_keys": b"? [a, b]\n: 1\n? {c: d}\n: 2\n",
    "strange_keys": b"2013-01-01: 1\n1: 2\nnull: 3\ntrue: 4\n1.5: 5\n",
    "list": b"- model\n- list\n",
    "digits": f"train: {{random_state: {DIGITS}}}\n".encode(),
    "digits_in_contract": f"contract: [{{expect_column_to_exist: {{column: {DIGITS}}}}}]\n".encode(),
    "infinite": b"accept: {minimum: 1e999999}\n",
    "beyond_64_bits": GOOD.replace("predict: {", "predict: {shard_rows: 99999999999999999999, ").encode(),
    "duration_of_ages": b"train: {window: 99999999999999999999 weeks}\n",
    "duration_of_digits": f"train: {{window: {DIGITS} days}}\n".encode(),
    "negative_duration": b"partitions: {cutoff: -5 hours}\n",
    "long_cron": b"predict: {schedule: '" + b"0," * 50_000 + b"0 * * * *'}\n",
    "never": b"predict: {schedule: '0 0 31 2 *'}\n",
    "cron_of_digits": f"predict: {{schedule: '{DIGITS} * * * *'}}\n".encode(),
    "long_owner": re.sub(
        "^owner: .*$", f"owner: {'o' * 2001}", GOOD.replace("model: flight_delays", "model: long_owner", 1), flags=re.M
    ).encode(),
    "zone_of_the_machine": b"timezone: localtime\n",
    "path_as_zone": b"timezone: ../../../etc/passwd\n",
    "year_0": b"partitions: {first: 0000-00-00}\n",
    "year_9999": b"partitions: {first: 9999-12-31, last: 0001-01-01}\n",
    "nul_escape": b'description: "a\\0b"\n',
    "escapes": b'"\\e[2J\\a": "\\e]0;title\\a"\n',
    "half_pair": b'owner: "\\ud800"\n',
    "misnamed": GOOD.encode(),
    "a\nline": b"model: x\n",
    "zero\u200bwidth": GOOD.encode(),
    "\u202eesrever": b"model: x\n",
    "Flight_delays": GOOD.encode(),
    "flight_delay\u017f": GOOD.encode(),
    "n" * 200: b"model: x\n",
    "m" * 49: GOOD.replace("model: flight_delays", f"model: {'m' * 49}").encode(),
    "1": b"model: 1\n",
    "bom": "\ufeffmodel: other\n".encode(),
    "utf16_without_mark": GOOD.encode("utf-16-le"),
    "invisible_key": "mo\u200bdel: invisible_key\n".encode(),
    "mark_in_model": 'model: "\u202eflight"\n'.encode(),
    "cycle": b"model: &a {b: *a}\n",
    "not_finite": b"accept: {minimum: .inf, margin: .nan}\n",
    "exponent": b"accept: {minimum: 1e400}\n",
    "unknown_zone": b"timezone: Mars/Phobos\n",
    "day_31": b"partitions: {first: 2013-02-31}\n",
    "year_2300": b"partitions: {first: 2300-01-01}\n",
}  # fmt: skip
"""Contents of files, by the model that their names stand for."""


def write_hostile(folder: Path) -> list[str]:
    """Write every hostile entry, and return their names as ``repr`` shows what no terminal takes."""
    for name, content in CONTENTS.items():
        (folder / f"{name}.yaml").write_bytes(content)
    with (folder / "sparse.yaml").open("wb") as stream:
        stream.truncate(1 << 34)
    for name, make in PLACES.items():
        make(folder / f"{name}.yaml")
    Path(os.fsdecode(bytes(folder) + b"/\xff\xfe.yaml")).write_text("model: x\n")
    return [*(repr(name)[1:-1] for name in CONTENTS), *PLACES, "sparse", r"\udcff\udcfe"]


def _outside(path: Path) -> None:
    secret = path.parent.parent / f"{path.parent.name}_secret"
    secret.write_text("password: hunter2\n")
    path.symlink_to(secret)


def _locked(path: Path) -> None:
    path.write_text("- 1\n")
    path.chmod(0)


def _socket(path: Path) -> None:
    where = Path.cwd()
    os.chdir(path.parent)  # the address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(where)


PLACES: dict[str, Callable[[Path], Any]] = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "socket": _socket,
    "locked": _locked,
    "outside": _outside,
    "dangling": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path.name),
    "there": lambda path: path.symlink_to("back.yaml"),
    "back": lambda path: path.symlink_to("there.yaml"),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/tty"),
    "process": lambda path: path.symlink_to("/proc/self/environ"),
    "up": lambda path: path.symlink_to(".."),
}
"""Entries that are not plain files."""


def mutated(rng: random.Random, name: str) -> bytes:
    """Return the good spec as the model ``name``, changed in one to three places."""
    text = re.sub("^model: .*$", f"model: {name}", GOOD, count=1, flags=re.MULTILINE)
    if rng.random() < 0.6:
        values = yaml.safe_load(text)
        for _ in range(rng.randint(1, 3)):
            _replace(rng, values)
        return yaml.safe_dump(values, allow_unicode=True, sort_keys=False).encode(errors="surrogatepass")
    content = bytearray(text.encode())
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(content))
        content[start : start + rng.choice((0, 1, 8, 100))] = rng.choice(PIECES)
    return bytes(content)


def _replace(rng: random.Random, values: Any) -> None:
    """Put something else at a random place, or a key that may exist."""
    places = list(_places(values))
    within, key = rng.choice(places)
    if rng.random() < 0.5:
        within[key] = rng.choice(VALUES)
    else:
        section, name, value = rng.choice(SETTINGS)
        target = values.setdefault(section, {}) if section else values
        if isinstance(target, dict):
            target[name] = value


def _places(values: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(values) if isinstance(values, dict) else range(len(values)):
        yield values, key
        if isinstance(values[key], dict | list) and values[key]:
            yield from _places(values[key])


PIECES = (
    b"", b"\n", b"\x00", b"\xff", b"\t", b": ", b"- ", b"{", b"}", b"[", b"]", b'"', b"'", b"&a ", b"*a", b"!!x ", b"---\n",
    b"#", b"1e9", b"\xe2\x80\xa8", b"? ", b"|\n", b"%", b"9" * 30,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**31, 2**63, 10**30, 1e308, "", " ", "x" * 300, "\u202e", "\ufb01", "\u0663 days", "1 day",
    "99999999 weeks", "36525 days", "0 minutes", [], {}, [[]], {"a": {}}, {1: 2}, ["a"] * 100,
)  # fmt: skip
CRONS = (
    "* * * * *", "0 0 29 2 *", "0 0 L * *", "0 0 * * 5#5", "0 0 * * L5", "59 23 31 12 7", "*/61 * * * *", "0 0 1-31/31 * *",
    "0 0 ? * ?", "H H * * *", "R R * * *", "@daily", "0 0 * jan mon-fri", "0-59/7,3 5-1 * * *", "0 0 0 0 0", "0 0 * * 8",
    "0 0 W * *", "00 005 * * *", "0 0 * * sun#1,mon#2", "0 0 l * l1", "*-5 * * * *", "0 0 31 4,6 *",
)  # fmt: skip
ZONES = (
    "Pacific/Apia", "Africa/Monrovia", "Australia/Lord_Howe", "Factory", "Asia/Kathmandu", "Etc/GMT+12", "EST5EDT", "utc",
)  # fmt: skip
_SETTINGS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("", "timezone", ZONES),
    ("", "owner", ("x" * 3000, "a, b", "{{ 1 }}", "<b>")),
    ("", "description", ("{{ ds }}", "{% raw %}", "| a | b |", "x" * 9000, "{spec}", "{0}")),
    ("partitions", "every", ("hour", "week", "month")),
    ("partitions", "cutoff", ("36525 days", "99999999 minutes", "0 days")),
    ("partitions", "first", ("1900-01-01", "2200-01-01", "2011-12-30", "2013-03-10")),
    ("partitions", "last", ("1900-01-01", "2200-01-01")),
    ("predict", "schedule", CRONS),
    ("monitor", "schedule", CRONS),
    ("predict", "shard_rows", (1, 2**40, 2**63 - 1)),
    ("train", "estimators", ([f"e{n}" for n in range(2000)], ["xgboost"])),
    ("accept", "approval", ("manual",)),
    ("accept", "approval_timeout", ("0 minutes", "36525 days")),
)
SETTINGS = tuple((section, name, value) for section, name, values in _SETTINGS for value in values)
"""Settings that are valid, or nearly."""
