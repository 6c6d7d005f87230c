from datetime import UTC, datetime, timedelta

import pytest

from sidecar.programs import nginx
from tests.integration.nginx.certificate import make_pair
from tests.integration.nginx.server import PATHS, write


def ends_in(days: int) -> float:
    return (datetime.now(UTC) + timedelta(days=days)).timestamp()


async def test_each_certificate_has_its_end_and_nothing_else_has_one() -> None:
    directory = make_pair("app.test", days=30)
    write("broken.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    (PATHS.nginx / "gone.pem").symlink_to("nowhere")
    (PATHS.nginx / "link.crt").symlink_to(directory / "fullchain.pem")
    found = await nginx.certificates(PATHS.nginx)
    assert found.keys() == {str(directory / "fullchain.pem"), str(PATHS.nginx / "link.crt")}
    for validity in found.values():
        assert validity.not_after == pytest.approx(ends_in(30), abs=60)
        assert validity.not_before == pytest.approx(ends_in(0), abs=60)


async def test_a_renewed_certificate_is_noticed() -> None:
    directory = make_pair("app.test", days=1)
    path = str(directory / "fullchain.pem")
    before = (await nginx.certificates(PATHS.nginx))[path]
    assert before.not_after == pytest.approx(ends_in(1), abs=60)
    make_pair("app.test", days=90)
    after = (await nginx.certificates(PATHS.nginx))[path]
    assert after.not_after == pytest.approx(ends_in(90), abs=60)
