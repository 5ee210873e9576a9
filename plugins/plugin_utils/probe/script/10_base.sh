# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The awk programs are in single quotes (SC2016); each guard has its own nap (SC2030, SC2031).
# shellcheck disable=SC2016,SC2030,SC2031
#
# The ground of the probe. All parts are joined in the order of their names and sent to /bin/sh on stdin; nothing is written on the
# node (no here-documents: shells keep them in temporary files). Every line of the answer begins with the nonce of this run, so that
# no file's content can pass for a line of ours: "<nonce> <tag> <value>".

unset ENV BASH_ENV CDPATH HISTFILE
LC_ALL=C
TZ=UTC
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${PATH:-/bin}
# In a probe pod the shell's root is the node's, mounted elsewhere; systemctl takes that for a chroot that has no systemd.
SYSTEMD_IGNORE_CHROOT=1
export LC_ALL TZ PATH SYSTEMD_IGNORE_CHROOT
umask 077
NL='
'

# say TAG VALUE: one line of the answer.
say() {
  said=$2
  case $said in
    *"$NL"*) said=$(printf '%s' "$said" | tr '\n' ' ') ;;
  esac
  printf '%s %s %s\n' "$KCP_NONCE" "$1" "$said"
}

# open KIND NAME: what follows belongs to this section.
open() { say '[' "$1 $2"; }

# missing SUBJECT REASON MESSAGE: the value was not seen, and why.
missing() { say '!' "$1 $2 $3"; }

# lines made by awk or sed, "tag value" each.
say_lines() { sed "s/^/$KCP_NONCE /"; }

has() { command -v "$1" >/dev/null 2>&1; }

# field NAME TEXT: the value of the line "NAME value".
field() { printf '%s\n' "$2" | sed -n "s/^$1 //p" | sed -n 1p; }

absolute() { # PATH FOLDER
  case $1 in
    '' | /*) printf '%s' "$1" ;;
    *) printf '%s/%s' "$2" "$1" ;;
  esac
}

# bounded SECONDS COMMAND...: ends the command after that time (status 124 or above 128). The command reads our stdin.
bounded() {
  limit=$1
  shift
  case $TIMEOUT_KIND in
    kill) timeout -k 1 "$limit" "$@" ;;
    plain) timeout "$limit" "$@" ;;
    old) timeout -t "$limit" "$@" ;;
    *) {
      "$@" <&3 3<&- &
      child=$!
      (
        exec >/dev/null 2>&1 3<&-
        trap 'kill $nap; exit' TERM
        sleep "$limit" &
        nap=$!
        wait $nap
        kill -TERM $child
      ) &
      guard=$!
      wait $child
      status=$?
      kill -TERM $guard 2>/dev/null
      return $status
    } 3<&0 ;;
  esac
}

find_timeout() {
  TIMEOUT_KIND=none
  if has timeout; then
    if timeout -k 1 5 true 2>/dev/null; then
      TIMEOUT_KIND='kill'
    elif timeout 5 true 2>/dev/null; then
      TIMEOUT_KIND=plain
    elif timeout -t 5 true 2>/dev/null; then
      TIMEOUT_KIND=old
    fi
  fi
}

# decode: base64 on stdin to bytes.
decode() {
  if has base64; then
    base64 -d 2>/dev/null
  elif has openssl; then
    openssl base64 -d -A 2>/dev/null
  else
    cat >/dev/null
    return 1
  fi
}

# What scrub knows (the control node looks again, with module_utils/_secrets.py): names beside which a secret stands, and the forms
# in which its value can: "…", \"…\" (JSON within JSON), '…', a word. As sed's basic regular expressions, letters in both cases.
SECRET_NAMES='[Pp][Aa][Ss][Ss][Ww][Oo][Rr][Dd]\|[Pp][Aa][Ss][Ss][Ww][Dd]\|[Pp][Aa][Ss][Ss][Pp][Hh][Rr][Aa][Ss][Ee]\|[Pp][Ww][Dd]\|[Tt][Oo][Kk][Ee][Nn]\|[Ss][Ee][Cc][Rr][Ee][Tt]\|client-key-data\|\([Ss][Ee][Cc][Rr][Ee][Tt]\|[Aa][Cc][Cc][Ee][Ss][Ss]\|[Aa][Pp][Ii]\|[Pp][Rr][Ii][Vv][Aa][Tt][Ee]\|[Aa][Cc][Cc][Oo][Uu][Nn][Tt]\|[Ee][Nn][Cc][Rr][Yy][Pp][Tt][Ii][Oo][Nn]\|[Ss][Ii][Gg][Nn][Ii][Nn][Gg]\|[Ss][Hh][Aa][Rr][Ee][Dd]\|[Aa][Uu][Tt][Hh]\)[_-]\{0,1\}\([Aa][Cc][Cc][Ee][Ss][Ss]\)\{0,1\}[_-]\{0,1\}[Kk][Ee][Yy]'
SECRET_VALUE='"\([^"\]\|\\.\)*\|\\\{1,\}"\([^"\]\|\\\\\\.\|\\\\[^\]\|\\[^"\]\)*\|'"'[^']*"'\|[^ "'"'"'][^ "]*'
BOOTSTRAP_TOKEN='s/\([^A-Za-z0-9]\|\\[nrt]\)\([a-z0-9]\{6\}\)\.[a-z0-9]\{16\}\([.-]*[^A-Za-z0-9.-]\|[.-]*$\|[.-]*\.\(pem\|crt\|key\|tmp\|conf\|yaml\|json\)\)/\1\2.[removed]\3/g'

# The last look at all that is said, and the first at what is cut: what is shaped like a secret goes no further. Tokens twice, as the
# character between two of them belongs to the first.
scrub() {
  sed -e 's#://[^/ "]*@#://#g' \
    -e 's/eyJ[A-Za-z0-9_-]\{8,\}\.[A-Za-z0-9_-]*\(\.[A-Za-z0-9_-]*\)*/[removed]/g' \
    -e 's/LS0tLS1\([A-Za-z0-9+/_=-]\|\\[nr]\)*/[removed]/g' \
    -e 's/-----BEGIN[A-Z0-9 ]*KEY.*/[removed]/' \
    -e 's/[A-Za-z0-9+/=\]*-----END[A-Z0-9 ]*PRIVATE *KEY[A-Z ]*-----/[removed]/g' \
    -e "$BOOTSTRAP_TOKEN" -e "$BOOTSTRAP_TOKEN" \
    -e 's/A[KS]IA[A-Z0-9]\{16\}/[removed]/g' -e 's/gh[pousr]_[A-Za-z0-9]\{20,\}/[removed]/g' \
    -e 's/\([Bb][Ee][Aa][Rr][Ee][Rr]\|[Bb][Aa][Ss][Ii][Cc]\)\([^A-Za-z0-9]\{1,4\}\|%20\)[A-Za-z0-9._~+/=-]\{8,\}/\1 [removed]/g' \
    -e 's/\([Aa][Uu][Tt][Hh][Oo][Rr][Ii][Zz][Aa][Tt][Ii][Oo][Nn][^A-Za-z0-9=:]\{0,4\} *[=:]\{1,2\}[^A-Za-z0-9]\{0,6\}\)\(\(Digest\|Negotiate\|NTLM\|Token\|ApiKey\|AWS4-HMAC-SHA256\) [^"]*\|\(Basic\|Bearer\) [A-Za-z0-9._~+/=-]*\|[A-Za-z0-9._~+/=-]\{8,\}\)/\1[removed]/g' \
    -e "s/\(--[A-Za-z0-9_-]*\($SECRET_NAMES\)\) \{1,\}[^ -][^ ]*/\1 [removed]/g" \
    -e "s/\($SECRET_NAMES\)\([^A-Za-z0-9 =:,.]\{0,4\} *[=:]\{1,2\}>\{0,1\} *\)\($SECRET_VALUE\)/\1\4[removed]/g"
}

# descendants PID: the processes that it started, and those that they did.
descendants() {
  for file in /proc/[0-9]*/stat; do
    sed 's/(.*)/-/' "$file"
  done | awk -v root="$1" '
    { parent[$1] = $4 }
    END { for (pid in parent) for (up = parent[pid]; up > 1; up = parent[up]) if (up == root) { print pid; break } }'
}
