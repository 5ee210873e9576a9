# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The parts share their variables.
# shellcheck disable=SC2154
#
# Acts that restart the kubelet.

# started_after PATH…: the kubelet's process is younger than the last change of each.
started_after() {
  pid=$(main_pid)
  started=$(sed 's/(.*)/-/' "/proc/${pid:-none}/stat" | awk '{ print int($22 / 100) }')
  boot=$(awk '$1 == "btime" { print $2 }' /proc/stat)
  [ -n "$started" ] && [ -n "$boot" ] || return 1
  for path in "$@"; do
    [ -e "$path" ] || continue
    changed=$(bounded 5 stat -L -c %Y "$path" </dev/null)
    [ "$((boot + started))" -gt "${changed:-9999999999}" ] || return 1
  done
  # A link that was repaired is not in use before a restart; one that the kubelet made is. Only a repair leaves a backup.
  for path in "$KCR_PKI"/kubelet-client-*.kubecare-*; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    changed=$(bounded 5 stat -c %Z "$path" </dev/null)
    [ "$((boot + started))" -gt "${changed:-9999999999}" ] || return 1
  done
}

act_restart_kubelet() {
  old=$KCR_BOUND_CERT
  if [ "$KCR_WAIT" = yes ]; then
    need pki_path "$KCR_PKI"
    if [ -n "$old" ] && new_certificate "$old" && [ "$(unit_state)" = active ] && started_after ${KCR_KUBECONFIG:+"$KCR_KUBECONFIG"} ${KCR_CONFIG:+"$KCR_CONFIG"} ${KCR_CA_FILE:+"$KCR_CA_FILE"}; then
      finish nothing_to_do "$KCR_UNIT is active and has a new certificate"
    fi
    [ -n "$old" ] || old=$(fingerprint "$(der_of "$KCR_PKI/kubelet-client-current.pem")")
  fi
  # What the act before changed is not to be held against this one: the certificate of the plan is what must not come back.
  KCR_BOUND_CERT=
  verify_bound
  restart_unit
  if checking; then finish "done" "restart $KCR_UNIT"; fi
  [ "$KCR_WAIT" = yes ] && wait_new_certificate "$old"
  wait_active
  finish "done" "$KCR_UNIT was restarted and is active"
}

act_rebootstrap() {
  need kubeconfig "$KCR_KUBECONFIG"
  need pki_path "$KCR_PKI"
  need bootstrap_kubeconfig "$KCR_BOOTSTRAP"
  need node "$KCR_NODE"
  current=$KCR_PKI/kubelet-client-current.pem
  if new_certificate "$KCR_BOUND_CERT" && [ -f "$KCR_KUBECONFIG" ] && [ "$(unit_state)" = active ]; then
    finish nothing_to_do "$current holds a good certificate"
  fi
  verify_bound
  has systemctl || fail 'there is no systemctl on the node'
  bounded 20 systemctl cat "$KCR_UNIT" </dev/null 2>/dev/null | grep -F -e "bootstrap-kubeconfig=$KCR_BOOTSTRAP" -e "bootstrap-kubeconfig $KCR_BOOTSTRAP" >/dev/null ||
    fail "the unit $KCR_UNIT does not name the bootstrap kubeconfig $KCR_BOOTSTRAP"
  server=$KCR_SERVER ca=$KCR_CA_PEM
  fields=
  for file in "$KCR_KUBECONFIG" "$KCR_BOOTSTRAP"; do
    [ -f "$file" ] || continue
    fields=$(read_kubeconfig "$file")
    [ -n "$server" ] || server=$(field server "$fields")
    [ -n "$ca" ] || ca=$(field ca_data "$fields")
    named=$(field ca_path "$fields")
    if [ -z "$ca$KCR_CA_FILE" ] && [ -n "$named" ]; then KCR_CA_FILE=$(absolute "$named" "${file%/*}"); fi
  done
  [ -n "$server" ] || fail 'the server is not known: give it'
  case $(printf '%s' "$server" | sed 's#[][A-Za-z0-9.:/_~-]##g') in
    '') ;;
    *) fail 'the server of the kubeconfig is no plain URL' ;;
  esac
  case $server in
    https://?*) ;;
    *) fail 'the server of the kubeconfig is not reached by https' ;;
  esac
  case $ca in
    *[!A-Za-z0-9+/=]*) fail 'the CA of the kubeconfig is no base64' ;;
    '')
      [ -f "$KCR_CA_FILE" ] && [ -n "$(der_of "$KCR_CA_FILE")" ] || fail 'the CA is not known: give ca_pem or ca_file'
      trust="certificate-authority: $(yaml_word "$KCR_CA_FILE")"
      ;;
    *) trust="certificate-authority-data: $ca" ;;
  esac
  text="apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    server: $(yaml_word "$server")
    $trust
contexts:
- name: bootstrap
  context:
    cluster: kubernetes
    user: tls-bootstrap-token-user
current-context: bootstrap
users:
- name: tls-bootstrap-token-user
  user:
    token: $KCR_TOKEN
"
  KCR_TOKEN=
  old=$(fingerprint "$(der_of "$current")")
  if [ -d "$current" ]; then fail "$current is a folder"; fi
  for file in "$KCR_BOOTSTRAP" "$KCR_KUBECONFIG" "$current"; do
    if [ -e "$file" ] || [ -L "$file" ]; then
      change "move $file aside"
      set_aside "$file"
    fi
  done
  change "write $KCR_BOOTSTRAP for $server, and remove it at the end"
  differs "$KCR_BOOTSTRAP" '' "bootstrap kubeconfig for $server, token [removed]"
  # What the kubelet makes is removed again when the act fails.
  if ! checking; then
    remember new "$KCR_KUBECONFIG"
    remember new "$current"
    # The kubelet keeps the key here until its request is answered.
    [ -e "$KCR_PKI/kubelet-client.key.tmp" ] || remember new "$KCR_PKI/kubelet-client.key.tmp"
    write_new "$KCR_BOOTSTRAP" "$text"
  fi
  text=
  restart_unit
  if checking; then finish "done" "a new certificate by $KCR_BOOTSTRAP"; fi
  wait_new_certificate "$old"
  until [ -f "$KCR_KUBECONFIG" ]; do
    [ "$(date +%s)" -lt "$until" ] || fail "no $KCR_KUBECONFIG came within $KCR_TIMEOUT seconds"
    nap
  done
  wait_active
  bounded 10 rm -f "$KCR_BOOTSTRAP" </dev/null || fail "$KCR_BOOTSTRAP cannot be removed"
  finish "done" "$current holds a new certificate"
}
