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
export LC_ALL TZ PATH
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

# The last look at all that is said: what is shaped like a secret goes no further.
scrub() {
  sed -e 's#://[^/@ "]*@#://#g' \
    -e 's/eyJ[A-Za-z0-9_-]\{8,\}\.[A-Za-z0-9_-]*\(\.[A-Za-z0-9_-]*\)*/[removed]/g' \
    -e 's/LS0tLS1[A-Za-z0-9+/_=-]*/[removed]/g' \
    -e 's/-----BEGIN [A-Z0-9 ]*KEY-----.*/[removed]/g' \
    -e 's/\([^A-Za-z0-9]\)\([a-z0-9]\{6\}\)\.[a-z0-9]\{16\}\([^A-Za-z0-9._-]\)/\1\2.[removed]\3/g' \
    -e 's/\([^A-Za-z0-9]\)\([a-z0-9]\{6\}\)\.[a-z0-9]\{16\}$/\1\2.[removed]/' \
    -e 's/\([Bb][Ee][Aa][Rr][Ee][Rr]\|[Bb][Aa][Ss][Ii][Cc]\)[: ]\{1,\}[A-Za-z0-9._~+/=-]\{8,\}/\1 [removed]/g' \
    -e 's/\([Pp][Aa][Ss][Ss][Ww][Oo][Rr][Dd]\|[Pp][Aa][Ss][Ss][Ww][Dd]\|[Tt][Oo][Kk][Ee][Nn]\|[Ss][Ee][Cc][Rr][Ee][Tt]\)\(["\\]*[=:][ "\\]*\)[^ ",}\\]\{1,\}/\1\2[removed]/g'
}
