# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# On a control-plane node: the flags of the API server and the controller manager that decide about certificates, and the CA files.

CONTROL_FLAGS='client-ca-file|tls-cert-file|tls-private-key-file|kubelet-client-certificate|kubelet-client-key|kubelet-certificate-authority|enable-bootstrap-token-auth|authorization-mode|enable-admission-plugins|disable-admission-plugins|anonymous-auth|runtime-config|feature-gates|cluster-signing-cert-file|cluster-signing-key-file|cluster-signing-duration|cluster-signing-kubelet-client-cert-file|cluster-signing-kubelet-client-key-file|cluster-signing-kubelet-serving-cert-file|cluster-signing-kubelet-serving-key-file|controllers|root-ca-file|use-service-account-credentials'

control_plane_section() {
  CONTROL=
  folder=$KCP_MANIFESTS
  folder=${folder:-$(setting staticPodPath)}
  folder=${folder:-/etc/kubernetes/manifests}
  for component in kube-apiserver kube-controller-manager; do
    file=$folder/$component.yaml
    [ -e "$file" ] || continue
    open manifest "$component"
    say path "$file"
    say modified "$(bounded 5 stat -c %Y "$file" 2>/dev/null </dev/null)"
    if [ ! -r "$file" ]; then
      say denied yes
      continue
    fi
    flags=$(head_of "$file" | tr -d "\\000\\r\"'" | sed -n -e 's/ *$//' -e 's/^ *- *\(--[a-z]\)/\1/p' | awk -v known="$CONTROL_FLAGS" "$FLAGS_AWK" | grep '^flag ')
    printf '%s\n' "$flags" | grep . | say_lines
    CONTROL="$CONTROL$NL$flags"
  done
  [ -n "$CONTROL" ] || return 0
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
}

control_flag() { printf '%s\n' "$CONTROL" | sed -n "s/^flag $1 //p" | tail -n 1; }
