"""A command that looks at a large fleet, alone in a process as such commands are: python -m … CASE {host: URI}."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import closing
from multiprocessing import active_children

import msgspec

from reconciler.errors import HostError
from reconciler.hypervisor.interface import Fleet
from reconciler.hypervisor.libvirt_driver import LibvirtFleet
from reconciler.hypervisor.looking_fleet import LookingFleet


def children() -> list[int]:
    """Processes that this one has forked."""
    return sorted(child.pid for child in active_children() if child.pid is not None)


def told(fleet: Fleet, host: str) -> object:
    """What the host says, or its error, as plain values."""
    try:
        found = msgspec.structs.replace(fleet.host(host).read(pools_with_volumes=["default-pool"]), observed_at=0.0)
    except HostError as error:
        return [type(error).__name__, error.host, error.message, error.hint]
    return msgspec.to_builtins(found)


def main(case: str, uris: dict[str, str]) -> None:
    """Look, and print what came of it as JSON."""
    with closing(LookingFleet({})) as fleet:
        fleet.update(uris)
        if case == "same":
            several = {name: told(fleet, name) for name in uris}
            with closing(LibvirtFleet(uris, listens=False)) as one:
                same = several == {name: told(one, name) for name in uris}
            print(json.dumps({"processes": len(children()), "same": same, "connected": fleet.host("h1").connected}))
        elif case == "dead-child":
            os.kill(children()[0], signal.SIGKILL)
            print(json.dumps({name: told(fleet, name) for name in uris}))
        elif case == "hung-host":
            threading.Thread(target=told, args=(fleet, "hung"), daemon=True).start()
            print(json.dumps({name: told(fleet, name) for name in uris if name != "hung"}))
        else:
            print(json.dumps(children()), flush=True)
            signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
