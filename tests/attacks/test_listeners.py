"""Attack 35: metrics off loopback without TLS and authentication."""

from __future__ import annotations

import pytest

from reconciler.clock import SystemClock
from reconciler.config import load_settings
from reconciler.daemon.looking_on import LookingOn
from reconciler.errors import ExposedListener


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_35_metrics_for_other_machines_keep_the_daemon_from_starting(listen: str) -> None:
    settings = load_settings({"metricsListen": listen}, environ={})

    with pytest.raises(ExposedListener, match="metricsListen"), LookingOn(SystemClock()).served(settings):
        pytest.fail("it listens")
