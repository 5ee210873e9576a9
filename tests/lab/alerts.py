# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alerts on a real rotation failure: Prometheus scrapes a lab whose certificates live 8 minutes, with our rules and the mixin's.

The kubelets rotate for a while; then the binding that approves their requests is taken away, and nothing else is done: the next
rotation of node1 hangs, its certificate expires, its kubelet ends and cannot start again. Then it is mended. Prints what fired when
and writes it, with the series, as a recording (tests/alerts/recording.py). No duration in either set of rules is changed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import time
import typing as t
import urllib.parse

import yaml
from kubelab import certificates, lifecycle, running, settings

sys.path.insert(0, str(settings.REPOSITORY / "tests"))

from alerts import recording  # noqa: E402

NODE = "node1"
#: --cluster-signing-duration. The signer backdates by five minutes, so a certificate lives for eight.
SIGNED_FOR = "3m"
LIFETIME = 480
INTERVAL = 5
#: How long the nodes rotate before the fault, how long the certificate is left expired, and how long the mended cluster is watched.
HEALTHY, EXPIRED, MENDED = 270, 420, 150
BINDING = "kubeadm:node-autoapprove-certificate-rotation"
ADDRESS = f"{settings.BRIDGE_ADDRESS}:9090"
RULES = ("docs/manifests/alerts.rules.yml", "tests/alerts/mixin.rules.yml")
CSR = 'group="certificates.k8s.io",resource="certificatesigningrequests"'
#: What the rules read, and nothing else, is kept.
SERIES = (
    'up{job="kubelet"}',
    "kubelet_certificate_manager_client_ttl_seconds",
    "kubelet_certificate_manager_server_ttl_seconds",
    "kubelet_certificate_manager_client_expiration_renew_errors",
    "kubelet_server_expiration_renew_errors",
    f'apiserver_longrunning_requests{{{CSR},verb="WATCH",scope="resource"}}',
    f'apiserver_request_total{{{CSR},subresource="",verb="POST",code="201"}}',
    'apiserver_client_certificate_expiration_seconds_bucket{job="apiserver"}',
    'apiserver_client_certificate_expiration_seconds_count{job="apiserver"}',
)
FETCH = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())"


def configuration(state: pathlib.Path, nodes: t.Mapping[str, str], api_server: str) -> dict[str, t.Any]:
    """Prometheus' configuration: the targets and their labels as kube-prometheus has them. ``nodes`` maps names to addresses."""
    access = {
        "scheme": "https",
        "authorization": {"credentials_file": str(state / "prometheus/token")},
        "tls_config": {"insecure_skip_verify": True},
    }
    kubelets = [
        {"targets": [f"{address}:10250"], "labels": {"node": name, "metrics_path": "/metrics"}}
        for name, address in nodes.items()
    ]
    api = [{"targets": [f"{api_server}:{settings.API_PORT}"]}]
    return {
        "global": {"scrape_interval": f"{INTERVAL}s", "evaluation_interval": f"{INTERVAL}s"},
        "rule_files": [str(settings.REPOSITORY / path) for path in RULES],
        "scrape_configs": [
            {"job_name": "kubelet", **access, "static_configs": kubelets},
            {"job_name": "apiserver", **access, "static_configs": api},
        ],
    }


@contextlib.contextmanager
def prometheus(state: pathlib.Path, program: str) -> t.Iterator[None]:
    """Prometheus in the lab's network, reading with a service account's token as users' do."""
    folder = state / "prometheus"
    folder.mkdir()
    for command in (
        "create serviceaccount prometheus --namespace=kube-system",
        "create clusterrole prometheus --verb=get --resource=nodes/metrics --non-resource-url=/metrics",
        "create clusterrolebinding prometheus --clusterrole=prometheus --serviceaccount=kube-system:prometheus",
    ):
        running.kubectl(state, *command.split())
    token = running.kubectl(state, *"create token prometheus --namespace=kube-system --duration=4h".split()).stdout
    (folder / "token").write_text(token)
    machines = {machine.name: machine.address for machine in settings.machines(1)}
    config = configuration(state, machines, machines[settings.CONTROL_PLANE])
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        program,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={ADDRESS}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            running.enter_network(running.require_init(state), command),
            env=running.environment(state),
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def query(state: pathlib.Path, path: str, **parameters: t.Any) -> list[dict[str, t.Any]]:
    """An answer of Prometheus' HTTP API, asked from within the lab's network."""
    url = f"http://{ADDRESS}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    command = running.enter_network(running.require_init(state), [sys.executable, "-c", FETCH, url])
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout)["data"]["result"])


def samples(state: pathlib.Path, expression: str, start: float, count: int) -> dict[str, recording.Samples]:
    """Each series of an expression, by its selector, one sample an interval; None where it was absent."""
    end = start + (count - 1) * INTERVAL
    found: dict[str, recording.Samples] = {}
    for series in query(state, "query_range", query=expression, start=start, end=end, step=INTERVAL):
        values: recording.Samples = [None] * count
        for moment, value in series["values"]:
            values[round((moment - start) / INTERVAL)] = float(value)
        found[recording.selector(series["metric"])] = values
    return found


def watch(state: pathlib.Path, seconds: float, until: t.Callable[[float], bool] = lambda _ttl: False) -> None:
    """Wait so long, or until the gauge of NODE satisfies a condition; says twice a minute what is firing."""
    deadline = time.monotonic() + seconds
    told = 0.0
    while time.monotonic() < deadline:
        time.sleep(1)
        ttl = query(state, "query", query=f'kubelet_certificate_manager_client_ttl_seconds{{node="{NODE}"}}')
        if until(float(ttl[0]["value"][1]) if ttl else float("nan")):
            return
        if time.monotonic() - told >= 30:
            told = time.monotonic()
            alerts = query(state, "query", query='ALERTS{alertstate="firing"}')
            names = sorted({f"{entry['metric']['alertname']}/{entry['metric'].get('node', '')}" for entry in alerts})
            left = ttl[0]["value"][1] if ttl else "absent"
            print(
                f"{time.strftime('%T', time.gmtime())} gauge of {NODE}: {left}; firing: {', '.join(names)}", flush=True
            )


def mend(state: pathlib.Path) -> None:
    """What a person does: put the binding back, and let the node join again with a bootstrap token."""
    running.kubectl(state, "apply", "-f", str(state / "cluster.yml"), config="super-admin.conf")
    running.on(state, NODE, "systemctl", "stop", "kubelet")
    running.on(state, NODE, "sh", "-c", "rm -f /etc/kubernetes/kubelet.conf /var/lib/kubelet/pki/kubelet-client-*")
    certificates.bootstrap(state, NODE, None)
    certificates.restart_kubelet(state, NODE)


def record(state: pathlib.Path) -> recording.Recording:
    """Live through it all; gives what Prometheus saw."""
    start = time.time()
    events = {}
    watch(state, HEALTHY)
    running.kubectl(state, "delete", "clusterrolebinding", BINDING)
    events["the approving binding is deleted"] = round(time.time() - start)
    watch(state, 4 * 60, until=lambda ttl: ttl == float("inf"))
    watch(state, EXPIRED)
    mend(state)
    events["mended"] = round(time.time() - start)
    watch(state, MENDED)
    count = int((time.time() - start) // INTERVAL)
    kept = {name: values for expression in SERIES for name, values in samples(state, expression, start, count).items()}
    alerts = {
        name: recording.spans(values, INTERVAL)
        for name, values in samples(state, 'ALERTS{alertstate="firing"}', start, count).items()
    }
    gauge = next(values for name, values in kept.items() if "client_ttl_seconds" in name and f'node="{NODE}"' in name)
    last = max(index for index, value in enumerate(gauge) if value == float("inf"))
    valid = max(index for index, value in enumerate(gauge[:last]) if value is not None and value < float("inf"))
    return recording.Recording(
        interval=INTERVAL,
        samples=count,
        node=NODE,
        lifetime=LIFETIME,
        not_after=round(valid * INTERVAL + (gauge[valid] or 0)),
        events=events,
        series={name: recording.notation(values) for name, values in sorted(kept.items())},
        alerts=alerts,
    )


def main() -> int:
    """Gives the exit status."""
    parser = argparse.ArgumentParser(
        description="Prometheus, our alerts and the mixin's on a real rotation failure (17 minutes)."
    )
    parser.add_argument("--prometheus", default="prometheus", help="the program")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="where the recording is written")
    options = parser.parse_args()
    if running.find_init(settings.state_root()) is not None:
        raise SystemExit("A lab is running. This needs one of its own: end it first (`lab.py down`).")
    with lifecycle.lab(1, SIGNED_FOR) as state, prometheus(state, options.prometheus):
        record(state).save(options.output)
    print(f"recorded {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
