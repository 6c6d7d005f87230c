from dataclasses import replace

import pytest

from sidecar.core.report import Details, PeerReport, Problem, Report, Role, Severity
from sidecar.core.show.wellness import unwell
from sidecar.core.sync_report import PeerSync, Progress, SyncReport
from tests.unit.reports import BACKUP, EMPTY, FULL, MASTER

PEER = PeerReport(node=BACKUP.node, linked=True, state=BACKUP, age=0.2)
SYNC = SyncReport(paths=("/etc/nginx",), peers=(PeerSync(node=BACKUP.node, in_sync=True),))
FETCHING = PeerSync(node=BACKUP.node, in_sync=False, fetching=Progress(done=1240, total=20_000))
WELL = replace(FULL, node=MASTER, peers=(PEER,), sync=SYNC, problems=())
OLDER = Problem(code="versions-differ", severity=Severity.WARNING, message="an upgrade")
BAD = Problem(code="x", severity=Severity.WARNING, message="it fails")


@pytest.mark.parametrize(
    "report",
    [
        WELL,
        replace(WELL, sync=None),
        replace(WELL, sync=replace(SYNC, peers=(PeerSync(node=BACKUP.node),))),
        replace(WELL, problems=(OLDER,)),
    ],
)
def test_a_pair_is_well_also_during_an_upgrade(report: Report) -> None:
    assert unwell(report) == ""


@pytest.mark.parametrize(
    ("report", "lacking"),
    [
        (
            replace(WELL, peers=(replace(PEER, linked=False),)),
            "no link to 192.0.2.12: not yet connected",
        ),
        (
            replace(WELL, peers=(PeerReport(node="192.0.2.12", linked=False, error="refused"),)),
            "no link to 192.0.2.12: refused",
        ),
        (
            replace(WELL, peers=(replace(PEER, state=replace(BACKUP, eligible=False)),)),
            "192.0.2.12 is not eligible: it is BACKUP",
        ),
        (
            replace(WELL, node=replace(MASTER, eligible=False, hard=("nginx",))),
            "192.0.2.11 is not eligible: nginx",
        ),
        (replace(WELL, node=replace(MASTER, role=Role.INIT)), "192.0.2.11 is INIT"),
        (replace(WELL, node=replace(MASTER, vips=())), "no node holds the VIP"),
        (
            replace(
                WELL,
                peers=(replace(PEER, state=replace(MASTER, node="192.0.2.12")),),
            ),
            "192.0.2.11 and 192.0.2.12 hold the VIP",
        ),
        (
            replace(WELL, sync=replace(SYNC, peers=(PeerSync(node="192.0.2.12", in_sync=False),))),
            "not in sync with 192.0.2.12",
        ),
        (
            replace(WELL, sync=replace(SYNC, peers=(FETCHING,))),
            "fetching 1,240 of 20,000 files from 192.0.2.12",
        ),
        (
            replace(
                WELL,
                sync=replace(SYNC, peers=(replace(FETCHING, fetching=None),)),
                peers=(
                    replace(PEER, details=Details(started=0.0, fetching=FETCHING.fetching)),
                    PeerReport(node="192.0.2.13", linked=True, state=BACKUP),
                ),
            ),
            "192.0.2.12 is fetching 1,240 of 20,000 files",
        ),
        (replace(WELL, problems=(OLDER, BAD)), "x on 192.0.2.11: it fails"),
        (
            replace(WELL, peers=(replace(PEER, details=Details(started=0.0, problems=(BAD,))),)),
            "x on 192.0.2.12: it fails",
        ),
        (EMPTY, "192.0.2.11 is not eligible: it is INIT"),
    ],
)
def test_what_is_missing_is_said(report: Report, lacking: str) -> None:
    assert unwell(report) == lacking
