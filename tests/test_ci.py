"""What CI starts, it ends: also servers that a crashed test leaves behind, which would keep the output open."""

import os
import subprocess
import sys
from pathlib import Path

CONTAIN = Path(__file__).parents[1] / ".ci" / "contain.py"
DAEMON = "setsid sleep 300 & echo $!; exit 3"


def contained(seconds: float, script: str) -> tuple[int, list[int], str]:
    """Run a shell script, and return its status, the process ids that it printed and what was said of it."""
    done = subprocess.run(
        [sys.executable, CONTAIN, str(seconds), "bash", "-c", script], capture_output=True, text=True, check=False
    )
    return done.returncode, [int(line) for line in done.stdout.split()], done.stderr


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_daemon_is_ended_and_the_status_stays() -> None:
    status, pids, said = contained(60, DAEMON)
    assert status == 3
    assert len(pids) == 1
    assert not lives(pids[0])
    assert f"({pids[0]})" in said


def test_a_command_beyond_its_time_is_ended() -> None:
    status, pids, said = contained(1, "echo $$; sleep 300")
    assert status == 124
    assert not lives(pids[0])
    assert "not ended after 1 s" in said


def test_an_orphan_that_ends_is_collected_while_the_command_runs() -> None:
    adopted = "pid=$(setsid -f bash -c 'echo $$; read -t 0.1 < <(:)'); while [ -e /proc/$pid ]; do :; done; echo $pid"
    status, pids, said = contained(60, adopted)
    assert (status, len(pids), said) == (0, 1, "")


def test_nothing_is_reported_about_a_command_that_cleans_up() -> None:
    assert contained(60, "exit 0") == (0, [], "")
