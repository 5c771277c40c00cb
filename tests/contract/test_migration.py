"""What every implementation promises of a domain that goes from one host to another while it runs."""

import io
import os

import pytest
from msgspec.structs import replace

from reconciler.errors import HostRefused, LeadLost
from reconciler.hypervisor.interface import MigrationCall
from reconciler.model.domain import DiskConfig, DomainConfig
from reconciler.model.migration import DiskCopy, MigrationJob, MigrationRules
from reconciler.model.steps import MigrateDomain
from tests.contract.conftest import Ground
from tests.contract.objects import MIB, domain_config, pool_config, uuid_of
from tests.lab.waiting import wait_for

UUID = uuid_of("web-1")
SECONDS = 30
DISK = "f.web-1.root.raw"


def _step(ground: Ground, *disks: DiskCopy, bandwidth: int = 0) -> MigrateDomain:
    return MigrateDomain(
        domain="web-1",
        uuid=UUID,
        source=ground.host_name,
        target=ground.other_name,
        epoch=2,
        peer_uri=ground.other_uri,
        rules=MigrationRules(deadline=60.0, stall_after=30.0, bandwidth=bandwidth),
        address=ground.other_address,
        disks=disks,
        trusts_sharing=not disks,
    )


def _ended(ground: Ground, call: MigrationCall) -> None:
    """Simulated time passes with each look."""

    def has_ended() -> bool:
        ground.pass_time(1.0)
        ground.host.migration_job(UUID)
        return call.ended

    wait_for(has_ended, SECONDS, "the migration does not end")
    assert call.is_answered


def _running(ground: Ground, config: DomainConfig) -> None:
    ground.host.define_domain(config)
    ground.host.start_domain(UUID)


def _with_a_local_disk(ground: Ground) -> DiskCopy:
    """64 MiB of noise on the first host, an empty disk of that size on the other."""
    content = os.urandom(64 * MIB)
    path = f"{ground.local_path}/{DISK}"
    for host in (ground.host, ground.other):
        host.define_pool(pool_config(ground.local_path))
        host.create_volume("vms", DISK, format="raw", capacity=len(content))
    ground.host.upload_volume("vms", DISK, io.BytesIO(content), len(content), lambda _: None)
    _running(ground, domain_config("web-1", DiskConfig("vda", path, "raw")))
    return DiskCopy("vda", "vms", DISK, "raw", len(content), path)


def _job(ground: Ground) -> MigrationJob:
    """Once something was sent."""

    def under_way() -> MigrationJob | None:
        ground.pass_time(1.0)
        job = ground.host.migration_job(UUID)
        return job if job is not None and job.done > 0 else None

    return wait_for(under_way, SECONDS, "there is no job")


def test_a_domain_runs_on_the_target_with_its_new_epoch_and_is_gone_from_the_source(ground: Ground) -> None:
    config = domain_config()
    _running(ground, config)

    call = ground.host.begin_migration(_step(ground))
    _ended(ground, call)

    assert call.error is None
    there = ground.other.domain(UUID)
    assert (there.state, there.persistent, there.is_on_its_way) == ("running", True, False)
    for seen in (there.config, there.live):
        assert seen is not None
        assert seen.mark == replace(config.mark, epoch=2)  # type: ignore[type-var]
    assert ground.host.domain_by_name("web-1") is None
    went = ground.other.finished_migration(UUID)
    assert went is not None
    assert went.downtime is not None


def test_a_domain_that_goes_nowhere_has_no_job(ground: Ground) -> None:
    _running(ground, domain_config())

    assert ground.host.migration_job(UUID) is None
    assert ground.host.finished_migration(UUID) is None
    assert ground.other.migration_job(UUID) is None
    ground.host.abort_migration(UUID)
    assert ground.host.domain_state(UUID) == "running"


def test_what_the_last_look_raises_keeps_it_where_it_is(ground: Ground) -> None:
    """Such as a lead that was lost while the connection for it was opened."""
    _running(ground, domain_config())

    def lost() -> None:
        raise LeadLost("c1 does not lead any more")

    with pytest.raises(LeadLost):
        ground.host.begin_migration(_step(ground), lost)

    assert ground.host.migration_job(UUID) is None
    assert ground.host.domain_state(UUID) == "running"
    assert ground.other.domain_by_name("web-1") is None


def test_on_its_way_it_runs_at_the_source_waits_at_the_target_and_stays_where_it_is_aborted(ground: Ground) -> None:
    disk = _with_a_local_disk(ground)

    call = ground.host.begin_migration(_step(ground, disk, bandwidth=2 * MIB))
    job = _job(ground)

    there = ground.other.domain_by_name("web-1")
    assert ground.host.domain(UUID).state == "running"
    assert there is not None
    assert there.is_on_its_way
    assert 0 < job.done <= job.total
    assert job.total >= disk.capacity + domain_config().memory
    assert job.remaining > 0

    ground.host.abort_migration(UUID)
    _ended(ground, call)
    assert call.error is not None
    assert ground.host.domain(UUID).state == "running"
    assert not ground.host.domain(UUID).is_on_its_way
    wait_for(lambda: ground.other.domain_by_name("web-1") is None, SECONDS, "half of it is still there")


def test_a_local_disk_goes_with_it_and_the_one_at_the_source_stays(ground: Ground) -> None:
    disk = _with_a_local_disk(ground)

    call = ground.host.begin_migration(_step(ground, disk))
    _ended(ground, call)

    assert call.error is None
    assert ground.other.domain(UUID).state == "running"
    assert ground.host.volume("vms", DISK) is not None
    if ground.read_local is not None:
        assert ground.read_local(ground.host_name, DISK) == ground.read_local(ground.other_name, DISK)


@pytest.mark.parametrize(
    "rules", [{"compression": "xbzrle"}, {"connections": 2, "auto_converge": False}, {"tls": True}]
)
def test_a_domain_arrives_by_whatever_rules(ground: Ground, rules: dict[str, object]) -> None:
    _running(ground, domain_config())
    step = _step(ground)

    call = ground.host.begin_migration(replace(step, rules=replace(step.rules, **rules)))  # type: ignore[arg-type]
    _ended(ground, call)

    assert call.error is None
    assert ground.other.domain(UUID).state == "running"


def test_a_guest_that_is_made_to_stand_still_on_its_way_runs_on_where_it_arrives(ground: Ground) -> None:
    disk = _with_a_local_disk(ground)
    call = ground.host.begin_migration(_step(ground, disk, bandwidth=16 * MIB))
    _job(ground)

    ground.host.suspend_domain(UUID)
    _ended(ground, call)

    assert call.error is None
    assert ground.other.domain_state(UUID) == "running"


def test_a_guest_that_is_switched_over_runs_there_before_all_of_it_has_come(ground: Ground) -> None:
    _running(ground, domain_config())
    step = _step(ground, bandwidth=2 * MIB)
    call = ground.host.begin_migration(replace(step, rules=replace(step.rules, post_copy=True)))
    assert not _job(ground).is_switched

    ground.host.switch_to_post_copy(UUID)

    def has_switched() -> bool:
        ground.pass_time(0.1)
        job = ground.host.migration_job(UUID)
        return call.ended or (job is not None and job.is_switched and ground.host.domain(UUID).is_on_its_way)

    wait_for(has_switched, SECONDS, "it is not switched over")
    _ended(ground, call)
    assert call.error is None
    there = ground.other.domain(UUID)
    assert (there.state, there.is_on_its_way) == ("running", False)
    assert ground.host.domain_by_name("web-1") is None


def test_a_guest_whose_move_does_not_allow_it_is_not_switched_over(ground: Ground) -> None:
    _running(ground, domain_config())
    call = ground.host.begin_migration(_step(ground, bandwidth=2 * MIB))
    _job(ground)

    with pytest.raises(HostRefused):
        ground.host.switch_to_post_copy(UUID)

    ground.host.abort_migration(UUID)
    _ended(ground, call)
    assert ground.host.domain_state(UUID) == "running"


def test_a_guest_that_stood_still_and_is_to_stay_after_all_runs_on(ground: Ground) -> None:
    disk = _with_a_local_disk(ground)
    call = ground.host.begin_migration(_step(ground, disk, bandwidth=2 * MIB))
    _job(ground)
    ground.host.suspend_domain(UUID)

    ground.host.abort_migration(UUID)
    _ended(ground, call)

    wait_for(lambda: ground.host.domain_state(UUID) == "running", SECONDS, "it stands still")


def test_a_domain_that_is_off_goes_as_its_definition_with_its_new_epoch(ground: Ground) -> None:
    config = domain_config()
    ground.host.define_domain(config)

    call = ground.host.begin_migration(replace(_step(ground), cold=True))
    _ended(ground, call)

    assert call.error is None
    there = ground.other.domain(UUID)
    assert (there.state, there.persistent) == ("shutoff", True)
    assert there.config.mark == replace(config.mark, epoch=2)  # type: ignore[type-var]
    assert ground.host.domain_by_name("web-1") is None


def test_a_guest_that_was_saved_to_a_file_stays_with_it(ground: Ground) -> None:
    """Libvirt would move the definition, and forget what the guest was doing."""
    _running(ground, domain_config())
    ground.save_guest("web-1")

    with pytest.raises(HostRefused, match="saved to a file"):
        ground.host.begin_migration(replace(_step(ground), cold=True))

    assert ground.host.domain(UUID).reason == "saved"
    assert ground.other.domain_by_name("web-1") is None


def test_of_a_domain_that_runs_after_all_the_definition_goes_and_it_runs_on(ground: Ground) -> None:
    """The two halves are told apart by who looks at both."""
    _running(ground, domain_config())

    call = ground.host.begin_migration(replace(_step(ground), cold=True))
    _ended(ground, call)

    assert ground.host.domain_state(UUID) == "running"
    assert ground.other.domain_state(UUID) == "shutoff"


@pytest.mark.parametrize("why", ["taken", "unreachable"])
def test_what_the_target_refuses_is_told_and_the_domain_runs_on(ground: Ground, why: str) -> None:
    _running(ground, domain_config())
    step = _step(ground)
    if why == "taken":
        ground.other.define_domain(replace(domain_config(), uuid=uuid_of("another")))
    else:
        ground.lose_other()

    call = ground.host.begin_migration(step)
    _ended(ground, call)

    assert call.error is not None
    assert ground.host.domain_state(UUID) == "running"
