"""Every word that an event may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.simulator.command import Verb
from reconciler.simulator.verbs_controller import CONTROLLER_VERBS
from reconciler.simulator.verbs_fencing import FENCING_VERBS
from reconciler.simulator.verbs_hosts import HOST_VERBS
from reconciler.simulator.verbs_migration import MIGRATION_VERBS
from reconciler.simulator.verbs_people import PEOPLE_VERBS
from reconciler.simulator.verbs_sharing import SHARING_VERBS
from reconciler.simulator.verbs_versions import VERSION_VERBS

VERBS: Final[Mapping[str, Verb]] = {
    verb.name: verb
    for verb in (
        *HOST_VERBS,
        *PEOPLE_VERBS,
        *MIGRATION_VERBS,
        *CONTROLLER_VERBS,
        *FENCING_VERBS,
        *SHARING_VERBS,
        *VERSION_VERBS,
    )
}
