# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The awk programs are in single quotes.
# shellcheck disable=SC2016
#
# Files: what stat says, the CERTIFICATE blocks and nothing else of their content, and whether a key matches, compared here.

MAX_CERTIFICATES=6

# stdin → "cert <DER in base64>" a CERTIFICATE block, "key yes" when a private key block is there.
PEM_AWK='
{ sub(/\r$/, "") }
/^[ \t]*-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/ { inside = 0; if (!key++) print "key yes"; next }
/^[ \t]*-----BEGIN CERTIFICATE-----/ { inside = 1; body = ""; next }
/^[ \t]*-----END CERTIFICATE-----/ { if (inside && body != "" && n++ < limit) print "cert", body; inside = 0; next }
/^[ \t]*-----/ { inside = 0; next }
inside { gsub(/[ \t]/, ""); if ($0 ~ /[^A-Za-z0-9+\/=]/ || length(body) > 32768) { inside = 0; if (n++ < limit) print "cert !" } else body = body $0 }
END { if (n > limit) print "more", n - limit }'

pem() { awk -v limit="$MAX_CERTIFICATES" "$PEM_AWK"; }

# head_of FILE: at most 256 KiB.
head_of() { bounded 5 dd if="$1" bs=4096 count=64 2>/dev/null </dev/null; }

status_of() { # PATH: mode, owner … of what the path leads to; the time of the path itself
  has stat || return 0
  bounded 5 stat -L -c "mode 0%a${NL}owner %U${NL}group %G${NL}size %s" "$1" 2>/dev/null </dev/null | say_lines
  say modified "$(bounded 5 stat -c %Y "$1" 2>/dev/null </dev/null)"
}

sha256() { # of stdin, in hex; nothing where there is no tool
  if has sha256sum; then
    bounded 5 sha256sum 2>/dev/null | cut -c 1-64
  elif has openssl; then
    bounded 5 openssl dgst -sha256 2>/dev/null | sed 's/.*[ =]//'
  fi
}

# say_digest TAG FILE: of its content, to which a repair can be bound.
say_digest() {
  digest=
  [ -f "$2" ] && [ -r "$2" ] && digest=$(sha256 <"$2")
  say "$1" "$digest"
}

# same_key CERTIFICATE_FILE KEY_FILE: yes, no, unreadable (openssl finds no key in it) or nothing (cannot be told). Only public keys are looked at.
same_key() {
  has openssl || return 0
  of_certificate=$(bounded 5 openssl x509 -noout -pubkey -in "$1" 2>/dev/null </dev/null)
  of_key=$(bounded 5 openssl pkey -pubout -passin pass: -in "$2" 2>/dev/null </dev/null)
  status=$?
  [ -n "$of_certificate" ] || return 0
  if [ -z "$of_key" ]; then
    [ "$status" = 1 ] && echo unreadable
    return 0
  fi
  if [ "$of_certificate" = "$of_key" ]; then echo yes; else echo no; fi
}

# out_of_sight FILE (absolute): this user may not read it, or may not look whether it is there.
out_of_sight() {
  if [ -e "$1" ]; then
    [ ! -r "$1" ]
    return
  fi
  above=${1%/*}
  while [ -n "$above" ] && [ ! -e "$above" ]; do above=${above%/*}; done
  [ ! -x "${above:-/}" ]
}

# file_section KIND PATH [KEY_FILE]
file_section() {
  open "$1" "$2"
  key_file=${3:-}
  if [ -L "$2" ]; then
    say type link
    say target "$(readlink "$2" 2>/dev/null)"
    if [ -e "$2" ]; then say target_exists yes; else
      say target_exists no
      say modified "$(bounded 5 stat -c %Y "$2" 2>/dev/null </dev/null)"
      return
    fi
  elif [ -f "$2" ]; then
    say type file
  elif [ -e "$2" ]; then
    say type other
    return
  else
    if out_of_sight "$2"; then say denied yes; else say exists no; fi
    return
  fi
  say exists yes
  status_of "$2"
  [ -f "$2" ] || return 0
  if [ ! -r "$2" ]; then
    say denied yes
    return
  fi
  content=$(head_of "$2" | tr -d '\000' | pem)
  [ -n "$content" ] && printf '%s\n' "$content" | say_lines
  if [ -z "$key_file" ]; then
    case $content in
      *'key yes'*) key_file=$2 ;;
      *) case $2 in *.crt) [ -e "${2%.crt}.key" ] && key_file=${2%.crt}.key ;; esac ;;
    esac
  fi
  [ -n "$key_file" ] || return 0
  [ "$key_file" = "$2" ] || {
    say key_path "$key_file"
    if [ -e "$key_file" ]; then say key_exists yes; elif [ "$ROOT" = yes ]; then say key_exists no; fi
    [ -e "$key_file" ] && head_of "$key_file" | tr -d '\000' | pem | grep '^key' | say_lines
  }
  case $content in
    *'cert '*) say key_matches "$(same_key "$2" "$key_file")" ;;
  esac
}

# The certificates of pki: every link and undated file, of dated ones (kubelet-client-<time>.pem) the two newest a kind.
pki_section() {
  open pki "$PKI"
  if [ ! -d "$PKI" ]; then
    if [ -e "$PKI" ] || [ "$ROOT" = yes ]; then say exists no; else missing pki not_permitted "$PKI cannot be looked at"; fi
  else
    say exists yes
    status_of "$PKI"
    filesystem "$PKI"
  fi
  if [ -d "$PKI" ] && [ ! -r "$PKI" ]; then
    missing pki.files not_permitted "$PKI cannot be listed"
    return
  fi
  # Names sort by the time in them; nothing is started for each file, as there may be thousands.
  newest=
  for kind in client server; do
    number=0 last='' before='' third=''
    for file in "$PKI/kubelet-$kind-"[0-9]*.pem; do
      [ -e "$file" ] || [ -L "$file" ] || continue
      [ -n "$third" ] && [ "$number" -le 5002 ] && say "dated.$kind.old" "${third##*/}"
      number=$((number + 1)) third=$before before=$last last=$file
    done
    say "dated.$kind" "$number"
    young=$(bounded 5 find "$PKI/" -name "kubelet-$kind-[0-9]*.pem" -mmin -60 2>/dev/null </dev/null) &&
      say "dated.$kind.hour" "$(printf '%s\n' "$young" | grep -c .)"
    [ "$number" -gt 2 ] && say files_dropped "$((number - 2))"
    newest="$newest$NL$last$NL$before"
  done
  printf '%s\n' "$newest" | while read -r file; do
    [ -n "$file" ] && file_section file "$file"
  done
  number=0
  for file in "$PKI"/*; do
    case $file in
      "$PKI"/kubelet-client-[0-9]*.pem | "$PKI"/kubelet-server-[0-9]*.pem) continue ;;
      *.pem | *.crt | *.tmp) ;;
      *) [ -L "$file" ] || continue ;;
    esac
    [ -e "$file" ] || [ -L "$file" ] || continue
    number=$((number + 1))
    [ "$number" -le 16 ] && file_section file "$file"
    case $file in */kubelet-client-current.pem) say_digest sha256 "$file" ;; esac
  done
  printf '%s\n%s\n' "$KUBECONFIG_CERTIFICATE|$KUBECONFIG_KEY" "$TLS_CERTIFICATE|$TLS_KEY" | while IFS='|' read -r file key; do
    case $file in
      '' | "$PKI"/*.pem | "$PKI"/*.crt) continue ;;
    esac
    file_section file "$file" "$key"
  done
}

filesystem() { # FOLDER
  where=$(cd "$1" 2>/dev/null && pwd -P)
  where=${where:-$1}
  table=$KCP_PROC/${KUBELET_PID:-self}/mountinfo
  [ -r "$table" ] || table=/proc/self/mountinfo
  mount_of "$table"
  # The kubelet may see other mounts than the node: a unit can give it a view of its own. So does a probe pod, where the node's is that of
  # its first process, and all is read-only.
  ours=$(readlink /proc/self/ns/mnt 2>/dev/null)
  theirs=$(readlink "$KCP_PROC/${KUBELET_PID:-none}/ns/mnt" 2>/dev/null)
  folder=$1
  if [ -n "$theirs" ] && [ "$theirs" != "$ours" ]; then
    table=$KCP_PROC/1/mountinfo
    [ -r "$table" ] || table=/proc/self/mountinfo
    mount_of "$table" | sed 's/ fs\./ host_fs./'
    [ -d "$KCP_PROC/$KUBELET_PID/root$where" ] && folder=$KCP_PROC/$KUBELET_PID/root$where
  fi
  say fs.stat "$(bounded 5 stat -f -c '%S %b %f %c %d' "$folder" 2>/dev/null </dev/null)"
  say fs.df "$(bounded 5 df -P -k "$folder" 2>/dev/null </dev/null | awk 'NR > 1 && NF >= 6 { print $(NF - 4), $(NF - 2) }' | tail -n 1)"
  if has lsattr; then say fs.attributes "$(bounded 5 lsattr -d "$folder" 2>/dev/null </dev/null | awk '{ print $1 }')"; fi
  if [ -w "$folder" ]; then say fs.access yes; else say fs.access no; fi
}

# What SELinux or AppArmor denied the kubelet: the newest lines of the audit log, else of the kernel's.
denials_section() {
  open denials kubelet
  enforcing=
  has getenforce && enforcing=$(bounded 5 getenforce 2>/dev/null </dev/null)
  say enforcing "$enforcing"
  wanted='avc: *denied.* comm="kubelet"\|apparmor="DENIED".* comm="kubelet"'
  audit=${KCP_AUDIT_LOG:-/var/log/audit/audit.log}
  if [ -r "$audit" ]; then
    bounded 5 tail -c 524288 "$audit" 2>/dev/null </dev/null | grep "$wanted" | tail -n 3 | scrub | cut -c 1-480 | sed 's/^/line /' | say_lines
  elif has journalctl && [ "$ROOT" = yes ]; then
    bounded 2 journalctl -q --no-pager -o short-unix -k --since "@$((NOW - 3600))" 2>/dev/null </dev/null | grep "$wanted" | tail -n 3 | scrub | cut -c 1-480 | sed 's/^/line /' | say_lines
  else
    missing denials not_permitted 'neither the audit log nor the kernel log can be read'
  fi
}

mount_of() { # TABLE: the mount that $where lies on
  awk -v where="$where" '
    {
      point = $5; gsub(/\\040/, " ", point)
      if (point == "/" || point == where || index(where, point "/") == 1) if (length(point) >= best) {
        best = length(point); mount = point; options = $6
        for (i = 7; i <= NF; i++) if ($i == "-") { type = $(i + 1); device = $(i + 2); super = $(i + 3); break }
      }
    }
    END { if (mount != "") { print "fs.mount_point", mount; print "fs.type", type; print "fs.device", device; print "fs.options", options; print "fs.super", super } }
  ' "$1" 2>/dev/null | say_lines
}
