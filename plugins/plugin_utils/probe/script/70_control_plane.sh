# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The awk programs are in single quotes.
# shellcheck disable=SC2016
#
# On a control-plane node: the flags of the API server and the controller manager that decide about certificates, and the CA files.

CONTROL_FLAGS='client-ca-file|tls-cert-file|tls-private-key-file|kubelet-client-certificate|kubelet-client-key|kubelet-certificate-authority|enable-bootstrap-token-auth|authorization-mode|enable-admission-plugins|disable-admission-plugins|anonymous-auth|runtime-config|feature-gates|cluster-signing-cert-file|cluster-signing-key-file|cluster-signing-duration|cluster-signing-kubelet-client-cert-file|cluster-signing-kubelet-client-key-file|cluster-signing-kubelet-serving-cert-file|cluster-signing-kubelet-serving-key-file|cluster-signing-kube-apiserver-client-cert-file|cluster-signing-kube-apiserver-client-key-file|cluster-signing-legacy-unknown-cert-file|cluster-signing-legacy-unknown-key-file|controllers|kubeconfig|leader-elect|root-ca-file|use-service-account-credentials'

control_plane_section() {
  CONTROL=
  found=
  folder=$KCP_MANIFESTS
  folder=${folder:-$(setting staticPodPath)}
  folder=${folder:-/etc/kubernetes/manifests}
  for component in kube-apiserver kube-controller-manager; do
    file=$folder/$component.yaml
    [ -e "$file" ] || continue
    found=yes
    open manifest "$component"
    say path "$file"
    say modified "$(bounded 5 stat -c %Y "$file" 2>/dev/null </dev/null)"
    if [ ! -r "$file" ]; then
      say denied yes
      continue
    fi
    say image "$(head_of "$file" | tr -d "\\000\\r\"'" | sed -n 's/^ *-\{0,1\} *image: *//p' | sed -n 1p | cut -c 1-200)"
    flags=$(head_of "$file" | tr -d '\000\r' | scrub | tr -d "\"'" | sed -n -e 's/ *$//' -e 's/^ *- *\(--[a-z]\)/\1/p' | awk -v known="$CONTROL_FLAGS" "$FLAGS_AWK" | grep '^flag ')
    printf '%s\n' "$flags" | grep . | say_lines
    CONTROL="$CONTROL$NL$flags"
  done
  [ -n "$found" ] || return 0
  seen=
  for pair in ca-pair client-ca-file: root-ca-file: cluster-signing-cert-file:cluster-signing-key-file cluster-signing-kubelet-client-cert-file:cluster-signing-kubelet-client-key-file cluster-signing-kubelet-serving-cert-file:cluster-signing-kubelet-serving-key-file kubelet-certificate-authority: tls-cert-file:tls-private-key-file kubelet-client-certificate:kubelet-client-key; do
    if [ "$pair" = ca-pair ]; then
      certificate=/etc/kubernetes/pki/ca.crt
      key=/etc/kubernetes/pki/ca.key
      [ -e "$certificate" ] || continue
      case $CONTROL in *" $certificate"*) continue ;; esac
    else
      certificate=$(control_flag "${pair%%:*}")
      key=${pair#*:}
      [ -n "$key" ] && key=$(control_flag "$key")
      [ -z "$key" ] && [ -e "${certificate%.crt}.key" ] && key=${certificate%.crt}.key
    fi
    [ -n "$certificate" ] || continue
    case $seen in *"$NL$certificate|$key$NL"*) continue ;; esac
    seen="$seen$NL$certificate|$key$NL"
    file_section ca_file "$certificate" "$key"
  done
  manager_section
}

# The controller manager's own identity, and what it said last. Of its kubeconfig only the certificate is told, never the key.
manager_section() {
  manager=$(control_flag kubeconfig)
  if [ -n "$manager" ]; then
    kubeconfig_section manager_kubeconfig "$manager"
    certificate=$(absolute "$(field certificate "$FIELDS")" "${manager%/*}")
    [ -n "$certificate" ] && file_section ca_file "$certificate"
  fi
  logs=${KCP_POD_LOGS:-/var/log/pods}
  for folder in "$logs" "$logs"/kube-system_kube-controller-manager-*/ "$logs"/kube-system_kube-controller-manager-*/*/; do
    if [ -d "$folder" ] && ! { [ -r "$folder" ] && [ -x "$folder" ]; }; then
      missing control_plane.manager_log not_permitted "$folder cannot be listed"
      return 0
    fi
  done
  for file in "$logs"/kube-system_kube-controller-manager-*/*/*.log; do
    [ -f "$file" ] && printf '%s %s\n' "$(bounded 5 stat -L -c %Y "$file" 2>/dev/null </dev/null)" "$file"
  done | sort -n | tail -n 2 | while read -r _modified file; do
    open manager_log "$file"
    [ -r "$file" ] || missing control_plane.manager_log not_permitted "$file cannot be read"
    bounded 5 tail -c 131072 "$file" 2>/dev/null </dev/null | awk "$MANAGER_LOG_AWK" | scrub | cut -c 1-460 | say_lines
  done
}

# Lines of a container's log ("<time> stderr F <text>") that tell why signing, approving or starting fails; each text once, the last ones.
MANAGER_LOG_AWK='
{ time = $1; text = $0; sub(/^[^ ]+ (stdout|stderr) [FP] /, "", text) }
text ~ /failed to init |error auto signing|expected 1 certificate|error reading CA|private key does not match|not permitted to|leaderelection lost|retrieving (resource|lease) lock|Failed to (update lock|renew lease)|creating lease lock|[Uu]nknown flag|invalid argument|is not in the list of known controllers|cannot specify default|Skipping CSR signer|command failed|no such file or directory|recognized csr/ || text ~ /^(Error|error):/ {
  same = text; sub(/^[A-Z][0-9]+ [0-9:.]+ +[0-9]+ /, "", same); gsub(/csr-[a-z0-9]+/, "csr", same); sub(/uid ?=.*/, "", same)
  if (same in at) kept[at[same]] = ""
  at[same] = ++n; kept[n] = time " " text
}
END { for (i = n; i > 0 && shown < 6; i--) if (kept[i] != "") { out[++shown] = kept[i] } for (i = shown; i > 0; i--) print "line", out[i] }'

control_flag() { printf '%s\n' "$CONTROL" | sed -n "s/^flag $1 //p" | tail -n 1; }
