"""Each thing that is wrong is named once, with what to do about it."""

from dataclasses import replace
from typing import Any

import pytest

from sidecar.core.report import (
    CheckReport,
    ContainersReport,
    NginxReport,
    NodeState,
    PeerReport,
    Problem,
    ProcessReport,
    Report,
    Role,
    ServiceState,
    Severity,
    SiteReport,
    Validity,
    VipReport,
)
from sidecar.core.show.problems import find
from sidecar.core.sync_report import Hold, PeerSync, SyncReport

OWN = NodeState(node="192.0.2.11", version="1", role=Role.MASTER, eligible=True)
THEIRS = NodeState(node="192.0.2.12", version="1", role=Role.BACKUP, eligible=True)
PEER = PeerReport(node=THEIRS.node, linked=True, state=THEIRS, age=0.1, clock_skew=0.0)
DOWN = SiteReport(host="app.test", path="/", up=False, replicas={"192.0.2.11": {"unhealthy": 1}})
SILENT = replace(DOWN, up=None)
UP, GONE = replace(DOWN, up=True), replace(DOWN, replicas={})
VIP = VipReport(address="192.0.2.10", held=True, leased=True)
WELL = Report(
    node=OWN,
    started=0.0,
    priority=240,
    peers=(PEER,),
    vips=(VIP,),
    processes=(ProcessReport(name="nginx", state=ServiceState.RUNNING),),
    checks=(CheckReport(name="gateway", up=None, hard=False),),
    sync=SyncReport(
        paths=("/etc/nginx",),
        head="a" * 64,
        draft=("/etc/nginx/a.conf",),
        draft_count=1,
        peers=(PeerSync(node=THEIRS.node, in_sync=None, error="an old one"),),
    ),
)


def syncing(**changes: Any) -> Report:  # noqa: ANN401 - fields of any type
    assert WELL.sync is not None
    return replace(WELL, sync=replace(WELL.sync, **changes))


def test_a_lease_that_a_remapped_root_cannot_renew_is_not_blamed_on_capabilities() -> None:
    report = replace(WELL, vips=(replace(VIP, leased=False),))
    (here,), (elsewhere,) = find(report, remapped=True), find(report)
    assert "userns_mode: host" in here.hint
    assert "cap_add" not in here.hint
    assert "cap_add" in elsewhere.hint


def test_a_keepalived_without_inotify_comes_with_the_limit_to_raise() -> None:
    deaf = ProcessReport(
        name="keepalived",
        state=ServiceState.BACKOFF,
        error="killed by SIGKILL: Unable to monitor track files",
    )
    (problem,) = find(replace(WELL, processes=(deaf,)))
    assert "fs.inotify.max_user_instances" in problem.hint


def test_a_node_that_is_well_has_no_problems() -> None:
    assert find(WELL) == ()


@pytest.mark.parametrize(
    ("report", "code", "severity"),
    [
        (
            replace(WELL, processes=(ProcessReport(name="nginx", state=ServiceState.BACKOFF),)),
            "process-down",
            Severity.ERROR,
        ),
        (
            replace(WELL, nginx=NginxReport(enabled=True, config_error="unknown directive")),
            "nginx-config",
            Severity.ERROR,
        ),
        (replace(WELL, vips=(replace(VIP, leased=False),)), "vip-not-leased", Severity.ERROR),
        (replace(WELL, vips=(replace(VIP, held=False),)), "vip-missing", Severity.ERROR),
        (replace(WELL, split_brain=True), "split-brain", Severity.ERROR),
        (
            replace(WELL, checks=(CheckReport(name="nginx", up=False, hard=True),)),
            "check-failed",
            Severity.ERROR,
        ),
        (
            replace(WELL, checks=(CheckReport(name="gateway", up=False, hard=False),)),
            "check-failed",
            Severity.WARNING,
        ),
        (
            replace(WELL, peers=(PeerReport(node="192.0.2.12", linked=False),)),
            "peer-unlinked",
            Severity.WARNING,
        ),
        (replace(WELL, peers=(replace(PEER, linked=False),)), "peer-unlinked", Severity.WARNING),
        (
            replace(WELL, peers=(PeerReport(node="192.0.2.12", linked=False, stranger=True),)),
            "nodes-differ",
            Severity.ERROR,
        ),
        (
            replace(
                WELL,
                peers=(PeerReport(node="192.0.2.12", linked=False, error="the HA_SECRET differs"),),
            ),
            "wrong-secret",
            Severity.WARNING,
        ),
        (
            replace(WELL, peers=(replace(PEER, state=replace(THEIRS, settings="other")),)),
            "settings-differ",
            Severity.ERROR,
        ),
        (
            replace(WELL, peers=(replace(PEER, state=replace(THEIRS, version="2")),)),
            "versions-differ",
            Severity.WARNING,
        ),
        (
            replace(WELL, peers=(replace(PEER, clock_skew=-7.0),)),
            "clock-skew",
            Severity.WARNING,
        ),
        (replace(WELL, node=replace(OWN, draining=True)), "draining", Severity.WARNING),
        (syncing(draft_error="unknown directive"), "sync-draft", Severity.WARNING),
        (syncing(draft=(), draft_error="unknown directive"), "sync-draft", Severity.WARNING),
        (syncing(rejected={"b" * 64: "no such certificate"}), "sync-rejected", Severity.ERROR),
        (syncing(overridden=("/etc/nginx/a.conf",)), "sync-conflict", Severity.WARNING),
        (syncing(holds=(Hold(reason="emptied", message="gone"),)), "sync-held", Severity.WARNING),
        (
            syncing(peers=(PeerSync(node=THEIRS.node, in_sync=False, error="full disk"),)),
            "sync-failed",
            Severity.WARNING,
        ),
        (replace(WELL, part_failures={"http": 2, "links": 0}), "part-failed", Severity.WARNING),
        (
            replace(WELL, containers=ContainersReport(error="no socket")),
            "docker-unreachable",
            Severity.WARNING,
        ),
        (
            replace(WELL, containers=ContainersReport(ignored=("container a: why",))),
            "container-ignored",
            Severity.WARNING,
        ),
        (
            replace(WELL, containers=ContainersReport(sites=(DOWN, UP, GONE, SILENT))),
            "site-down",
            Severity.WARNING,
        ),
    ],
)
def test_what_is_wrong_is_named(report: Report, code: str, severity: Severity) -> None:
    (problem,) = find(report)
    assert (problem.code, problem.severity) == (code, severity)
    assert problem.message


def test_many_sites_that_are_down_are_not_all_named() -> None:
    sites = tuple(replace(DOWN, host=f"h{number}.test") for number in range(25))
    found = find(replace(WELL, containers=ContainersReport(sites=sites)))
    assert len(found) == 10
    assert "(and 15 more)" in found[0].message


def test_a_linked_peer_that_has_said_nothing_yet_is_no_problem() -> None:
    assert find(replace(WELL, peers=(replace(PEER, state=None),))) == ()


def test_a_backup_without_the_vip_is_well() -> None:
    backup = replace(OWN, role=Role.BACKUP)
    assert find(replace(WELL, node=backup, vips=(replace(VIP, held=False),))) == ()


def test_what_sync_waits_for_is_told_with_the_way_out() -> None:
    hold = Hold(reason="emptied", message="no file is left", hint="put them back")
    (problem,) = find(syncing(holds=(hold,)))
    assert (problem.message, problem.hint) == (
        "sync waits (emptied): no file is left",
        "put them back",
    )


def test_a_change_that_does_not_work_is_told_by_its_files() -> None:
    paths = tuple(f"/etc/nginx/{letter}.conf" for letter in "abc")
    (problem,) = find(syncing(draft=paths, draft_count=200, draft_error="[emerg] no"))
    assert problem.message == "not accepted, so only on this node: a.conf and 199 more: [emerg] no"


def test_what_a_merge_has_overridden_is_told_by_its_files() -> None:
    paths = tuple(f"/etc/nginx/{one}.conf" for one in "abc")
    (problem,) = find(syncing(overridden=paths, overridden_count=3))
    assert problem.message.endswith(": a.conf and 2 more")
    assert "`ha conflicts`" in problem.hint


def test_a_node_without_sync_has_no_problems_of_sync() -> None:
    assert find(replace(WELL, sync=None)) == ()


def test_errors_come_before_warnings() -> None:
    report = replace(WELL, node=replace(OWN, draining=True), split_brain=True)
    assert [problem.code for problem in find(report)] == ["split-brain", "draining"]


def test_what_nginx_says_is_said_once_with_what_to_do() -> None:
    words = '[emerg] unknown directive "stream" in /etc/nginx/nginx.conf:2'
    report = replace(
        syncing(draft_error=words),
        nginx=NginxReport(enabled=True, config_error=words),
        checks=(CheckReport(name="nginx", up=False, hard=True, message=words),),
    )
    problems = find(report)
    assert "".join(problem.message for problem in problems).count("[emerg]") == 1
    assert "ngx_stream_module.so" in problems[0].hint


def test_a_port_of_another_program_is_said_once() -> None:
    words = "exit code 1: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"
    report = replace(
        WELL,
        processes=(ProcessReport(name="nginx", state=ServiceState.BACKOFF, error=words),),
        checks=(CheckReport(name="nginx", up=False, hard=True, message=words),),
    )
    (problem,) = find(report)
    assert words in problem.message
    assert "ss -tulnp" in problem.hint


def test_the_addresses_of_a_node_that_has_just_changed_its_role_are_on_their_way() -> None:
    report = replace(WELL, vips=(replace(VIP, held=False), replace(VIP, leased=False)))
    assert find(report, settling=True) == ()


def test_a_problem_reads_as_what_is_wrong_and_what_to_do() -> None:
    problem = Problem(code="port-taken", severity=Severity.ERROR, message="80 is taken")
    assert str(problem) == "80 is taken"
    assert str(replace(problem, hint="free it")) == "80 is taken\n    free it"


def test_a_node_that_is_alone_says_what_it_waits_for() -> None:
    (problem,) = find(replace(WELL, peers=(PeerReport(node="192.0.2.12", linked=False),)))
    assert "until it joins, this node serves alone" in problem.hint
    (problem,) = find(replace(WELL, peers=(replace(PEER, linked=False),)))
    assert "serves alone" not in problem.hint


@pytest.mark.parametrize(
    ("now", "code", "severity"),
    [
        (0.0, None, None),  # not valid yet
        (175.0, None, None),
        (176.0, "certificate-ends", Severity.WARNING),
        (199.9, "certificate-ends", Severity.WARNING),
        (200.0, "certificate-expired", Severity.ERROR),
    ],
)
def test_a_certificate_that_was_not_renewed_is_named(
    now: float, code: str | None, severity: Severity | None
) -> None:
    certificates = {"/etc/nginx/certs/a.pem": Validity(not_before=100.0, not_after=200.0)}
    report = replace(
        WELL,
        node=replace(OWN, clock=now),
        nginx=replace(WELL.nginx, certificates=certificates),
    )
    report = replace(report, peers=())
    found = [(problem.code, problem.about, problem.severity) for problem in find(report)]
    assert found == ([(code, "certs/a.pem", severity)] if code else [])


def test_of_many_expired_certificates_some_are_named() -> None:
    expired = {
        f"/etc/{number}.pem": Validity(not_before=0.0, not_after=1.0) for number in range(20)
    }
    report = replace(
        WELL, node=replace(OWN, clock=2.0), nginx=replace(WELL.nginx, certificates=expired)
    )
    problems = [one for one in find(report) if one.code == "certificate-expired"]
    assert len(problems) == 10
    assert all(one.message.endswith("(and 10 more)") for one in problems)
