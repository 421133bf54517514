"""What the clouds announce, as their metadata services say it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agad.executor.jobs import Ec2Notices, GcpNotices, MetadataError, Notice, wait_for_notice
from tests.executor.jobs.metadata import Metadata, metadata_service

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with metadata_service() as state:
        yield state


def test_ec2_announces_nothing_until_it_announces_the_end(metadata: Metadata) -> None:
    notices = Ec2Notices(metadata.address, lambda: NOW)
    assert notices.look() is None
    assert notices.look() is None
    metadata.interrupt(NOW + timedelta(seconds=118))
    assert notices.look() == Notice(reason="EC2 announced: terminate", within_s=118.0)
    assert metadata.num_tokens == 1


def test_a_token_of_ec2_that_is_too_old_is_replaced(metadata: Metadata) -> None:
    notices = Ec2Notices(metadata.address, lambda: NOW)
    notices.look()
    metadata.tokens.clear()
    metadata.interrupt(NOW - timedelta(seconds=3))
    assert notices.look() == Notice(reason="EC2 announced: terminate", within_s=0.0)
    assert metadata.num_tokens == 2


@pytest.mark.parametrize("text", ["{}", "gone", '{"action": "stop", "time": "soon"}', "[]"])
def test_what_is_no_announcement_of_ec2_is_an_error(metadata: Metadata, text: str) -> None:
    metadata.action = text
    with pytest.raises(MetadataError, match=r"answered .*, but must speak its cloud's protocol"):
        Ec2Notices(metadata.address).look()


@pytest.mark.parametrize(
    ("preempted", "maintenance", "within_s"),
    [
        ("FALSE", "NONE", None),
        ("FALSE", "MIGRATE_ON_HOST_MAINTENANCE", None),
        ("TRUE", "NONE", 30.0),
        ("FALSE", "TERMINATE_ON_HOST_MAINTENANCE", 60.0),
        ("TRUE", "TERMINATE_ON_HOST_MAINTENANCE", 30.0),
    ],
)
def test_google_announces_preemption_and_maintenance(
    metadata: Metadata, preempted: str, maintenance: str, within_s: float | None
) -> None:
    metadata.preempted, metadata.maintenance = preempted, maintenance
    notice = GcpNotices(metadata.address).look()
    assert (notice and notice.within_s) == within_s


def test_a_service_that_falls_silent_is_waited_for(
    metadata: Metadata, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        metadata.is_ill = len(waits) in (1, 2)
        if len(waits) == 4:
            metadata.preempted = "TRUE"

    assert wait_for_notice(GcpNotices(metadata.address), sleep).within_s == 30.0
    assert waits == [5.0] * 4
    assert caplog.text.count("answered status 503") == 1


def test_a_machine_of_another_cloud_is_told_at_once(metadata: Metadata) -> None:
    with pytest.raises(MetadataError, match="run this on a machine of the cloud that --cloud"):
        wait_for_notice(Ec2Notices("http://127.0.0.1:1"))
    metadata.is_ill = True
    with pytest.raises(MetadataError, match="answered status 503 for preempted"):
        wait_for_notice(GcpNotices(metadata.address))


def test_a_proxy_is_not_asked(metadata: Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert GcpNotices(metadata.address).look() is None
