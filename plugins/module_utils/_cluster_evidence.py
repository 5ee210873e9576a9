# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""What the modules that ask the API server have in common: their options, how they end, and where their result goes."""

from __future__ import annotations

import signal
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._access import (
    KUBERNETES_IMPORT_ERROR,
    KUBERNETES_REQUIREMENT,
    ConfigurationMistake,
    access,
)
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._auth_arguments import API_ARGUMENTS
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._files import write_lists
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._time import utc_now
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._x509 import CRYPTOGRAPHY_IMPORT_ERROR

ARGUMENTS: Data = {
    **API_ARGUMENTS,
    "page_size": {"type": "int", "default": 500},
    "dest": {"type": "path"},
}
"""The options of every module, and those of the doc fragment ``cluster_evidence``."""

Collector = t.Callable[[Api, Data], tuple[Data, Data]]
"""Takes the server and the module's parameters; gives the evidence and the counts that stand for it when it goes to a file.
Every ApiError is the collector's own to note in ``not_seen``."""


class ClusterModule(AnsibleModule):
    """A module that keeps a kubeconfig given as a dictionary, which holds credentials, out of the machine's log.

    The option cannot be ``no_log``: its usual value is a path, which messages must be able to name.
    """

    def _log_invocation(self) -> None:
        given = self.params["kubeconfig"]
        self.params["kubeconfig"] = _shown(given)
        try:
            super()._log_invocation()
        finally:
            self.params["kubeconfig"] = given


def _shown(kubeconfig: t.Any) -> str | None:
    return kubeconfig if isinstance(kubeconfig, (str, type(None))) else "<kubeconfig>"


def _end(_number: int, _frame: t.Any) -> t.NoReturn:
    raise SystemExit(143)


def connect(module: ClusterModule, *bounded: str) -> tuple[Api, Data]:
    """The server, and the module's parameters. Ends the module when a library is missing, when the access cannot be used, or when one of
    ``bounded``, options of whole numbers, is below 1."""
    # A play that is interrupted ends its modules so; the folder with the client's key is removed by an exit, not by a death.
    signal.signal(signal.SIGTERM, _end)
    params = dict(module.params)
    module.params["kubeconfig"] = _shown(
        params["kubeconfig"]
    )  # so that the invocation, which is printed, holds no credentials
    for problem, library in (
        (KUBERNETES_IMPORT_ERROR, KUBERNETES_REQUIREMENT),
        (CRYPTOGRAPHY_IMPORT_ERROR, "cryptography >= 42"),
    ):
        if problem:
            module.fail_json(msg=missing_required_lib(library), exception=problem)
    for option in bounded:
        if params[option] < 1:
            module.fail_json(msg=f"option {option}: must be at least 1, not {params[option]}")
    try:
        api = Api(access(params, module.tmpdir), params["request_timeout"])
    except ConfigurationMistake as error:
        module.fail_json(msg=str(error))
    for warning in api.access.warnings:
        module.warn(f"kubernetes client: {warning}")
    return api, params


def run(module: ClusterModule, collect: Collector) -> t.NoReturn:
    """Runs ``collect`` and ends the module: with the evidence, or with ``dest`` and the counts.

    An API server that does not answer is a finding, so the module succeeds; what the user has to correct fails it.
    """
    api, params = connect(module, "request_timeout", "page_size")
    started = utc_now()
    evidence, counts = collect(api, params)
    evidence = {"collected_at": started, **evidence}
    told: Data = {"reachable": api.answered, "requests": api.requests}
    if params["dest"]:
        try:
            write_lists(params["dest"], evidence)
        except OSError as error:
            module.fail_json(
                msg=f"option dest: {error.filename or params['dest']}: cannot be written: {error.strerror}"
            )
        kept = {"collected_at": started, "not_seen": evidence["not_seen"], "dest": params["dest"], **counts}
        module.exit_json(changed=False, **told, **kept)
    module.exit_json(changed=False, **told, **evidence)
