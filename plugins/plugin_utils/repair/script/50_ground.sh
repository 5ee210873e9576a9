# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Other parts read what is set here.
# shellcheck disable=SC2034,SC2154
#
# The ground of a repair, after the probe's own 10_base.sh, 30_files.sh and 40_config.sh: what is changed is remembered before it is
# changed, so that all of it can be put back. Nothing here runs in a subshell that changes something: the memory would be lost.

TAB=$(printf '\t')
UNDO=
BACKUPS=
CHANGED=no
RESTARTED=no

checking() { [ "$KCR_CHECK" = yes ]; }

# remember KIND PATH [BACKUP [MORE]]: the newest comes first.
remember() { UNDO="$1$TAB$2$TAB${3:-}$TAB${4:-}$NL$UNDO"; }

# change TEXT: one thing that is (or, in check mode, would be) changed.
change() { CHANGES="${CHANGES:-}$1$NL"; }

# differs PATH BEFORE AFTER: a line of the diff, free of secrets.
differs() {
  open diff "$1"
  say before "$2"
  say after "$3"
}

finish() { # STATUS MESSAGE: the last words
  trap '' TERM HUP INT
  say_certificate after
  each_bound_file say_file
  open outcome "$KCR_ACT"
  say status "$1"
  say message "$2"
  say changed "$CHANGED"
  printf '%s' "$BACKUPS" | sed 's/^/backup /' | say_lines
  printf '%s' "${CHANGES:-}" | sed 's/^/change /' | say_lines
  say finished "$(date +%s)"
  exit 0
}

fail() { # MESSAGE: puts back what was changed
  trap '' TERM HUP INT
  if [ -z "$UNDO" ]; then finish failed "$1"; fi
  if roll_back; then
    [ "$RESTARTED" = yes ] || CHANGED=no
    [ "$TOUCHED" = yes ] || finish failed "$1"
    finish rolled_back "$1; what was changed is as it was before"
  fi
  finish failed "$1; not all could be put back:$LEFT"
}

TOUCHED=no
# touched: from here on something is changed.
touched() { TOUCHED=yes CHANGED=yes; }

roll_back() {
  LEFT=
  set -f
  saved=$IFS
  IFS=$NL
  for record in $UNDO; do
    IFS=$saved
    kind=${record%%"$TAB"*}
    rest=${record#*"$TAB"}
    path=${rest%%"$TAB"*}
    rest=${rest#*"$TAB"}
    backup=${rest%%"$TAB"*}
    more=${rest#*"$TAB"}
    case $kind in
      new) bounded 20 rm -f "$path" </dev/null || LEFT="$LEFT $path" ;;
      moved | copied)
        # A file that could not be replaced (it may be immutable) cannot be put back either, and need not be.
        if [ "$kind" = copied ] && [ ! -L "$path" ] && [ ! -L "$backup" ] && [ "$(sha_of_file "$path")" = "$(sha_of_file "$backup")" ]; then
          bounded 20 rm -f "$backup" </dev/null || LEFT="$LEFT $backup"
        elif [ -e "$backup" ] || [ -L "$backup" ]; then
          bounded 20 mv -f "$backup" "$path" </dev/null || LEFT="$LEFT $path"
        fi
        ;;
      mode) { bounded 20 chown -h "$more" "$path" && bounded 20 chmod "$backup" "$path"; } </dev/null || LEFT="$LEFT $path" ;;
      fixed) bounded 20 chattr +i "$path" </dev/null || LEFT="$LEFT $path" ;;
    esac
  done
  IFS=$saved
  set +f
  if [ "$RESTARTED" = yes ]; then bounded 20 systemctl --no-block restart "$KCR_UNIT" </dev/null >/dev/null; fi
  [ -z "$LEFT" ] && BACKUPS='' && return 0
  return 1
}

sha_of_file() { # PATH: in hex, "none" when it is absent, "other" when it is no file that can be read
  if [ -f "$1" ] && [ -r "$1" ]; then
    sha256 <"$1"
  elif [ -e "$1" ]; then
    echo other
  else
    echo none
  fi
}

der_of() { head_of "$1" | tr -d '\000' | pem | sed -n 's/^cert //p' | sed -n 1p; }

fingerprint() { # DER in base64
  [ -n "$1" ] && [ "$1" != '!' ] && printf '%s' "$1" | decode | sha256
}

# on_disk: the client certificates as DER in base64: that of the pki folder, and that which the kubeconfig names or carries.
on_disk() {
  [ -n "$KCR_PKI" ] && [ -f "$KCR_PKI/kubelet-client-current.pem" ] && der_of "$KCR_PKI/kubelet-client-current.pem"
  if [ -n "$KCR_KUBECONFIG" ] && [ -f "$KCR_KUBECONFIG" ]; then
    fields=$(read_kubeconfig "$KCR_KUBECONFIG")
    field certificate_data "$fields" | decode | tr -d '\000' | pem | sed -n 's/^cert //p' | sed -n 1p
    named=$(absolute "$(field certificate "$fields")" "${KCR_KUBECONFIG%/*}")
    [ -n "$named" ] && [ -f "$named" ] && der_of "$named"
  fi
}

say_certificate() { # before|after
  open "$1" certificate
  say active "$(unit_state)"
  der=$(on_disk | sed -n 1p)
  [ -n "$der" ] && [ "$der" != '!' ] || return 0
  say sha256 "$(fingerprint "$der")"
  say cert "$der"
}

unit_state() {
  has systemctl && bounded 10 systemctl is-active "$KCR_UNIT" 2>/dev/null </dev/null | sed -n 1p
}

each_bound_file() { # COMMAND: called with each path and the digest of it
  number=1
  while [ "$number" -le "$KCR_BOUND_COUNT" ]; do
    eval "path=\$KCR_BOUND_PATH_$number want=\$KCR_BOUND_SHA_$number"
    number=$((number + 1))
    "$1" "$path" "$want"
  done
}

say_file() { say file "$(sha_of_file "$1") $1"; }

same_file() { [ "$(sha_of_file "$1")" = "$2" ] || finish moved "$1 is not as it was when the plan was made"; }

# verify_bound: everything is still as it was when the plan was made, or the act ends here.
verify_bound() {
  each_bound_file same_file
  [ -n "$KCR_BOUND_CERT" ] || return 0
  prints=
  for der in $(on_disk); do prints="$prints $(fingerprint "$der")"; done
  case "$KCR_BOUND_CERT:$prints " in
    none:' ' | *:*" $KCR_BOUND_CERT "*) ;;
    *) finish moved "the client certificate is not the one it was when the plan was made" ;;
  esac
}

need() { # NAME VALUE: a parameter that this act cannot do without
  [ -n "$2" ] || fail "the parameter $1 is missing"
}

# real_of PATH: the file itself in REAL; a link is followed only inside its folder.
real_of() {
  REAL=$1
  [ -L "$1" ] || return 0
  REAL=$(readlink -f "$1")
  folder=$(cd "${1%/*}/" && pwd -P)
  case $REAL in
    "$folder"/*) ;;
    *) fail "$1 is a link that leads out of its folder" ;;
  esac
}

# text_file PATH: fails unless it is a file of at most 256 KiB of text.
text_file() {
  [ -f "$1" ] && [ -r "$1" ] || fail "$1 is not there or no file"
  size=$(wc -c <"$1")
  [ "$size" -le 262144 ] || fail "$1 is too large"
  [ "$(tr -d '\000\r' <"$1" | wc -c)" -eq "$size" ] || fail "$1 has NULs or carriage returns"
}

# backup_name PATH: sets BACKUP. Two acts on a file within a second have a number after the first's time.
backup_name() {
  BACKUP=$1.kubecare-$STAMP
  for number in 2 3 4 5 6 7 8 9; do
    [ -e "$BACKUP" ] || [ -L "$BACKUP" ] || break
    BACKUP=$1.kubecare-$STAMP-$number
  done
  if [ -e "$BACKUP" ] || [ -L "$BACKUP" ]; then fail "$BACKUP is there already"; fi
}

# replace_file PATH CONTENT: a backup, then the new content in one step, with mode and owner kept.
replace_file() {
  checking && return 0
  backup_name "$1"
  new=$1.kubecare-new-$KCP_NONCE
  remember new "$BACKUP"
  bounded 20 cp -p "$1" "$BACKUP" </dev/null || fail "$BACKUP cannot be written"
  [ "$(sha_of_file "$1")" = "$(sha_of_file "$BACKUP")" ] || fail "$BACKUP is not a whole copy"
  remember new "$new"
  bounded 20 cp -p "$1" "$new" </dev/null || fail "$new cannot be written"
  printf '%s' "$2" >"$new" || fail "$new cannot be written"
  [ "$(sha_of_file "$new")" = "$(printf '%s' "$2" | sha256)" ] || fail "$new was not written whole"
  remember copied "$1" "$BACKUP"
  touched
  bounded 20 mv -f "$new" "$1" </dev/null || fail "$1 cannot be replaced"
  BACKUPS="$BACKUPS$BACKUP$NL"
}

# set_aside PATH: renamed to its backup.
set_aside() {
  checking && return 0
  backup_name "$1"
  remember moved "$1" "$BACKUP"
  touched
  bounded 20 mv "$1" "$BACKUP" </dev/null || fail "$1 cannot be moved aside"
  BACKUPS="$BACKUPS$BACKUP$NL"
}

# write_new PATH CONTENT: a file of mode 0600 that was not there.
write_new() {
  checking && return 0
  new=$1.kubecare-new-$KCP_NONCE
  remember new "$new"
  (
    set -C
    printf '%s' "$2" >"$new"
  ) || fail "$new cannot be written"
  chmod 0600 "$new" || fail "$new cannot be protected"
  remember new "$1"
  touched
  bounded 20 mv -f "$new" "$1" </dev/null || fail "$1 cannot be written"
}

# good_for_client FILE: holds a certificate that has not ended, of this node, and its key. Why not is said in WHY.
good_for_client() {
  WHY=
  [ -f "$1" ] && [ -n "$(der_of "$1")" ] || WHY='holds no certificate'
  [ -z "$WHY" ] || return 1
  case $(head_of "$1" | tr -d '\000' | pem | grep '^key') in
    'key yes') ;;
    *) WHY='holds no key' ;;
  esac
  [ -z "$WHY" ] || return 1
  has openssl || return 0
  [ "$(same_key "$1" "$1")" = yes ] || WHY='has a key that does not match'
  bounded 5 openssl x509 -noout -checkend 60 -in "$1" >/dev/null 2>&1 </dev/null || WHY='has ended'
  if [ -n "$KCR_NODE" ]; then
    subject=$(bounded 5 openssl x509 -noout -subject -nameopt RFC2253 -in "$1" 2>/dev/null </dev/null | sed 's/^subject= *//')
    case ",$subject," in
      *\\*) WHY='has a subject with special characters' ;;
      *",CN=system:node:$KCR_NODE,"*) ;;
      *) WHY='is not of this node' ;;
    esac
  fi
  [ -z "$WHY" ]
}

nap() { sleep "${KCR_NAP:-1}"; }

restart_unit() {
  change "restart $KCR_UNIT"
  checking && return 0
  has systemctl || fail 'there is no systemctl on the node'
  RESTARTED=yes CHANGED=yes
  bounded 10 systemctl reset-failed "$KCR_UNIT" </dev/null >/dev/null 2>&1
  bounded 60 systemctl restart "$KCR_UNIT" </dev/null >/dev/null 2>&1 || fail "systemctl restart $KCR_UNIT failed"
}

main_pid() { bounded 10 systemctl show -p MainPID "$KCR_UNIT" 2>/dev/null </dev/null | sed -n 's/^MainPID=//p'; }

# wait_active: the same process is seen active five times in a row.
wait_active() {
  until=$(($(date +%s) + KCR_TIMEOUT))
  seen=0 pid=
  while [ "$seen" -lt 5 ]; do
    [ "$(date +%s)" -lt "$until" ] || fail "$KCR_UNIT did not become and stay active within $KCR_TIMEOUT seconds"
    now=$(main_pid)
    if [ "$(unit_state)" = active ] && [ "$now" = "$pid" ]; then seen=$((seen + 1)); else seen=0; fi
    pid=$now
    nap
  done
}

# new_certificate OLD: the certificate in the pki folder is another and good.
new_certificate() {
  print=$(fingerprint "$(der_of "$KCR_PKI/kubelet-client-current.pem" 2>/dev/null)")
  [ -n "$print" ] && [ "$print" != "$1" ] && good_for_client "$KCR_PKI/kubelet-client-current.pem"
}

wait_new_certificate() { # OLD fingerprint
  until=$(($(date +%s) + KCR_TIMEOUT))
  until new_certificate "$1"; do
    [ "$(date +%s)" -lt "$until" ] || fail "no new client certificate came within $KCR_TIMEOUT seconds"
    nap
  done
}
