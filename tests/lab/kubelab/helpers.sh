# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the snippets of a fault can use, besides kubectl (as the cluster's administrator). They run with `set -euo pipefail`
# in the lab's control network and know NODE, NODE_ADDRESS, CP_ADDRESS and LAB_STATE.
# shellcheck shell=bash
# The snippets use what is set here (SC2034); awk programs and remote commands are in single quotes (SC2016).
# shellcheck disable=SC2016,SC2034

CLIENT_SIGNER=kubernetes.io/kube-apiserver-client-kubelet
SERVING_SIGNER=kubernetes.io/kubelet-serving

# on MACHINE COMMAND...: run a command inside a machine; it gets standard input.
on() {
    local leader="LAB_LEADER_$1"
    shift
    nsenter --target="${!leader}" --all env -i --chdir=/ HOME=/root LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

lab() { "$LAB_PYTHON" "$LAB_ENTRY_POINT" "$@"; }

# age MACHINE [--used PERCENT] [--lifetime 24h] [--expired-for 1h] [--no-restart]: a client certificate of that age.
age() { lab age "$@"; }

# embed MACHINE ...: as age, but inside kubelet.conf.
embed() { lab age --embed "$@"; }

# lay_out MACHINE k3s|rke2|microk8s|eks [--used PERCENT] [--lifetime 24h] [--expired-for 1h]: as a node of that distribution; and back.
lay_out() { lab lay-out "$@"; }

put_back() { lab put-back "$@"; }

# registered MACHINE UNIT: its kubelet has renewed its lease since that unit was started.
registered() {
    local renewed started
    renewed=$(kubectl -n kube-node-lease get lease "$1" -o 'jsonpath={.spec.renewTime}')
    started=$(on "$1" systemctl show --value --property=ActiveEnterTimestamp "$2")
    [ -n "$started" ] && [ "$(date -d "$renewed" +%s)" -gt "$(date -d "$started" +%s)" ]
}

# expired_serving_pair MACHINE: a self-signed serving certificate as a kubelet makes it, which ended yesterday, and its key.
expired_serving_pair() {
    (cd "$(dirname "$LAB_ENTRY_POINT")" && "$LAB_PYTHON" - "$1" <<'PYTHON'
import datetime, sys
from kubelab import pki
day = datetime.timedelta(days=1)
pair = pki.Authority.create(f"{sys.argv[1]}-ca@1700000000").issue(
    f"{sys.argv[1]}@1700000000", usages=[pki.SERVER], names=[sys.argv[1]], not_before=pki.now() - 366 * day, not_after=pki.now() - day
)
print(b"".join(pair).decode(), end="")
PYTHON
    )
}

# rejoin MACHINE [TOKEN]: as a machine that has a bootstrap token and no client certificate yet.
rejoin() {
    on "$1" systemctl stop kubelet
    on "$1" sh -c 'rm -f /etc/kubernetes/kubelet.conf /var/lib/kubelet/pki/kubelet-client-*'
    lab bootstrap "$@"
    on "$1" systemctl start kubelet
}

restart_kubelet() {
    on "$1" systemctl reset-failed kubelet || true
    on "$1" systemctl restart kubelet
}

# give_serving_certificate MACHINE DAYS NAME...: a certificate of the cluster's CA, from two days ago until so many days from now
# (negative: it has ended), as tlsCertFile. The kubelet has to be restarted, and the healing forgets both files.
give_serving_certificate() {
    local machine="$1" days="$2"
    shift 2
    "$LAB_PYTHON" -c '
import datetime, pathlib, sys
entry, state, node, days, *names = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(entry).parent))
from kubelab import pki
start, end = (pki.now() + datetime.timedelta(days=count) for count in (-2, int(days)))
authority = pki.Authority.load(pathlib.Path(state) / "pki")
pair = authority.issue(f"system:node:{node}", ["system:nodes"], [pki.SERVER], names, start, end)
sys.stdout.write((pair[0] + pair[1]).decode())' "$LAB_ENTRY_POINT" "$LAB_STATE" "$machine" "$days" "$@" |
        on "$machine" sh -c 'umask 077; cat >/etc/kubernetes/lab-serving.pem'
    on "$machine" sh -c '
        sed -i -e "s|^serverTLSBootstrap: .*|serverTLSBootstrap: false|" /var/lib/kubelet/config.yaml
        for key in tlsCertFile tlsPrivateKeyFile; do echo "$key: /etc/kubernetes/lab-serving.pem"; done >>/var/lib/kubelet/config.yaml'
}

# kubelet_flags MACHINE FLAG...: more flags for the kubelet, from its next start on.
kubelet_flags() {
    local machine="$1"
    shift
    on "$machine" sed -i "s|\"$| $*\"|" /var/lib/kubelet/kubeadm-flags.env
}

# log MACHINE PATTERN: a line of the running, or last, kubelet matches.
log() {
    local invocation
    invocation=$(on "$1" systemctl show --value --property=InvocationID kubelet)
    on "$1" journalctl --quiet --no-pager --output=cat --unit=kubelet --since=-2min "_SYSTEMD_INVOCATION_ID=$invocation" |
        grep -E -- "$2" >/dev/null
}

# ever_log MACHINE PATTERN: as log, of any kubelet of the last two minutes (for one that crashes again and again).
ever_log() {
    on "$1" journalctl --quiet --no-pager --output=cat --unit=kubelet --since=-2min | grep -E -- "$2" >/dev/null
}

# csr MACHINE SIGNER STATE [SECONDS]: a request for that node is in that state: Pending, Approved, Denied or Issued; and was
# made so many seconds ago, for what is a fault only once it lasts.
csr() {
    local template before
    before=$(date -u -d "-${4:-0} seconds" +%FT%TZ)
    template='{{range .items}}{{.metadata.creationTimestamp}} {{.spec.username}} {{.spec.signerName}} '
    template+='{{if .status.certificate}}Issued{{else if .status.conditions}}{{range .status.conditions}}{{.type}}{{end}}'
    template+='{{else}}Pending{{end}}{{"\n"}}{{end}}'
    kubectl get csr -o go-template="$template" |
        awk -v node="^(system:node:$1|system:bootstrap:[a-z0-9]+)$" -v signer="$2" -v state="$3" -v before="$before" \
            '$1 <= before && $2 ~ node && $3 == signer && $4 == state { found = 1 } END { exit !found }'
}

# component_running NAME: a process of that name runs on the control plane.
component_running() { on cp1 pidof "$1" >/dev/null; }

# move_manifest_away NAME, and back: as people stop and start a static pod.
move_manifest_away() {
    on cp1 mv "/etc/kubernetes/manifests/$1.yaml" "/etc/kubernetes/$1.yaml.moved"
    until ! component_running "$1"; do sleep 0.2; done
}

move_manifest_back() {
    on cp1 test -e "/etc/kubernetes/$1.yaml.moved" || return 0
    place_manifest "$1" moved
}

# place_manifest NAME SUFFIX: the file of that suffix in /etc/kubernetes becomes the manifest. A changed annotation makes it a
# pod of its own: a pod that comes back unchanged inherits the kubelet's back-off of the one before.
place_manifest() {
    on cp1 sed -i "s|kubecare.test/revision: .*|kubecare.test/revision: '$(date +%s%N)'|" "/etc/kubernetes/$1.yaml.$2"
    on cp1 mv "/etc/kubernetes/$1.yaml.$2" "/etc/kubernetes/manifests/$1.yaml"
}

# edit_manifest NAME SED-EXPRESSION...: change a static pod and restart it. The manifest of before is kept for
# restore_manifest.
edit_manifest() {
    local name="$1" path="/etc/kubernetes/manifests/$1.yaml" arguments=()
    shift
    for expression in "$@"; do arguments+=(-e "$expression"); done
    on cp1 cp "$path" "/etc/kubernetes/$name.yaml.before"
    on cp1 sh -c 'path=$1; target=$2; shift 2; sed "$@" "$path" >"$target"' sh "$path" "/etc/kubernetes/$name.yaml.new" "${arguments[@]}"
    replace_manifest "$name" new
}

restore_manifest() {
    on cp1 test -e "/etc/kubernetes/$1.yaml.before" || return 0
    replace_manifest "$1" before
}

# replace_manifest NAME SUFFIX: by the file of that suffix in /etc/kubernetes. The old pod has to be gone first: a kubelet that
# meets the new one before looks again only 10 to 15 seconds later.
replace_manifest() {
    on cp1 rm "/etc/kubernetes/manifests/$1.yaml"
    until ! component_running "$1"; do sleep 0.2; done
    if [ "$1" = kube-apiserver ]; then # nobody can be asked, and its mirror pod stays
        sleep 2.5
        place_manifest "$1" "$2"
        return
    fi
    until ! kubectl -n kube-system get pod "$1-cp1" >/dev/null 2>&1; do sleep 0.2; done
    sleep 2.5 # the kubelet forgets the old pod when it next cleans up, which it does every two seconds
    forget_leader "$1"
    place_manifest "$1" "$2"
}

# forget_leader NAME: spare the next one the wait until the lease of the one before has run out.
forget_leader() { kubectl -n kube-system delete lease "$1" --ignore-not-found; }

# change_api_server SED-EXPRESSION...: other flags for the API server; returns once it is ready, and the controller manager, which loses
# its lead by that, leads again.
change_api_server() {
    edit_manifest kube-apiserver "$@"
    wait_for component_running kube-apiserver
    wait_for kubectl get --raw /readyz
    while lease_over 3 2>/dev/null; do sleep 0.5; done
}

# etcd_alarm BODY: a request to etcd's maintenance/alarm, as etcdctl makes it (the machine has none).
etcd_alarm() {
    on cp1 sh -c 'cd /etc/kubernetes/pki; printf "POST /v3/maintenance/alarm HTTP/1.1\r\nHost: localhost\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s" "${#1}" "$1" |
        timeout 5 openssl s_client -quiet -connect 127.0.0.1:2379 -CAfile etcd/ca.crt \
            -cert apiserver-etcd-client.crt -key apiserver-etcd-client.key 2>/dev/null' sh "$1"
}

# etcd_disarm: forget the alarm of a full etcd.
etcd_disarm() {
    local member
    member=$(etcd_alarm '{"action":"GET"}' | sed -n 's/.*"memberID":"\([0-9]*\)".*/\1/p')
    [ -z "$member" ] || etcd_alarm "{\"action\":\"DEACTIVATE\",\"alarm\":\"NOSPACE\",\"memberID\":\"$member\"}" >/dev/null
}

# stand_in KIND ADDRESS: something else in the API server's place, at an address of its own on the bridge; see stand_in.py.
stand_in() {
    ip address replace "$2/24" dev lab0
    touch "$LAB_STATE/stand-in-$2"
    (
        cd "$(dirname "$LAB_ENTRY_POINT")" || exit
        setsid nsenter --target="$LAB_INIT" --pid "$LAB_PYTHON" -m kubelab.stand_in "$1" "$LAB_STATE" "$2" \
            </dev/null >"$LAB_STATE/stand-in-$2" 2>&1 &
    )
    wait_for bash -c "</dev/tcp/$2/6443"
}

stand_in_leaves() { # ADDRESS
    rm -f "$LAB_STATE/stand-in-$1"
    ip address del "$1/24" dev lab0 2>/dev/null || true
}

# name_api MACHINE ADDRESS...: what the API server's name resolves to there, and back.
name_api() {
    local machine="$1" address
    shift
    on "$machine" sh -c '[ -e /etc/hosts.before ] || cp /etc/hosts /etc/hosts.before; grep -v api.kubecare.test /etc/hosts.before >/etc/hosts'
    for address in "$@"; do on "$machine" sh -c "echo $address api.kubecare.test >>/etc/hosts"; done
}

name_api_back() { on "$1" sh -c '[ ! -e /etc/hosts.before ] || mv /etc/hosts.before /etc/hosts'; }

# lease_over SECONDS: nobody has renewed the controller manager's lease for so long.
lease_over() {
    local renewed
    renewed=$(kubectl -n kube-system get lease kube-controller-manager -o 'jsonpath={.spec.renewTime}')
    [ "$(($(date +%s) - $(date -d "$renewed" +%s)))" -gt "$1" ]
}

wait_for() { until "$@" 2>/dev/null; do sleep 0.2; done; }

# request_for NODE SIGNER USAGE NAMES: a request of that node, by its own user, with subject alternative names.
request_for() {
    local request
    request=$(on "$1" openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null \
        -subj "/O=system:nodes/CN=system:node:$1" -addext "subjectAltName=$4" 2>/dev/null | base64 -w0)
    kubectl create --as="system:node:$1" --as-group=system:nodes --as-group=system:authenticated -f - <<REQUEST
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {generateName: csr-}
spec: {request: $request, signerName: $2, usages: [digital signature, $3]}
REQUEST
}

# renew_serving MACHINE: its kubelet has no serving certificate and asks for one.
renew_serving() {
    on "$1" systemctl stop kubelet
    on "$1" sh -c 'rm -f /var/lib/kubelet/pki/kubelet-server-*'
    on "$1" systemctl start kubelet
}

# deny_serving MACHINE REASON MESSAGE: deny what the machine's kubelet asks for, in an approver's words.
deny_serving() {
    kubectl get csr -o json | "$LAB_PYTHON" -c '
import json, sys
user, signer, reason, message = sys.argv[1:]
for csr in json.load(sys.stdin)["items"]:
    if csr["spec"]["username"] == user and csr["spec"]["signerName"] == signer and not csr["status"].get("conditions"):
        csr["status"] = {"conditions": [{"type": "Denied", "status": "True", "reason": reason, "message": message}]}
        print(json.dumps({**csr, "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}))
' "system:node:$1" "$SERVING_SIGNER" "$2" "$3" | while read -r csr; do
        name=$(printf '%s' "$csr" | "$LAB_PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["metadata"]["name"])')
        printf '%s' "$csr" | kubectl replace --raw "/apis/certificates.k8s.io/v1/certificatesigningrequests/$name/approval" -f -
    done
}

# approver NAME NAMESPACE running|waiting [IMAGE]: install an approver as its own manifest does. It decides nothing: running is a
# pod that sleeps on the control plane, waiting one for which there is no scheduler.
approver() {
    local image="${4:-}" place=""
    if [ "$3" = running ]; then place='nodeName: cp1'; fi
    if [ -z "$image" ]; then image=$(kubectl -n kube-system get pod kube-controller-manager-cp1 -o 'jsonpath={.spec.containers[0].image}'); fi
    kubectl apply -f - <<WORKLOAD
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1, namespace: $2, labels: {app: $1}}
spec:
  replicas: 1
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec:
      $place
      hostNetwork: true
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      containers:
        - name: $1
          image: $image
          imagePullPolicy: IfNotPresent
          command: [/bin/busybox, sleep, "2147483647"]
          env:
            - {name: PROVIDER_REGEX, value: "^node"}
            - {name: BYPASS_DNS_RESOLUTION, value: "true"}
WORKLOAD
    if [ "$3" = running ]; then kubectl -n "$2" wait --for=condition=Available --timeout=60s "deployment/$1"; fi
}

# change_role CLUSTERROLE KEY VALUE: take away its rules whose KEY (verbs, resources) holds VALUE. restore_role puts them back.
change_role() {
    kubectl get clusterrole "$1" -o json >"$LAB_STATE/role.before"
    "$LAB_PYTHON" -c '
import json, sys
role = json.load(open(sys.argv[1]))
role["rules"] = [rule for rule in role["rules"] if sys.argv[3] not in rule.get(sys.argv[2], [])]
print(json.dumps(role))
' "$LAB_STATE/role.before" "$2" "$3" | kubectl replace -f -
}

restore_role() {
    [ -e "$LAB_STATE/role.before" ] || return 0
    "$LAB_PYTHON" -c '
import json, sys
role = json.load(open(sys.argv[1]))
del role["metadata"]["resourceVersion"]
print(json.dumps(role))
' "$LAB_STATE/role.before" | kubectl replace -f -
    rm -f "$LAB_STATE/role.before"
}
