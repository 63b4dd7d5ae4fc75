"""The life of a machine: what moves it, what does not, what is durable before what is said."""

from __future__ import annotations

from string import Formatter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxenet.engine.install import MAX_LOG, MAX_REASON, RETRY_S, CallbackStatus, Installs
from pxenet.engine.life import DEFAULT_TIMEOUTS_S, OBSERVABLE, STATES, TRANSITIONS, Evidence
from pxenet.engine.surface import NEVER
from pxenet.events import KINDS, Event, describe
from pxenet.model import InstallRecord, InstallState, Verdict

S, E = InstallState, Evidence
KEY = "52:54:00:12:34:56"
MAC = bytes.fromhex("525400123456")
SECRET = bytes(range(32))
ONE_BOOT = (E.ASKED, E.OFFERED, E.LOADING, E.BOOTED, E.ANSWERED, E.INSTALLING)


def new(*records: InstallRecord, max_attempts: int = 3, timeout_s: float = 4 * 3600.0) -> Installs:
    """``timeout_s``: for each stage from the kernel on; before it there is no hurry."""
    stages = dict.fromkeys((S.BOOTED, S.ANSWERED, S.INSTALLING), timeout_s)
    return Installs(records, SECRET, max_attempts=max_attempts, timeouts_s=stages)


def watch(installs: Installs, *evidence: Evidence, now: float = 0.0, step: float = 10.0) -> float:
    """Gives the evidence, some seconds apart; the time afterwards."""
    for one in evidence:
        installs.observe(KEY, one, "alma9", now)
        now += step
    return now


def state(installs: Installs) -> InstallState:
    record = installs.record(KEY)
    return record.state if record else S.NEW


def attempts(installs: Installs) -> int:
    record = installs.record(KEY)
    return record.attempts if record else 0


def report(installs: Installs, outcome: str = "installed", now: float = 100.0, reason: str = "") -> list[str]:
    """A callback with the current token whose record becomes durable; the kinds of its events."""
    result = installs.callback(installs.token(KEY), outcome, reason, now)
    assert result.status is CallbackStatus.ACCEPTED
    events = [event for change in result.changes for event in installs.committed(change, Verdict.DURABLE, now)]
    return [event.kind for event in events]


def test_the_table_is_complete() -> None:
    """Every state knows what to do with every evidence; nothing leads back but another boot, a stall before the kernel and an order."""
    assert set(TRANSITIONS) == {(state, evidence) for state in S for evidence in E}
    back = {evidence for (before, evidence), after in TRANSITIONS.items() if STATES.index(after) < STATES.index(before)}
    # The last: from failed and cancelled, which stand after it.
    assert back == {E.ASKED, E.LOADING, E.TIMED_OUT, E.REARMED, E.ACCEPTED, E.REPORTED_INSTALLED, E.REPORTED_DISCOVERED}
    assert {e for (b, e), after in TRANSITIONS.items() if after is S.INSTALLED and b is not after} == {
        E.REPORTED_INSTALLED
    }


def test_one_install_from_power_on_to_the_end() -> None:
    """Each stage is one change and one event, and the end boots the local disk."""
    installs = new()
    assert installs.record(KEY) is None
    assert installs.armed(KEY)
    seen = []
    for number, evidence in enumerate(ONE_BOOT):
        changes, events = installs.observe(KEY, evidence, "alma9", float(number))
        assert len(changes) == len(events) == (0 if evidence is E.ASKED else 1)
        seen += [(change.state, event.kind, event.mac) for change, event in zip(changes, events, strict=True)]
    stages = (S.OFFERED, S.LOADING, S.BOOTED, S.ANSWERED, S.INSTALLING)
    assert seen == [(stage, "install.state", MAC) for stage in stages]
    assert report(installs) == ["install.installed"]
    assert installs.record(KEY) == InstallRecord(KEY, S.INSTALLED, "alma9", 1, 1, 100.0)
    assert not installs.armed(KEY)


@pytest.mark.parametrize(
    ("evidence", "after", "starts"),
    [
        (E.OFFERED, S.OFFERED, 0),
        (E.LOADING, S.LOADING, 0),
        (E.BOOTED, S.BOOTED, 1),
        (E.ANSWERED, S.ANSWERED, 1),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_skipped_states_are_filled_in(evidence: Evidence, after: InstallState, starts: int) -> None:
    """A machine first seen in the middle counts as having passed what lies before, the start of the kernel included."""
    installs = new()
    watch(installs, evidence)
    assert (state(installs), attempts(installs)) == (after, starts)


@pytest.mark.parametrize(
    ("before", "after", "starts"),
    [((), S.NEW, 0), ((E.OFFERED,), S.OFFERED, 0), ((E.LOADING,), S.INSTALLING, 1)],
    ids=["new", "offered", "loading"],
)
def test_a_look_into_the_repository(before: tuple[Evidence, ...], after: InstallState, starts: int) -> None:
    """From a host that booted nothing of ours it proves nothing: a person there may read a file, and must not use up attempts."""
    installs = new()
    watch(installs, *before, E.INSTALLING)
    assert (state(installs), attempts(installs)) == (after, starts)


def test_repeated_evidence_says_nothing() -> None:
    """The kernel read twice in one boot is one attempt, and no change is written per packet of repository traffic."""
    installs = new()
    watch(installs, *ONE_BOOT)
    for evidence in (E.OFFERED, E.BOOTED, E.ANSWERED, E.INSTALLING):
        assert installs.observe(KEY, evidence, "alma9", 100.0) == ([], [])
    assert attempts(installs) == 1


def test_a_machine_whose_dhcp_is_not_seen_is_stopped_too() -> None:
    """With dhcp.mode = "off" a machine that begins again first shows by reading its boot loader."""
    installs = new()
    now = 0.0
    for attempt in (1, 2, 3):
        now = watch(installs, E.LOADING, E.LOADING, E.BOOTED, E.ANSWERED, E.INSTALLING, now=now)
        assert attempts(installs) == attempt
    _, events = installs.observe(KEY, E.LOADING, "alma9", now)
    assert [event.kind for event in events] == ["install.stopped"]
    assert state(installs) is S.FAILED


def test_repeated_discovers_of_one_boot_are_not_another_boot() -> None:
    """Before the kernel, and just after it (late duplicates), a DISCOVER by firmware changes nothing."""
    installs = new()
    now = watch(installs, E.ASKED, E.ASKED, E.OFFERED, E.ASKED, E.LOADING, E.ASKED)
    assert state(installs) is S.LOADING
    watch(installs, E.BOOTED, now=now)
    assert installs.observe(KEY, E.ASKED, "alma9", now + 1.0) == ([], [])
    assert state(installs) is S.BOOTED


@pytest.mark.parametrize("reached", [E.BOOTED, E.ANSWERED, E.INSTALLING], ids=lambda e: e.name)
def test_a_machine_that_comes_back_without_a_report_is_stopped(reached: Evidence) -> None:
    """Wherever it breaks off: three starts, and the fourth time it asks it is sent to its own disk, with the reason."""
    installs = new()
    now = 0.0
    for attempt in (1, 2, 3):
        now = watch(installs, E.ASKED, E.OFFERED, E.LOADING, reached, now=now)
        assert attempts(installs) == attempt
    changes, events = installs.observe(KEY, E.ASKED, "alma9", now)
    assert [event.kind for event in events] == ["install.stopped"]
    assert changes == [installs.record(KEY)]
    assert (changes[0].state, changes[0].attempts) == (S.FAILED, 3)
    assert changes[0].reason == "started the installer 3 times and never reported the end"
    assert not installs.armed(KEY)
    sentence, advice = describe(events[0])
    assert "3 times" in sentence
    assert f"installed/{installs.token(KEY)}" in advice
    watch(installs, *ONE_BOOT, now=now)
    assert state(installs) is S.FAILED


def test_the_attempts_survive_a_restart() -> None:
    """What the store holds is all there is: a server that crashes between the boots still stops the loop."""
    installs = new()
    for _ in range(3):
        watch(installs, *ONE_BOOT)
        installs = new(*installs.records())
    watch(installs, E.ASKED, now=1000.0)
    assert state(installs) is S.FAILED


@pytest.mark.parametrize("first", [E.ASKED, E.LOADING])
def test_a_start_that_the_server_broke_does_not_count(first: Evidence) -> None:
    """A machine that was under way when the server was started again may have lost a file by it: its next try is not one more.
    Every start behind that counts as ever."""
    record = InstallRecord(KEY, S.BOOTED, "alma9", 3, since_at=100.0)
    installs = Installs([record], SECRET, began_at=150.0)
    now = watch(installs, first, E.LOADING, now=200.0)
    assert (S.LOADING, 2) == (state(installs), attempts(installs))
    now = watch(installs, *ONE_BOOT[3:], now=now)
    assert 3 == attempts(installs)
    watch(installs, first, now=now)
    assert (S.FAILED, 3) == (state(installs), attempts(installs))


def test_failed_stays_until_armed_again() -> None:
    installs = new()
    watch(installs, *ONE_BOOT)
    assert report(installs, "failed", reason="no disk found") == ["install.failed"]
    record = installs.record(KEY)
    assert record is not None
    assert (record.state, record.reason) == (S.FAILED, "no disk found")
    watch(installs, *ONE_BOOT, now=200.0)
    assert state(installs) is S.FAILED
    changes, events = installs.rearm(KEY, 300.0)
    assert changes == [InstallRecord(KEY, S.NEW, "alma9", 0, 2, 300.0)]
    assert [event.kind for event in events] == ["install.state"]
    assert installs.armed(KEY)


def test_a_late_report_of_success_counts() -> None:
    """After a failure by time-out, by attempts or by its own word, ``installed`` is still believed."""
    installs = new()
    watch(installs, *ONE_BOOT)
    report(installs, "failed")
    assert report(installs) == ["install.installed"]
    assert state(installs) is S.INSTALLED


def test_callbacks_may_be_repeated() -> None:
    """The machine did not hear the first 200: the second is the same and changes nothing."""
    installs = new()
    assert report(installs) == ["install.installed"]
    assert report(installs) == []
    again = installs.callback(installs.token(KEY), "installed", "", 200.0)
    assert (again.status, again.changes, again.events) == (CallbackStatus.ACCEPTED, (), ())


def test_failed_after_installed_is_refused() -> None:
    """The installed system is on the disk; what came after it cannot undo that."""
    installs = new()
    report(installs)
    result = installs.callback(installs.token(KEY), "failed", "", 200.0)
    assert (result.status, result.changes) == (CallbackStatus.STALE, ())
    assert state(installs) is S.INSTALLED


def test_a_token_of_an_earlier_arming_is_stale() -> None:
    """An old kernel still running cannot report for the new install; the same after a restart of the server."""
    installs = new()
    old = installs.token(KEY)
    installs.rearm(KEY, 10.0)
    for now_running in (installs, new(*installs.records())):
        assert now_running.token(KEY) != old
        assert now_running.key_of(old) is None
        result = now_running.callback(old, "installed", "", 20.0)
        assert (result.status, result.key, result.changes) == (CallbackStatus.STALE, KEY, ())
        assert [event.kind for event in result.events] == ["install.callback_refused"]
        assert "armed again" in result.reason


@pytest.mark.parametrize("token", ["", "0" * 32, "x", KEY])
def test_an_unknown_token_is_refused(token: str) -> None:
    installs = new()
    installs.token(KEY)
    result = installs.callback(token, "installed", "", 0.0)
    assert (result.status, result.key, result.changes) == (CallbackStatus.UNKNOWN, "", ())
    assert [event.kind for event in result.events] == ["install.callback_refused"]


def test_reinstalling_every_day_takes_no_memory() -> None:
    """Of a machine's old tokens the latest are told "stale"; those before are unknown, as they are after a restart."""
    installs = new()
    tokens = [installs.token(KEY)]
    for day in range(1, 12):
        installs.rearm(KEY, 86400.0 * day)
        tokens.append(installs.token(KEY))
    for one in (installs, new(*installs.records())):
        told = [one.callback(token, "failed", "", 1e6).status for token in tokens]
        assert told == 3 * [CallbackStatus.UNKNOWN] + 8 * [CallbackStatus.STALE] + [CallbackStatus.ACCEPTED]


def test_tokens_are_known_by_secret_key_and_generation() -> None:
    """32 hex digits, the same after a restart, others for another machine, secret or arming; found again by one lookup."""
    installs = new()
    token = installs.token(KEY)
    assert len(token) == 32
    assert int(token, 16) >= 0
    assert installs.key_of(token) == KEY
    assert Installs([], SECRET, keys=[KEY]).key_of(token) == KEY
    assert new().token("52:54:00:12:34:57") != token
    assert Installs([], bytes(32)).token(KEY) != token
    installs.rearm(KEY, 0.0)
    assert installs.token(KEY) != token


def test_only_the_two_outcomes_exist() -> None:
    with pytest.raises(ValueError, match="'done'"):
        new().callback("x", "done", "", 0.0)


@pytest.mark.parametrize("evidence", sorted(set(E) - OBSERVABLE, key=lambda e: e.name), ids=lambda e: e.name)
def test_what_cannot_be_observed_is_a_mistake(evidence: Evidence) -> None:
    """Nobody can declare a machine installed by observing: only its own report can."""
    with pytest.raises(ValueError, match="observed"):
        new().observe(KEY, evidence, "", 0.0)


def test_the_end_of_its_log_is_kept() -> None:
    """What a machine sends with its failure is in the record and told; of a long log the end. Armed again, it is gone."""
    installs = new()
    watch(installs, *ONE_BOOT)
    result = installs.callback(installs.token(KEY), "failed", "no disk", 100.0, "first\n" + "x" * MAX_LOG)
    (event,) = installs.committed(result.changes[0], Verdict.DURABLE, 100.0)
    assert ("x" * MAX_LOG, "x" * MAX_LOG) == (result.changes[0].log, event.detail["log"])
    (change,), _ = installs.rearm(KEY, 110.0)
    assert "" == change.log


def test_what_a_machine_says_is_cut() -> None:
    installs = new()
    report(installs, "failed", reason="x" * 10_000)
    record = installs.record(KEY)
    assert record is not None
    assert record.reason == "x" * MAX_REASON


# Durable first


def test_a_report_takes_effect_only_when_durable() -> None:
    """Until its record is on the disk the machine stands where it stood, and nothing it does meanwhile overtakes the report."""
    installs = new()
    now = watch(installs, E.BOOTED)
    result = installs.callback(installs.token(KEY), "installed", "", now)
    assert [change.state for change in result.changes] == [S.INSTALLED]
    assert state(installs) is S.BOOTED
    assert installs.observe(KEY, E.INSTALLING, "alma9", now) == ([], [])
    assert [event.kind for event in installs.committed(result.changes[0], Verdict.DURABLE, now)] == [
        "install.installed"
    ]
    assert state(installs) is S.INSTALLED


def test_a_report_that_could_not_be_written_has_not_happened() -> None:
    """The 200 is not sent, the machine tries again, and the second try counts."""
    installs = new()
    watch(installs, E.BOOTED)
    result = installs.callback(installs.token(KEY), "installed", "", 50.0)
    assert installs.committed(result.changes[0], Verdict.FAILED, 51.0) == []
    assert state(installs) is S.BOOTED
    assert installs.deadline() == 4 * 3600.0
    watch(installs, E.INSTALLING, now=52.0)
    assert state(installs) is S.INSTALLING
    assert report(installs) == ["install.installed"]


def test_the_same_report_twice_at_once_is_told_once() -> None:
    """A retry while the first is being written: each waits for its own write, either one is enough."""
    for verdicts in ((Verdict.DURABLE, Verdict.DURABLE), (Verdict.FAILED, Verdict.DURABLE)):
        installs = new()
        results = [installs.callback(installs.token(KEY), "installed", "", now) for now in (1.0, 2.0)]
        told = [
            event.kind
            for result, verdict in zip(results, verdicts, strict=True)
            for event in installs.committed(result.changes[0], verdict, 3.0)
        ]
        assert told == ["install.installed"]
        assert state(installs) is S.INSTALLED
        assert not installs._reports


def test_failed_then_installed_at_once_ends_installed() -> None:
    """Both are on their way to the disk; the later one wins in the store, and so it does here."""
    installs = new()
    failed = installs.callback(installs.token(KEY), "failed", "oops", 1.0)
    installed = installs.callback(installs.token(KEY), "installed", "", 2.0)
    assert [e.kind for e in installs.committed(failed.changes[0], Verdict.DURABLE, 3.0)] == ["install.failed"]
    assert [e.kind for e in installs.committed(installed.changes[0], Verdict.DURABLE, 3.0)] == ["install.installed"]
    assert state(installs) is S.INSTALLED
    assert not installs._reports


def test_arming_overtakes_a_report_on_its_way() -> None:
    """The person's act comes later and wins, in the store as here."""
    installs = new()
    result = installs.callback(installs.token(KEY), "installed", "", 1.0)
    changes, _ = installs.rearm(KEY, 2.0)
    assert installs.committed(result.changes[0], Verdict.DURABLE, 3.0) == []
    assert installs.committed(changes[0], Verdict.DURABLE, 3.0) == []
    assert state(installs) is S.NEW


def test_what_could_not_be_written_is_offered_again() -> None:
    """The disk was full for a while: the store catches up with where the machine is by then."""
    installs = new()
    changes, _ = installs.observe(KEY, E.OFFERED, "alma9", 0.0)
    installs.committed(changes[0], Verdict.FAILED, 1.0)
    assert installs.deadline() == 1.0 + RETRY_S
    assert installs.tick(1.0) == ([], [])
    again, events = installs.tick(1.0 + RETRY_S)
    assert (again, events) == (changes, [])
    installs.committed(again[0], Verdict.FAILED, 7.0)
    moved, _ = installs.observe(KEY, E.LOADING, "alma9", 8.0)
    installs.committed(moved[0], Verdict.DURABLE, 8.0)
    assert installs.deadline() == NEVER
    assert installs.tick(1000.0) == ([], [])


def test_invented_machines_cost_a_bounded_amount_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name that is asked for gets a token; those of machines that are configured, or were seen, are never forgotten."""
    monkeypatch.setattr("pxenet.engine.install.MAX_GUESTS", 2)
    installs = Installs([], bytes(32), keys=["named", "other", "third"])
    watch(installs, E.LOADING)
    kept = [installs.token("named"), installs.token("other"), installs.token(KEY)]
    guests = [installs.token(f"guest {number}") for number in range(5)]
    assert [installs.key_of(token) for token in guests] == [None, None, None, "guest 3", "guest 4"]
    assert [installs.key_of(token) for token in kept] == ["named", "other", KEY]
    assert installs.token("guest 0") == guests[0]


# Time-outs


def test_a_machine_that_hangs_fails() -> None:
    """Under way for longer than the time-out: failed, with the reason; a stage without a time-out may last."""
    installs = new(timeout_s=3600.0)
    watch(installs, E.OFFERED, E.LOADING)
    assert installs.deadline() == NEVER
    installs.observe(KEY, E.ANSWERED, "alma9", 100.0)
    assert installs.deadline() == 3700.0
    assert installs.tick(3699.0) == ([], [])
    changes, events = installs.tick(3700.0)
    assert [(change.state, change.reason) for change in changes] == [(S.FAILED, "timed out: answered for 1 h")]
    assert [event.kind for event in events] == ["install.failed"]
    assert installs.deadline() == NEVER


@pytest.mark.parametrize("stage", DEFAULT_TIMEOUTS_S, ids=lambda stage: stage.value)
def test_each_stage_has_its_own_time(stage: InstallState) -> None:
    """What stalls before its kernel is still to be installed, and may try again; what stalls behind it has failed."""
    timeouts = {one: 10.0 * place for place, one in enumerate(DEFAULT_TIMEOUTS_S, start=1)}
    installs = Installs([InstallRecord(KEY, stage, attempts=1, since_at=1000.0)], SECRET, timeouts_s=timeouts)
    due_at = 1000.0 + timeouts[stage]
    assert due_at == installs.deadline()
    assert ([], []) == installs.tick(due_at - 1.0)
    (change,), (event,) = installs.tick(due_at)
    early = stage in (S.OFFERED, S.LOADING)
    assert (S.NEW if early else S.FAILED, 1) == (change.state, change.attempts)
    assert ("install.stalled" if early else "install.failed") == event.kind
    assert f"timed out: {stage.value} for {timeouts[stage]:g} s" == event.detail["why"]
    assert early == installs.armed(KEY)


def test_other_times_hold_at_once() -> None:
    """Also for machines that are in a stage already; infinite: it may last."""
    installs = new(timeout_s=100.0)
    installs.observe(KEY, E.BOOTED, "alma9", 0.0)
    installs.reconfigure(max_attempts=3, keys=[], timeouts_s={S.BOOTED: 50.0})
    assert 50.0 == installs.deadline()
    installs.reconfigure(max_attempts=3, keys=[], timeouts_s={S.BOOTED: NEVER})
    assert NEVER == installs.deadline()


def test_each_machine_has_its_own_time() -> None:
    """In whatever order they come in: after a report that was not written, or a clock that was set back."""
    installs = new(timeout_s=100.0)
    installs.observe(KEY, E.BOOTED, "alma9", 0.0)
    installs.observe("future", E.BOOTED, "alma9", 1e6)
    installs.observe("later", E.BOOTED, "alma9", 90.0)
    result = installs.callback(installs.token(KEY), "installed", "", 95.0)
    assert installs.deadline() == 190.0
    installs.committed(result.changes[0], Verdict.FAILED, 96.0)
    assert installs.deadline() == 100.0
    assert [[change.key for change in installs.tick(at)[0]] for at in (99.0, 100.0, 189.0, 190.0)] == [
        [],
        [KEY],
        [],
        ["later"],
    ]
    assert installs.deadline() == 1e6 + 100.0


@pytest.mark.parametrize("by_s", [1e6, -50.0, -1e6])
def test_a_clock_that_is_set_moves_deadlines_along(by_s: float) -> None:
    """Nobody times out by it, and everybody has the time that was left; what began after the step is by the new clock already."""
    installs = new(timeout_s=100.0)
    installs.observe("early", E.BOOTED, "alma9", 2000.0)
    installs.observe("reported", E.BOOTED, "alma9", 2001.0)
    report = installs.callback(installs.token("reported"), "installed", "", 2002.0).changes[0]
    installs.observe("loading", E.LOADING, "alma9", 2003.0)
    now = 2060.0 + by_s
    installs.observe("after", E.BOOTED, "alma9", now - 4.0)
    changes = installs.clock_moved(by_s, now, 5.0)
    moved = [("early", 2000.0 + by_s), ("loading", 2003.0 + by_s)]
    assert moved == [(change.key, change.since_at) for change in changes]
    assert installs.tick(now) == ([], [])
    assert installs.deadline() == now + 40.0
    installs.committed(report, Verdict.FAILED, now)
    due = [[change.key for change in installs.tick(now + later)[0]] for later in (39.0, 40.0, 41.0, 95.0, 96.0)]
    assert due == [[], ["early"], ["reported"], [], ["after"]]


def test_each_stage_has_the_whole_time() -> None:
    """Progress starts the clock anew, and the order of many machines is kept; also over a restart."""
    records = [InstallRecord(str(n), S.BOOTED, since_at=float(n)) for n in (3, 1, 2)]
    installs = new(*records, timeout_s=100.0)
    assert installs.deadline() == 101.0
    installs.observe("1", E.ANSWERED, "", 50.0)
    assert installs.deadline() == 102.0
    assert [change.key for change in installs.tick(149.0)[0]] == ["2", "3"]
    assert [change.key for change in installs.tick(150.0)[0]] == ["1"]


def test_a_report_on_its_way_does_not_time_out() -> None:
    installs = new(timeout_s=100.0)
    watch(installs, E.BOOTED)
    result = installs.callback(installs.token(KEY), "installed", "", 99.0)
    assert installs.tick(101.0) == ([], [])
    installs.committed(result.changes[0], Verdict.FAILED, 102.0)
    assert [change.state for change in installs.tick(102.0)[0]] == [S.FAILED]


def test_a_clock_set_back_does_not_hide_another_boot() -> None:
    installs = new()
    watch(installs, E.BOOTED, now=10_000.0)
    watch(installs, E.ASKED, now=5_000.0)
    assert state(installs) is S.NEW


def test_every_event_is_in_the_catalogue() -> None:
    """And its sentence has no hole."""
    installs = new(max_attempts=1)
    events = watch_all(installs)
    assert {event.kind for event in events} == {kind for kind in KINDS if kind.startswith("install.")}
    for event in events:
        kind = KINDS[event.kind]
        fields = [field for text in (kind.sentence, kind.advice) for _, field, _, _ in Formatter().parse(text) if field]
        assert set(fields) <= set(event.detail)


def watch_all(installs: Installs) -> list[Event]:
    """Events of every kind."""
    events: list[Event] = []
    for number, evidence in enumerate((*ONE_BOOT, E.ASKED)):
        events += installs.observe(KEY, evidence, "alma9", number * 10.0)[1]
    events += installs.rearm(KEY, 100.0)[1]
    for outcome in ("failed", "installed"):
        result = installs.callback(installs.token(KEY), outcome, "", 110.0)
        events += installs.committed(result.changes[0], Verdict.DURABLE, 110.0)
    events += installs.callback("?", "installed", "", 120.0).events
    events += installs.rearm(KEY, 130.0)[1]
    events += installs.observe(KEY, E.OFFERED, "alma9", 140.0)[1]
    installs.reconfigure(max_attempts=1, keys=[], timeouts_s={S.OFFERED: 1.0})
    events += installs.tick(150.0)[1]
    events += installs.cancel(KEY, 160.0)[1]
    events += installs.retire(KEY, 170.0)[1]
    return events


# Orders


@pytest.mark.parametrize("reached", range(len(ONE_BOOT) + 1))
def test_an_install_is_taken_back(reached: int) -> None:
    """At any stage: it is not armed, boots move it no more; its installer, which nobody can stop, may still report the end."""
    installs = new()
    now = watch(installs, *ONE_BOOT[:reached])
    token = installs.token(KEY)
    (change,), (event,) = installs.cancel(KEY, now)
    assert (S.CANCELLED, "install.cancelled") == (change.state, event.kind)
    assert not installs.armed(KEY)
    assert ([], []) == installs.cancel(KEY, now)
    watch(installs, *ONE_BOOT, now=now + 10)
    assert (S.CANCELLED, NEVER) == (state(installs), installs.deadline())
    assert token == installs.token(KEY)
    assert report(installs, "failed") == []
    assert report(installs) == ["install.installed"]


@pytest.mark.parametrize("outcome", ["installed", "failed"])
def test_what_has_ended_is_not_taken_back(outcome: str) -> None:
    """Nor when its report is on its way to the disk."""
    installs = new()
    watch(installs, *ONE_BOOT)
    result = installs.callback(installs.token(KEY), outcome, "", 100.0)
    assert ([], []) == installs.cancel(KEY, 101.0)
    installs.committed(result.changes[0], Verdict.DURABLE, 102.0)
    assert ([], []) == installs.cancel(KEY, 103.0)
    assert InstallState(outcome) is state(installs)


@pytest.mark.parametrize("before", STATES, ids=lambda before: before.value)
def test_a_machine_is_retired(before: InstallState) -> None:
    """From every state, once; what it reports counts no more, nothing moves it; only arming takes it back."""
    installs = new(InstallRecord(KEY, before, "alma9", 2, reason="broken", log="why"))
    token = installs.token(KEY)
    changes, _ = installs.retire(KEY, 10.0)
    assert (before is not S.RETIRED) == len(changes)
    assert not installs.armed(KEY)
    if before is not S.RETIRED:
        assert [InstallRecord(KEY, S.RETIRED, "alma9", 0, 2, 10.0)] == changes
        assert CallbackStatus.STALE is installs.callback(token, "installed", "", 20.0).status
    watch(installs, *ONE_BOOT, now=30.0)
    assert ([], []) == installs.cancel(KEY, 100.0)
    assert (S.RETIRED, NEVER) == (state(installs), installs.deadline())
    assert S.NEW is installs.rearm(KEY, 110.0)[0][0].state


# Any order of things

STEPS = st.lists(
    st.one_of(
        st.sampled_from(sorted(OBSERVABLE, key=lambda e: e.name)),
        st.sampled_from(
            ["installed", "failed", "stale", "rearm", "cancel", "retire", "tick", "restart", "durable", "lost"]
        ),
    ),
    max_size=40,
)


class Life:
    """One machine, its server and its store, which writes in order and sometimes fails."""

    def __init__(self) -> None:
        self.installs = new(timeout_s=500.0)
        self.stored: dict[str, InstallRecord] = {}
        self.queue: list[tuple[InstallRecord, bool]] = []  # (change, a callback waits for it)
        self.acknowledged = 0  # the generation whose "installed" was answered 200
        self.old_token = ""
        self.now = 0.0

    def step(self, step: Evidence | str) -> None:
        self.now += 7.0
        if isinstance(step, Evidence):
            self.say(self.installs.observe(KEY, step, "alma9", self.now)[0])
        elif step in ("installed", "failed"):
            result = self.installs.callback(self.installs.token(KEY), step, "", self.now)
            self.queue += [(change, step == "installed") for change in result.changes]
        elif step == "stale":
            assert self.installs.callback(self.old_token, "installed", "", self.now).changes == ()
        elif step == "rearm":
            self.old_token = self.installs.token(KEY)
            self.say(self.installs.rearm(KEY, self.now)[0])
        elif step == "retire":
            before, token = state(self.installs), self.installs.token(KEY)
            self.old_token = token if before is not S.RETIRED else self.old_token
            self.say(self.installs.retire(KEY, self.now)[0])
        elif step == "cancel":
            self.say(self.installs.cancel(KEY, self.now)[0])
        elif step == "tick":
            self.now += 400.0
            self.say(self.installs.tick(self.now)[0])
        elif step == "restart":
            self.queue.clear()
            self.installs = new(*self.stored.values(), timeout_s=500.0)
            if self.installs.token(KEY) == self.old_token:
                self.old_token = ""  # the arming that replaced it was never written, so it is valid again
        else:
            self.write(step == "durable")

    def say(self, changes: list[InstallRecord]) -> None:
        self.queue += [(change, False) for change in changes]

    def write(self, durable: bool) -> None:
        """Everything queued is written, or none of it."""
        batch, self.queue = self.queue, []
        for change, _ in batch:
            if durable:
                self.stored[change.key] = change
        for change, is_end in batch:
            self.installs.committed(change, Verdict.DURABLE if durable else Verdict.FAILED, self.now)
            if durable and is_end:
                self.acknowledged = change.generation


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_any_life_keeps_the_promises(steps: list[Evidence | str]) -> None:
    """In any order, with failed writes and restarts: states go back only by another boot, by arming or by a restart that lost what
    was never acknowledged; attempts grow until armed again; an acknowledged end stays; the store ends up equal to the memory."""
    life = Life()
    for step in steps:
        before = life.installs.record(KEY) or InstallRecord(KEY, S.NEW)
        life.step(step)
        after = life.installs.record(KEY) or InstallRecord(KEY, S.NEW)
        if step != "restart":
            begun = step == "rearm" or (step == "retire" and before.state is not S.RETIRED)
            assert after.generation == before.generation + begun
            if STATES.index(after.state) < STATES.index(before.state):
                assert step in (E.ASKED, E.LOADING, "rearm") or after.state is S.INSTALLED
            assert after.attempts >= before.attempts or begun
            if after.state is S.INSTALLED and before.state is not S.INSTALLED:
                assert step == "durable"
        stored = life.stored.get(KEY)
        if life.acknowledged and stored is not None and stored.generation == life.acknowledged:
            assert stored.state is S.INSTALLED
        assert after.attempts <= 3
    for _ in range(3):
        life.write(True)
        life.now += RETRY_S
        life.say(life.installs.tick(life.now)[0])
    life.write(True)
    assert life.stored.get(KEY) == life.installs.record(KEY)
    assert not life.installs._reports
