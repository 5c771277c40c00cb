"""Settings of one run: flag over environment over file over default, each with where it came from."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Struct, field
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from reconciler.errors import ConfigurationError, UsageError
from reconciler.model.git_source import GitSource
from reconciler.model.ledger_store import EtcdLedger, LedgerSettings
from reconciler.model.metrics_settings import DEFAULT_LISTEN, OFF, MetricsTls
from reconciler.model.notifications import Receiver
from reconciler.model.policy import (
    Balance,
    Capture,
    HighAvailability,
    Limits,
    MassDeletionRule,
    Migration,
    Policy,
    RateLimit,
)
from reconciler.model.resource import Items
from reconciler.setting_errors import refused
from reconciler.setting_items import keys_of_items
from reconciler.specfiles.git_copy import followed
from reconciler.specfiles.yaml_documents import YamlError, parse

LogFormat = Literal["console", "json"]
Overrides = Mapping[str, str]
"""Settings by key, as written on the command line or in the environment: `{"stateDir": "/tmp/s"}`."""

DEFAULT_CONFIG_FILE: Final = Path("/etc/reconciler/config.yaml")
DEFAULT_STATE_DIR: Final = Path("/var/lib/reconciler")
_ENVIRONMENT_PREFIX: Final = "RECONCILER_"
_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "limits": Limits,
    "ha": HighAvailability,
    "migration": Migration,
    "balance": Balance,
    "metricsTls": MetricsTls,
    "capture": Capture,
    "massDeletion": MassDeletionRule,
    "rateLimit": RateLimit,
    "ledger.etcd": EtcdLedger,
    "git": GitSource,
}
_SECRET: Final = ("ledger.etcd.password",)
"""Keys whose values are never shown."""
_MAPPINGS: Final = frozenset(section.partition(".")[0] for section in _SECTIONS)


def _path(value: object) -> object:
    return Path(value) if isinstance(value, str) else value


FilePath = Annotated[Path, BeforeValidator(_path)]


class _Options(Policy):
    """Every key of the configuration file: the policy, and where things are."""

    specs: FilePath | None = None
    """Directory of specs; a path in the file is relative to the file."""
    state_dir: FilePath = DEFAULT_STATE_DIR
    """Where the ledger, cached images and inputs of passes are kept; one controller at a time."""
    ledger: LedgerSettings = LedgerSettings()
    """Where the ledger is kept."""
    git: GitSource = GitSource()
    """The repository that the specs are in, in place of `specs`."""
    log_format: LogFormat = "console"
    """Whether logs are lines for people or JSON."""
    metrics_listen: Annotated[str, Field(pattern=r"^(off|[0-9a-zA-Z.:\[\]-]+:[0-9]{1,5})$")] = DEFAULT_LISTEN
    """`ADDRESS:PORT` where `reconciler run` answers `/metrics`, `/healthz` and `/readyz`, or `off`. An address that
    other machines reach needs `metricsTls`."""
    notifications: Items[Receiver] = ()
    """Who is told what comes to be the matter with the fleet, and that it is over: a list of `{name, url, severity,
    kinds, names, matchLabels, resolved}`."""
    metrics_tls: MetricsTls = MetricsTls()
    """Who of other machines may ask."""


class Origin(Struct, frozen=True):
    """One setting as `config show` prints it."""

    key: str
    """As in the configuration file, such as `limits.actionsPerHost`."""
    value: str
    source: str
    """`flag`, `environment RECONCILER_…`, `FILE:LINE` or `default`."""


class Settings(Struct, frozen=True):
    """What one run of the program was told."""

    specs: Path | None = None
    state_dir: Path = DEFAULT_STATE_DIR
    policy: Policy = field(default_factory=Policy)
    log_format: LogFormat = "console"
    metrics_listen: str | None = None
    """`ADDRESS:PORT`; see the configuration. None for nowhere."""
    metrics_tls: MetricsTls = field(default_factory=MetricsTls)
    notifications: tuple[Receiver, ...] = ()
    git: GitSource | None = None
    """The repository that is followed; `specs` is then where its newest commit is written."""
    etcd: EtcdLedger | None = None
    """Where several controllers share the ledger; None where it is a file of the state directory."""
    config_file: Path | None = None
    """The configuration file that was read; None where there was none."""
    interactive: bool = True
    """Whether the user may be asked; `--no-input` says no."""
    verbosity: int = 0
    """-1 quiet, 0 normal, 1 and more verbose."""
    origins: tuple[Origin, ...] = ()

    @property
    def fleet(self) -> str:
        return self.policy.fleet

    def specs_directory(self) -> Path:
        """The directory of specs; raises UsageError where none was named or it is none.

        Where none was, a command looks at what a controller that was told of a repository follows.
        """
        if self.specs is None and followed(self.state_dir).is_dir():
            return followed(self.state_dir)
        if self.specs is None:
            raise UsageError(
                "no directory of specs was named",
                hint="name it: reconciler COMMAND DIR, --specs DIR, RECONCILER_SPECS, or specs: in the configuration",
            )
        try:
            kind = self.specs.stat().st_mode
        except OSError as error:
            if self.git is not None:
                raise UsageError(
                    f"no commit of {self.git.url} was brought here yet",
                    hint="see what `reconciler run`, which fetches them, says in its log",
                ) from error
            raise _no_specs(self.specs, (error.strerror or "can't be read").lower()) from error
        if not stat.S_ISDIR(kind):
            raise _no_specs(self.specs, "not a directory")
        return self.specs


def load_settings(
    flags: Overrides | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    config_file: Path | None = None,
    interactive: bool = True,
    verbosity: int = 0,
) -> Settings:
    """Read the settings; `flags` are by key of the configuration file.

    Raises ConfigurationError, naming the place, for what is not understood, or a named file that is not there.
    """
    env = os.environ if environ is None else environ
    file = _config_file(config_file, env)
    from_file, lines = _read_file(file) if file else ({}, {})
    given = dict(_from_environment(env))
    chosen = dict(flags or {})
    merged = _merge(from_file, {key: value for key, (value, _) in given.items()}, chosen)
    sources = {
        **{key: f"{file}:{line}" for key, line in lines.items()},
        **{key: f"environment {variable}" for key, (_, variable) in given.items()},
        **dict.fromkeys(chosen, "flag"),
    }
    options = _validated(merged, sources)
    git = _git_of(options, sources)
    return Settings(
        specs=followed(options.state_dir) if git is not None else _specs_of(options, file, sources),
        git=git,
        state_dir=options.state_dir,
        policy=Policy.model_validate(
            options.model_dump(include=set(Policy.model_fields), round_trip=False), strict=False
        ),
        log_format=options.log_format,
        metrics_listen=None if options.metrics_listen == OFF else options.metrics_listen,
        metrics_tls=options.metrics_tls,
        notifications=options.notifications,
        etcd=options.ledger.etcd if options.ledger.etcd.endpoints else None,
        config_file=file,
        interactive=interactive and not env.get("RECONCILER_NO_INPUT"),
        verbosity=verbosity,
        origins=tuple(_origins(options, sources)),
    )


def _specs_of(options: _Options, file: Path | None, sources: Mapping[str, str]) -> Path | None:
    """A path in the configuration file is relative to that file."""
    return _beside(file, options.specs) if sources.get("specs", "").startswith(f"{file}:") else options.specs


def _git_of(options: _Options, sources: Mapping[str, str]) -> GitSource | None:
    """The repository, unless a directory was named in its place: by a flag beside the configuration, say."""
    named = {key: _rank(sources[key]) for key in ("specs", "git.url") if key in sources}
    if options.git.url is None or (options.specs is not None and named["specs"] < named["git.url"]):
        return None
    if options.specs is not None and named["specs"] == named["git.url"]:
        raise ConfigurationError(
            f"{sources['git.url']}: specs and git.url are both given, and the specs can be in one place only",
            hint="take one of them out",
        )
    if options.git.webhook_secret is not None and options.metrics_listen == OFF:
        raise ConfigurationError(
            f"{sources['git.webhookSecret']}: nobody listens for the webhook: metricsListen is off",
            hint=f"write metricsListen: {DEFAULT_LISTEN}, or take git.webhookSecret out",
        )
    return options.git


def _rank(source: str) -> int:
    """The lower goes before the higher."""
    return 0 if source == "flag" else 1 if source.startswith("environment ") else 2


def _no_specs(directory: Path, what: str) -> UsageError:
    hint = "name the directory that holds the specs; reconciler init DIR makes a first one"
    return UsageError(f"{directory}: {what}", hint=hint)


def setting_keys() -> tuple[str, ...]:
    """Every key that a configuration file may hold, `limits.actionsPerHost` and all."""
    flat = [_alias(name) for name in _Options.model_fields if _alias(name) not in _MAPPINGS]
    inner = [f"{section}.{_alias(name)}" for section, model in _SECTIONS.items() for name in model.model_fields]
    return tuple(sorted([*flat, *inner]))


def setting_meanings() -> Mapping[str, str]:
    """What each key means, in the words of the models; read from their sources, so for documentation only."""
    from reconciler.specfiles.json_schema import field_docstrings  # noqa: PLC0415  needed for nothing else

    flat = {**field_docstrings(Policy), **field_docstrings(_Options)}
    inner = {section: field_docstrings(model) for section, model in _SECTIONS.items()}
    return {
        **flat,
        **{f"{section}.{key}": text for section, texts in inner.items() for key, text in texts.items()},
    }


def item_meaning(key: str) -> str:
    """What a key of a list's items means, such as `windows.start`; empty for what is none. For documentation only."""
    from reconciler.specfiles.json_schema import field_docstrings  # noqa: PLC0415  needed for nothing else

    model, name = keys_of_items(_Options).get(key, (None, ""))
    return field_docstrings(model).get(name, "") if model is not None else ""


def item_keys() -> tuple[str, ...]:
    """Every key of what the configuration lists."""
    return tuple(keys_of_items(_Options))


def environment_variable(key: str) -> str:
    """`RECONCILER_LIMITS_ACTIONS_PER_HOST` for `limits.actionsPerHost`."""
    return _ENVIRONMENT_PREFIX + re.sub(r"(?<!^)(?<!_)([A-Z])", r"_\1", key.replace(".", "_")).upper()


# -- where settings come from ------------------------------------------------------------------------------------------


def _config_file(named: Path | None, env: Mapping[str, str]) -> Path | None:
    chosen = named or (Path(env["RECONCILER_CONFIG"]) if env.get("RECONCILER_CONFIG") else None)
    if chosen is not None:
        return chosen
    return DEFAULT_CONFIG_FILE if DEFAULT_CONFIG_FILE.exists() else None


def _read_file(file: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The file's content, and the line of each key."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"configuration {file} can't be read: {error.strerror}", hint="name another one with --config"
        ) from error
    from reconciler.specfiles.yaml_positions import locate  # noqa: PLC0415  PyYAML is seldom needed

    try:
        documents = [document for document in parse(text) if document.data is not None]
        index = locate(text)
    except YamlError as error:
        raise ConfigurationError(f"{file}:{error.line}:{error.column}: {error.message}", hint=error.hint) from error
    if not documents:
        return {}, {}
    first = documents[0]
    if len(documents) > 1 or not isinstance(first.data, dict):
        raise ConfigurationError(
            f"{file}: a configuration is one mapping of keys", hint="write `fleet: NAME` and the like"
        )
    lines = {".".join(map(str, path)): index.key_position(first.index, path).line for path in _paths(first.data)}
    return first.data, lines


def _beside(file: Path | None, path: Path | None) -> Path | None:
    """A path in the configuration file is relative to that file."""
    return path if file is None or path is None else file.parent / path


def _paths(data: Mapping[str, Any] | list[Any], before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        path = (*before, key)
        yield path
        if isinstance(value, dict | list):
            yield from _paths(value, path)


def _from_environment(env: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for key in setting_keys():
        variable = environment_variable(key)
        if env.get(variable):
            yield key, (env[variable], variable)


def _merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Later layers over earlier ones; `ha.x` goes into `ha`."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            _put(merged, key.split("."), value)
    return merged


def _put(into: dict[str, Any], path: list[str], value: Any) -> None:
    first, *rest = path
    if rest:
        inner = into.get(first)
        into[first] = dict(inner) if isinstance(inner, dict) else {}
        _put(into[first], rest, value)
    else:
        into[first] = value


# -- checking and telling ----------------------------------------------------------------------------------------------


def _validated(merged: Mapping[str, Any], sources: Mapping[str, str]) -> _Options:
    try:
        # Not strict: a flag or variable is text, and pydantic reads `true` and `64` out of it.
        return _Options.model_validate(merged, strict=False)
    except ValidationError as error:

        def place(key: str) -> str:
            return next((sources[outer] for outer in _outwards(key) if outer in sources), "configuration")

        known = (*setting_keys(), *keys_of_items(_Options))
        raise refused(error.errors(include_url=False), place, known, _SECRET) from error


def _outwards(key: str) -> Iterator[str]:
    """`a.b.c`, `a.b`, `a`."""
    while key:
        yield key
        key = key.rpartition(".")[0]


def _origins(options: _Options, sources: Mapping[str, str]) -> Iterator[Origin]:
    dumped = options.model_dump(mode="json", by_alias=True)
    flat = {key: value for key, value in dumped.items() if key not in _MAPPINGS}
    flat |= {f"{section}.{key}": value for section in _SECTIONS for key, value in _within(dumped, section).items()}
    for key in sorted(flat):
        yield Origin(key, _text(flat[key]), sources.get(key, "default"))


def _within(dumped: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    for part in section.split("."):
        dumped = dumped[part]
    return dumped


def _text(value: object) -> str:
    """As an environment variable would hold it."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return json.dumps(value)
    if isinstance(value, list):
        items = [str(item) for item in value]
        return (",".join if any(":" in item for item in items) else ":".join)(items)
    if isinstance(value, dict):  # a reference to a secret
        return next((f"{kind}:{name}" for kind, name in value.items() if name), "")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _alias(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
