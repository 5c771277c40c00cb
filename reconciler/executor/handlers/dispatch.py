"""From a step to the function that does it; a step without one does not type-check."""

from __future__ import annotations

from typing import assert_never

from reconciler.executor.context import ActionContext
from reconciler.executor.handlers import (
    adoption,
    capture,
    domains,
    drills,
    facilities,
    fencing,
    live,
    migration,
    power,
    renaming,
    restore,
    transfers,
    versions,
    volumes,
)
from reconciler.model import capture_steps, steps
from reconciler.model.restores import RestoreDisk, SwitchDisks


def perform(context: ActionContext) -> str:  # noqa: C901, PLR0912, PLR0915  # one line a step is the point of it
    """Do the action's step; returns once the host is as the step wants it, with what was done where only that tells.

    Raises ReconcilerError for what could not be done, PreconditionFailed where the world moved, HandedBack when asked
    to stop.
    """
    match context.action.step:
        case steps.FenceHost() as step:
            return fencing.fence_host(step, context)
        case steps.MigrateDomain() as step:
            return migration.migrate_domain(step, context)
        case steps.DrillImage() as step:
            return drills.drill_image(step, context, context.host())
        case steps.EndDrill() as step:
            drills.end_drill(step, context, context.host())
        case capture_steps.CaptureImage() as step:
            return capture.capture_image(step, context)
        case capture_steps.ReadVersions() as step:
            return capture.read_versions(step, context)
        case steps.FetchImage() as step:
            transfers.fetch_image(step, context)
        case steps.UploadImage() as step:
            transfers.upload_image(step, context, context.host())
        case steps.WriteSeed() as step:
            transfers.write_seed(step, context, context.host())
        case steps.DefinePool() as step:
            facilities.define_pool(step, context, context.host())
        case steps.StartPool() as step:
            facilities.start_pool(step, context, context.host())
        case steps.DefineNetwork() as step:
            facilities.define_network(step, context, context.host())
        case steps.StartNetwork() as step:
            facilities.start_network(step, context, context.host())
        case steps.CreateVolume() as step:
            volumes.create_volume(step, context, context.host())
        case RestoreDisk() as step:
            restore.restore_disk(step, context, context.host())
        case SwitchDisks() as step:
            restore.switch_disks(step, context, context.host())
        case steps.GrowVolume() as step:
            volumes.grow_volume(step, context, context.host())
        case steps.DeleteVolume() as step:
            volumes.delete_volume(step, context, context.host())
        case steps.DeleteVersion() as step:
            versions.delete_version(step, context, context.host())
        case steps.DefineDomain() as step:
            domains.define_domain(step, context, context.host())
        case steps.RedefineDomain() as step:
            domains.redefine_domain(step, context, context.host())
        case steps.AdoptDomain() as step:
            adoption.adopt_domain(step, context, context.host())
        case steps.RenameDomain() as step:
            renaming.rename_domain(step, context, context.host())
        case steps.SetAutostart() as step:
            domains.set_autostart(step, context, context.host())
        case steps.GrowDisk() as step:
            domains.grow_disk(step, context, context.host())
        case steps.EditLive() as step:
            live.edit_live(step, context, context.host())
        case steps.UndefineDomain() as step:
            domains.undefine_domain(step, context, context.host())
        case steps.StartDomain() as step:
            power.start_domain(step, context, context.host())
        case steps.StopDomain() as step:
            power.stop_domain(step, context, context.host())
        case unknown:
            assert_never(unknown)
    return ""
