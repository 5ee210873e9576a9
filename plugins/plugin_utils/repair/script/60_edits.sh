# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The awk programs are in single quotes.
# shellcheck disable=SC2016
#
# Acts that edit lines of the kubelet's configuration and of its kubeconfig. All other bytes stay.

# What the top level of a KubeletConfiguration says about rotateCertificates: "bad REASON" or "state VALUE".
ROTATION_AWK='
/^[ \t]*(#|$)/ { next }
/^---/ { if (content) bad = "has more than one document"; next }
/^\.\.\./ { bad = "has an end marker"; next }
!content && /^[{[]/ { bad = "is JSON"; exit }
!content && /^[ \t]/ { bad = "is indented at its top level"; exit }
{ content = 1 }
/^["\047]?kind["\047]?[ ]*:[ ]*["\047]?KubeletConfiguration["\047]?[ ]*(#.*)?$/ { kind = 1 }
/^["\047]?rotateCertificates["\047]?[ ]*:/ {
  n++; value = $0; sub(/^[^:]*:[ ]*/, "", value); sub(/[ ]+#.*$/, "", value); sub(/[ ]+$/, "", value)
  if (value == "" || value ~ /^[&*!|>{[]/) bad = "sets rotateCertificates in a way that cannot be edited"
}
END {
  if (!bad && !kind) bad = "is no KubeletConfiguration"
  if (n > 1) bad = "sets rotateCertificates more than once"
  if (bad) print "bad", bad; else print "state", n ? value : "absent"
}'

act_enable_rotation() {
  need kubelet_config "$KCR_CONFIG"
  real_of "$KCR_CONFIG"
  text_file "$REAL"
  state=$(awk "$ROTATION_AWK" "$REAL")
  case $state in
    'state true') finish nothing_to_do "$KCR_CONFIG has rotateCertificates: true" ;;
    'state '*) ;;
    *) fail "$KCR_CONFIG ${state#bad }" ;;
  esac
  verify_bound
  state=${state#state }
  content=$(
    awk '/^["\047]?rotateCertificates["\047]?[ ]*:/ { comment = ""; if (match($0, /[ ]+#.*$/)) comment = substr($0, RSTART); print "rotateCertificates: true" comment; n++; next }
      { print }
      END { if (!n) print "rotateCertificates: true" }' "$REAL"
    printf x
  )
  change "set rotateCertificates: true in $KCR_CONFIG"
  if [ "$state" = absent ]; then differs "$KCR_CONFIG" '' 'rotateCertificates: true'; else differs "$KCR_CONFIG" "rotateCertificates: $state" 'rotateCertificates: true'; fi
  replace_file "$REAL" "${content%x}"
  checking || [ "$(awk "$ROTATION_AWK" "$REAL")" = 'state true' ] || fail "$KCR_CONFIG does not read as it should after the change"
  finish "done" "rotateCertificates is true in $KCR_CONFIG"
}

# Replaces the values of one entry of a kubeconfig. In the environment: EDIT_LIST (users, clusters), EDIT_KEYS ("old=new ..."), EDIT_VALUE.
# With -v judge=1 it prints "bad REASON" or the keys found.
EDIT_AWK='
BEGIN { list = ENVIRON["EDIT_LIST"]; count = split(ENVIRON["EDIT_KEYS"], pairs, " "); for (i = 1; i <= count; i++) { split(pairs[i], two, "="); to[two[1]] = two[2] } first = -1 }
function out(s) { if (!judge) print s }
/^[ ]*(#|$)/ { out($0); next }
/^[ ]*\t/ { bad = "is indented by tabs" }
{ match($0, /^ */); ind = RLENGTH; line = substr($0, ind + 1) }
!content && line ~ /^[{[]/ { bad = "is JSON"; exit }
{ if (line !~ /^---/) content = 1 }
skip && ind > skipind { next }
{ skip = 0; start = ind; dash = 0 }
ind == 0 && line !~ /^- / && line ~ /:/ { top = line; sub(/[ ]*:.*/, "", top); gsub(/["\047]/, "", top); if (top == list && line !~ /:[ ]*(#.*)?$/) bad = "has its " list " in flow style"; out($0); next }
top == list {
  while (line ~ /^- /) { match(line, /^- +/); if (first < 0) first = ind; if (ind == first) items++; ind += RLENGTH; line = substr(line, RLENGTH + 1) }
  if (line ~ /^["\047]?[a-z-]+["\047]?[ ]*:/) {
    key = line; sub(/[ ]*:.*/, "", key); gsub(/["\047]/, "", key)
    if (line ~ /:[ ]+[{&*!]/ || key == "<<") bad = "has flow style or anchors"
    if (key in to) {
      skip = 1; skipind = ind
      if (!(to[key] in written)) { written[to[key]] = 1; found = found " " key; out(substr($0, 1, ind) to[key] ": " ENVIRON["EDIT_VALUE"]) } else if (substr($0, 1, ind) ~ /-/) bad = "has a key twice"
      next
    }
  }
}
{ out($0) }
END { if (!judge) exit; if (items != 1) bad = "does not have exactly one entry in " list; if (bad) print "bad", bad; else print "found" found }'

yaml_word() { # a value as YAML, in single quotes when it must be
  case $1 in
    *[!A-Za-z0-9/._:=+-]* | '') printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")" ;;
    *) printf '%s' "$1" ;;
  esac
}

act_use_rotating_kubeconfig() {
  need kubeconfig "$KCR_KUBECONFIG"
  need pki_path "$KCR_PKI"
  need node "$KCR_NODE"
  current=$KCR_PKI/kubelet-client-current.pem
  real_of "$KCR_KUBECONFIG"
  text_file "$REAL"
  fields=$(read_kubeconfig "$REAL")
  if [ "$(field certificate "$fields")" = "$current" ] && [ "$(field key "$fields")" = "$current" ] && [ -z "$(field certificate_data "$fields")$(field key_data "$fields")" ]; then
    finish nothing_to_do "$KCR_KUBECONFIG names $current"
  fi
  verify_bound
  has openssl || fail 'openssl is needed on the node to look at the certificate'
  good_for_client "$current" || fail "$current $WHY"
  EDIT_LIST=users
  EDIT_KEYS='client-certificate=client-certificate client-certificate-data=client-certificate client-key=client-key client-key-data=client-key'
  EDIT_VALUE=$(yaml_word "$current")
  export EDIT_LIST EDIT_KEYS EDIT_VALUE
  found=$(awk -v judge=1 "$EDIT_AWK" "$REAL")
  case $found in
    'bad '*) fail "$KCR_KUBECONFIG ${found#bad }" ;;
    *client-certificate*client-key* | *client-key*client-certificate*) ;;
    *) fail "$KCR_KUBECONFIG has no client certificate and key to replace" ;;
  esac
  content=$(
    awk -v judge=0 "$EDIT_AWK" "$REAL"
    printf x
  )
  change "name $current in $KCR_KUBECONFIG"
  for key in ${found#found}; do
    differs "$KCR_KUBECONFIG" "$key: [removed]" "${key%-data}: $EDIT_VALUE"
  done
  replace_file "$REAL" "${content%x}"
  if ! checking; then
    fields=$(read_kubeconfig "$REAL")
    [ "$(field certificate "$fields")" = "$current" ] && [ "$(field key "$fields")" = "$current" ] && [ -z "$(field certificate_data "$fields")$(field key_data "$fields")" ] ||
      fail "$KCR_KUBECONFIG does not read as it should after the change"
  fi
  finish "done" "$KCR_KUBECONFIG names $current"
}

act_refresh_ca() {
  need ca_pem "$KCR_CA_PEM"
  [ -n "$KCR_CA_FILE$KCR_KUBECONFIG" ] || fail 'neither ca_file nor kubeconfig is given'
  pem_text=$(
    printf '%s' "$KCR_CA_PEM" | decode
    printf x
  )
  pem_text=${pem_text%x}
  wanted=$(printf '%s' "$pem_text" | sha256)
  [ -n "$wanted" ] && [ -n "$pem_text" ] || fail 'the node has no tool to decode the CA'
  file_due=no data_due=no
  if [ -n "$KCR_CA_FILE" ]; then
    [ "$(sha_of_file "$KCR_CA_FILE")" = "$wanted" ] || file_due=yes
  fi
  if [ -n "$KCR_KUBECONFIG" ]; then
    text_file "$KCR_KUBECONFIG"
    data=$(field ca_data "$(read_kubeconfig "$KCR_KUBECONFIG")")
    if [ -n "$data" ] && [ "$data" != "$KCR_CA_PEM" ]; then data_due=yes; fi
  fi
  [ "$file_due$data_due" = nono ] && finish nothing_to_do 'the CA is already this one'
  verify_bound
  if [ "$data_due" = yes ]; then
    real_of "$KCR_KUBECONFIG"
    EDIT_LIST=clusters EDIT_KEYS='certificate-authority-data=certificate-authority-data' EDIT_VALUE=$KCR_CA_PEM
    export EDIT_LIST EDIT_KEYS EDIT_VALUE
    found=$(awk -v judge=1 "$EDIT_AWK" "$REAL")
    [ "$found" = 'found certificate-authority-data' ] || fail "$KCR_KUBECONFIG ${found#bad }"
    content=$(
      awk -v judge=0 "$EDIT_AWK" "$REAL"
      printf x
    )
    change "replace certificate-authority-data in $KCR_KUBECONFIG"
    differs "$KCR_KUBECONFIG" "certificate-authority-data: sha256 $(printf '%s' "$data" | decode | sha256)" "certificate-authority-data: sha256 $wanted"
    replace_file "$REAL" "${content%x}"
    checking || [ "$(field ca_data "$(read_kubeconfig "$REAL")")" = "$KCR_CA_PEM" ] || fail "$KCR_KUBECONFIG does not read as it should after the change"
  fi
  if [ "$file_due" = yes ]; then
    change "replace $KCR_CA_FILE"
    differs "$KCR_CA_FILE" "sha256 $(sha_of_file "$KCR_CA_FILE")" "sha256 $wanted"
    if [ -f "$KCR_CA_FILE" ]; then
      real_of "$KCR_CA_FILE"
      replace_file "$REAL" "$pem_text"
    elif [ -e "$KCR_CA_FILE" ] || [ -L "$KCR_CA_FILE" ]; then
      fail "$KCR_CA_FILE is no file"
    else
      write_new "$KCR_CA_FILE" "$pem_text"
      checking || chmod 0644 "$KCR_CA_FILE"
    fi
  fi
  finish "done" 'the CA was replaced'
}
