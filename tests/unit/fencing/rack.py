"""A rack of devices whose agent is a real program: a script that behaves as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.clock import SystemClock
from reconciler.fencing.devices import FenceDevices
from reconciler.fencing.secrets import Credentials
from reconciler.model.health import AttemptEnd
from reconciler.model.host import FencingLevel, Host, HostSpec
from reconciler.model.policy import HighAvailability
from reconciler.model.resource import Metadata
from reconciler.model.secret_ref import SecretRef

AGENT = "fence_redfish"  # one that is believed without a list
_SCRIPT = """\
#!/bin/sh
# `plug` is the file that has the power; `mode` is how the device behaves. Every call is written down.
while IFS= read -r line; do
    name=${line%%=*} value=${line#*=}
    case $name in
        action) action=$value ;; plug) plug=$value ;; mode) mode=$value ;; password) password=$value ;;
    esac
    printf '%s\\n' "$line" >>"$plug.said"
done
env >"$plug.env"
tr '\\0' ' ' </proc/$$/cmdline >"$plug.arguments"
printf '%s\\n' "$action" >>"$plug.log"
hang() { echo $$ >"$plug.pid"; setsid sleep 1000 & echo $! >"$plug.child"; sleep 1000; }
case $action:$mode in
    list:*) printf '%s,%s\\n' "$plug" rack-1; exit 0 ;;
    *:hang | off:hang-off) hang ;;
    *:leak) echo "2026-11-23 09:00:00,123 ERROR: Login with '$password' denied" >&2; exit 1 ;;
    *:flood) head -c 3000000 /dev/zero | tr '\\0' x; exit 1 ;;
    *:deaf) exit 1 ;;
    *:broken) exit 139 ;;
esac
case $action in
    status) if [ "$(cat "$plug")" = off ]; then echo "Status: OFF"; exit 2; else echo "Status: ON"; exit 0; fi ;;
    off)
        case $mode in
            lie) ;;
            refuse) echo "Failed: Timed out waiting to power OFF" >&2; exit 1 ;;
            early) (sleep 0.6; echo off >"$plug") >/dev/null 2>&1 </dev/null & sleep 1 ;;
            children) setsid sleep 1000 & echo $! >"$plug.child"; echo off >"$plug" ;;
            *) echo off >"$plug" ;;
        esac
        echo "Success: Powered OFF" ;;
esac
"""


@dataclass
class Attempts:
    """What an AttemptLog was told, in order."""

    began_: list[tuple[int, str]] = field(default_factory=list)
    ended_: list[tuple[int, AttemptEnd, str]] = field(default_factory=list)
    on_begin: Callable[[], None] = lambda: None
    on_off: Callable[[], None] = lambda: None

    def began(self, level: int, agent: str) -> int:
        self.began_.append((level, agent))
        self.on_begin()
        return len(self.began_)

    def ended(self, attempt: int, end: AttemptEnd, message: str) -> None:
        self.ended_.append((attempt, end, message))

    def before_off(self) -> None:
        self.on_off()

    @property
    def ends(self) -> list[AttemptEnd]:
        return [end for _, end, _ in self.ended_]


@dataclass
class Rack:
    """Devices in `folder`; each outlet is a file."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.agents.mkdir()
        self.credentials.mkdir()
        self.install(AGENT, _SCRIPT)
        self.environ["CREDENTIALS_DIRECTORY"] = str(self.credentials)

    @property
    def agents(self) -> Path:
        return self.folder / "agents"

    @property
    def credentials(self) -> Path:
        return self.folder / "credentials"

    def install(self, name: str, script: str) -> Path:
        path = self.agents / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    def devices(self, *, seconds: int = 10, **policy: object) -> FenceDevices:
        settings = {"agent_directory": str(self.agents), "fence_timeout": f"{seconds}s", **policy}
        ha = HighAvailability.model_validate(settings, strict=False)
        return FenceDevices(ha, SystemClock(), credentials=Credentials(self.environ))

    def outlet(self, name: str, power: str = "on") -> Path:
        path = self.folder / name
        path.write_text(power)
        return path

    def level(self, outlet: Path, mode: str = "obey", agent: str = AGENT, **secrets: SecretRef) -> FencingLevel:
        return FencingLevel(agent=agent, parameters={"plug": str(outlet), "mode": mode}, secrets=secrets)


def host(*levels: FencingLevel, name: str = "h1", annotations: Mapping[str, str] | None = None) -> Host:
    return Host(
        api_version="reconciler/v1",
        kind="Host",
        metadata=Metadata(name=name, annotations=dict(annotations or {})),
        spec=HostSpec(uri="qemu+ssh://h1.example/system", fencing=levels),
    )


def said(outlet: Path) -> list[str]:
    """The lines that the agent was told."""
    return Path(f"{outlet}.said").read_text().splitlines()


def asked(outlet: Path) -> list[str]:
    """What the agent was asked for, in order."""
    log = Path(f"{outlet}.log")
    return log.read_text().splitlines() if log.exists() else []


def never() -> threading.Event:
    """A stop that nobody sets."""
    return threading.Event()
