# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Other parts read what is set here.
# shellcheck disable=SC2034
#
# The order of the questions. What matters most is asked first, so that an answer cut short still says it.

default_paths() {
  KUBECONFIG_FILE=$KCP_KUBECONFIG
  BOOTSTRAP_FILE=$(flag bootstrap-kubeconfig)
  CONFIG_FILE=$KCP_CONFIG
  PKI=$KCP_PKI
  KUBECONFIG_FILE=${KUBECONFIG_FILE:-$(flag kubeconfig)}
  CONFIG_FILE=${CONFIG_FILE:-$(flag config)}
  PKI=${PKI:-$(flag cert-dir)}
  # Where the kubelet's flags are not to be seen, its usual places.
  CONFIG_FOLDER=$(flag config-dir)
  find_data_dir
  if [ -n "$DATA_DIR" ]; then
    KUBECONFIG_FILE=${KUBECONFIG_FILE:-$DATA_DIR/agent/kubelet.kubeconfig}
    PKI=${PKI:-$DATA_DIR/agent}
    CONFIG_FOLDER=${CONFIG_FOLDER:-$DATA_DIR/agent/etc/kubelet.conf.d}
  fi
  case $KUBELET_BINARY:$UNIT in
    kubelite:* | *:snap.microk8s.*)
      KUBECONFIG_FILE=${KUBECONFIG_FILE:-/var/snap/microk8s/current/credentials/kubelet.config}
      PKI=${PKI:-/var/snap/microk8s/current/certs}
      ;;
    *:k0s*)
      KUBECONFIG_FILE=${KUBECONFIG_FILE:-/var/lib/k0s/kubelet.conf}
      PKI=${PKI:-/var/lib/k0s/kubelet/pki}
      ;;
  esac
  # Where there are drop-ins alone, the first of them.
  if [ -z "$CONFIG_FILE" ] && [ -n "$CONFIG_FOLDER" ]; then
    for file in "$CONFIG_FOLDER"/*.conf; do
      [ -z "$CONFIG_FILE" ] && [ -f "$file" ] && CONFIG_FILE=$file
    done
  fi
  if [ -z "$FLAGS" ] && [ -z "$KUBECONFIG_FILE" ]; then
    for file in /etc/kubernetes/kubelet.conf /var/lib/kubelet/kubeconfig; do
      [ -z "$KUBECONFIG_FILE" ] && [ -e "$file" ] && KUBECONFIG_FILE=$file
    done
    KUBECONFIG_FILE=${KUBECONFIG_FILE:-/etc/kubernetes/kubelet.conf}
    CONFIG_FILE=${CONFIG_FILE:-/var/lib/kubelet/config.yaml}
  fi
  PKI=${PKI:-/var/lib/kubelet/pki}
}

node_section() {
  open node "$(hostname 2>/dev/null || cat /proc/sys/kernel/hostname 2>/dev/null)"
  say root "$ROOT"
  say time "$NOW"
  say btime "$(awk '$1 == "btime" { print $2 }' "$KCP_PROC/stat" 2>/dev/null)"
  say uptime "$(awk '{ print int($1) }' "$KCP_PROC/uptime" 2>/dev/null)"
  # Monotonic time, by which the kubelet's timers go, stands still while the machine is suspended; uptime does not.
  say monotonic "$(bounded 5 sed -n 's/^now at \([0-9]*\) nsecs.*/\1/p' "$KCP_PROC/timer_list" 2>/dev/null </dev/null | sed -n 1p | sed 's/.\{9\}$//')"
  if has journalctl; then say previous_boot_end "$(bounded 5 journalctl -q --no-pager -o short-unix -b -1 -n 1 2>/dev/null </dev/null | sed -n 's/^\([0-9]\{9,11\}\)\..*/\1/p' | tail -n 1)"; fi
  if has ip; then
    ip -o addr show scope global 2>/dev/null </dev/null | awk '$2 !~ /^(docker|cni|cali|veth|flannel|lxc|kube-ipvs|nodelocaldns)/ { sub(/\/.*/, "", $4); if (n++ < 16) print "ip", $4 }' | say_lines
  else
    hostname -I 2>/dev/null | tr ' ' '\n' | awk 'NF && n++ < 16 { print "ip", $1 }' | say_lines
  fi
  synchronized=
  has timedatectl && synchronized=$(bounded 5 timedatectl show -p NTPSynchronized --value 2>/dev/null </dev/null)
  say synchronized "$synchronized"
  say clock_source "$CLOCK_SOURCE"
}

probe() {
  NOW=$(date +%s)
  ROOT=no
  [ "$(id -u)" = 0 ] && ROOT=yes
  find_timeout
  find_process
  node_section
  process_section
  unit_section
  default_paths
  if [ -n "$KUBECONFIG_FILE" ]; then
    kubeconfig_section kubeconfig "$KUBECONFIG_FILE"
    KUBE=$FIELDS
  else
    KUBE=
  fi
  KUBECONFIG_CERTIFICATE=$(absolute "$(field certificate "$KUBE")" "${KUBECONFIG_FILE%/*}")
  KUBECONFIG_KEY=$(absolute "$(field key "$KUBE")" "${KUBECONFIG_FILE%/*}")
  config_section
  TLS_CERTIFICATE=$(flag tls-cert-file)
  TLS_CERTIFICATE=${TLS_CERTIFICATE:-$(setting tlsCertFile)}
  TLS_KEY=$(flag tls-private-key-file)
  TLS_KEY=${TLS_KEY:-$(setting tlsPrivateKeyFile)}
  pki_section
  BOOTSTRAP_KUBE=
  if [ -n "$BOOTSTRAP_FILE" ]; then
    kubeconfig_section bootstrap "$BOOTSTRAP_FILE"
    BOOTSTRAP_KUBE=$FIELDS
  fi
  client_ca=$(flag client-ca-file)
  client_ca=${client_ca:-$(setting 'authentication\.x509\.clientCAFile')}
  if [ -n "$client_ca" ]; then
    file_section client_ca "$client_ca" "$client_ca"
    say_digest sha256 "$client_ca"
  fi
  denials_section
  control_plane_section
  log_section
  serving_section
  etcd_section
  healthz_section
  network_section
  say finished "$(date +%s)"
}

# Nothing runs before all of the script has come, nothing reads its stdin, and nothing outlives its time.
main() {
  {
    probe &
    work=$!
    (
      exec >/dev/null 2>&1
      trap 'kill $nap; exit' TERM
      sleep "$KCP_TIMEOUT" &
      nap=$!
      wait $nap
      started=$(descendants $work)
      # shellcheck disable=SC2086
      kill -TERM $work $started
      sleep 1
      # shellcheck disable=SC2086
      kill -KILL $work $started
    ) &
    guard=$!
    wait $work
    status=$?
    kill -TERM $guard 2>/dev/null
    [ $status -gt 128 ] && say ended timeout
  } | scrub
}

# A redirection of main alone would leave a copy of the old descriptor in its children, which would hold the connection open.
exec 2>/dev/null
main </dev/null
exit 0
