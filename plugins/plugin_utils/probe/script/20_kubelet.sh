# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The awk programs are in single quotes (SC2016); other parts read what is found here (SC2034).
# shellcheck disable=SC2016,SC2034
#
# The kubelet: its process, else its unit, and the flags of it that matter. Other flags and the environment by name only.

# As awk's regular expression; what is not named here never leaves the node with a value.
KUBELET_FLAGS='config|config-dir|kubeconfig|bootstrap-kubeconfig|cert-dir|rotate-certificates|rotate-server-certificates|hostname-override|node-ip|tls-cert-file|tls-private-key-file|client-ca-file|feature-gates|root-dir|port|address|healthz-port|healthz-bind-address|cloud-provider|logging-format|log-file|v'

# arguments, one a line → "flag name value" for those of the list (boolean ones may have no value), "other name" for the rest.
FLAGS_AWK='
function put(name, value) {
  if (name ~ ("^(" known ")$")) print "flag", name, value
  else if (name ~ /^[A-Za-z0-9][A-Za-z0-9._-]*$/ && length(name) < 80) print "other", name
}
{ sub(/\r$/, "") }
# A word after a flag without a value is its value, also when it begins with a dash, unless it can be a flag; after the name of a secret
# only what is known is a flag.
function is_flag(arg,   name) {
  if (arg !~ /^--[a-z]/ && arg != "-v") return 0
  name = arg; sub(/^--?/, "", name); sub(/=.*/, "", name)
  return tolower(held) !~ /(pass|token|secret|key|cred)[a-z]*$/ || name ~ ("^(" known ")$")
}
held != "" { if (!is_flag($0)) { put(held, $0); held = ""; next } put(held, "true"); held = "" }
/^--?[A-Za-z0-9]/ {
  arg = $0; sub(/^--?/, "", arg); at = index(arg, "=")
  if (at) { put(substr(arg, 1, at - 1), substr(arg, at + 1)); next }
  if (arg ~ /^rotate-(server-)?certificates$/) { put(arg, "true"); next }
  held = arg
}
END { if (held != "") put(held, "true") }'

# "NAME=value" a line → "env NAME" and, of proxies only, "proxy NAME value".
ENVIRONMENT_AWK='
{ sub(/^[ \t]*(export[ \t]+)?"?/, ""); at = index($0, "=") }
at > 1 {
  name = substr($0, 1, at - 1); value = substr($0, at + 1); gsub(/["\047]/, "", value)
  if (name !~ /^[A-Za-z_][A-Za-z0-9_]*$/ || length(name) > 80) next
  if (names) print "env", name
  if (toupper(name) ~ /^(HTTPS?|ALL)_PROXY$/) { if (value ~ /@/) { if (match(value, /^[a-z0-9+]*:\/\//)) scheme = substr(value, 1, RLENGTH); else scheme = ""; sub(/^.*@/, "", value); value = scheme value }; print "proxy", name, value }
  if (toupper(name) == "NO_PROXY") print "proxy", name, value
}'

# "Environment=A=1 "B=2 3"" as systemctl quotes it, and "FILE C=4" → one assignment a line.
ASSIGNMENTS_AWK='
/^FILE / { print substr($0, 6); next }
/^Environment=/ {
  text = substr($0, 13); word = ""; quoted = 0
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    if (c == "\\") { i++; word = word substr(text, i, 1) }
    else if (c == "\"") quoted = !quoted
    else if (c == " " && !quoted) { print word; word = "" }
    else word = word c
  }
  print word
}'

# An environment file → "FILE NAME=value" a line. The further lines of a value in quotes or after a backslash are no assignments.
ENVIRONMENT_FILE_AWK='
function ends(text, quote,   i, c) {
  for (i = 1; i <= length(text); i++) { c = substr(text, i, 1); if (c == "\\" && quote == "\"") i++; else if (c == quote) return 1 }
  return 0
}
{ sub(/\r$/, "") }
open != "" { if (ends($0, open)) open = ""; next }
more { more = ($0 ~ /\\$/); next }
/^[ \t]*[A-Za-z_]/ {
  print "FILE " $0
  value = $0; sub(/^[^=]*=[ \t]*/, "", value); quote = substr(value, 1, 1)
  if ((quote == "\"" || quote == "\047") && !ends(substr(value, 2), quote)) open = quote
  else more = ($0 ~ /\\$/)
}'

tell_environment() { # LINES; a process's proxies come before the unit's
  printf '%s\n' "$1" | grep . | say_lines
  PROXIES=$(printf '%s\n' "$1" | grep '^proxy ')$NL$PROXIES
}

find_process() {
  KUBELET_PID=
  PROXIES=
  KUBELET_BINARY=
  CLOCK_SOURCE=
  ours=$(readlink /proc/self/ns/pid 2>/dev/null)
  for folder in "$KCP_PROC"/[0-9]*; do
    comm=
    { read -r comm <"$folder/comm"; } 2>/dev/null || continue
    case $comm in
      chronyd | ntpd | systemd-timesyn* | ptp4l | openntpd) CLOCK_SOURCE=$comm ;;
      kubelet | kubelite | hyperkube | k3s | k3s-server | k3s-agent) ;;
      *) continue ;;
    esac
    # A container's process is not this node's kubelet (kind, nested nodes).
    theirs=$(readlink "$folder/ns/pid" 2>/dev/null)
    [ -n "$theirs" ] && [ -n "$ours" ] && [ "$theirs" != "$ours" ] && continue
    case $comm in
      kubelet) KUBELET_PID=${folder##*/} KUBELET_BINARY=$comm ;;
      # `k3s kubectl` and the like are no node. K3s hides its arguments but for the first: "k3s agent" in one.
      k3s*) tr '\0' '\n' <"$folder/cmdline" 2>/dev/null | tr ' ' '\n' | sed -n 2,3p | grep -qx 'agent\|server' || continue ;;
    esac
    case $comm in
      kubelite | hyperkube | k3s*) [ "$KUBELET_BINARY" = kubelet ] || { KUBELET_PID=${folder##*/} KUBELET_BINARY=${comm%%-*}; } ;;
    esac
  done
}

# kubelet_arguments BINARY: of the command line on stdin, those that are the kubelet's. K3s takes them as --kubelet-arg=NAME=VALUE and has
# flags of the same names for itself; kubelite reads them from a file.
kubelet_arguments() {
  case $1 in
    k3s) awk 'held { print "--" $0; held = 0; next } /^--kubelet-arg$/ { held = 1; next } sub(/^--kubelet-arg=/, "") { print "--" $0 }' ;;
    kubelite)
      args=$(sed -n 's/^--kubelet-args-file=//p')
      args=${args:-/var/snap/microk8s/current/args/kubelet}
      data=${args%/args/kubelet}
      common=${data%/*}/common
      [ -r "$args" ] && sed -e 's/[ \t]*$//' -e "s#\${SNAP_DATA}#$data#g" -e "s#\${SNAP_COMMON}#$common#g" -e 's/="\(.*\)"$/=\1/' "$args"
      ;;
    *) cat ;;
  esac
}

# find_data_dir: the folder of K3s or RKE2, by the arguments of process and unit, their environment, or the configuration file.
find_data_dir() {
  case $KUBELET_BINARY:$UNIT in
    k3s:* | *:k3s*) name=k3s ;;
    *:rke2*) name=rke2 ;;
    *) return ;;
  esac
  DATA_DIR=$(printf '%s\n' "$ARGUMENTS" | awk 'held { print; held = 0; next } /^(--data-dir|-d)$/ { held = 1; next } sub(/^(--data-dir|-d)=/, "")' | tail -n 1)
  [ -z "$DATA_DIR" ] && DATA_DIR=$(printf '%s\n' "$VARIABLES" | sed -n 's/^\(K3S\|RKE2\)_DATA_DIR=//p' | tail -n 1)
  [ -z "$DATA_DIR" ] && DATA_DIR=$(sed -n 's/^data-dir: *//p' "/etc/rancher/$name/config.yaml" 2>/dev/null | tr -d "\"'" | tail -n 1)
  case $DATA_DIR in /*) ;; *) DATA_DIR=/var/lib/rancher/$name ;; esac
  say data_dir "$DATA_DIR"
}

process_section() {
  DATA_DIR=
  ARGUMENTS=
  VARIABLES=
  FLAGS=
  open process kubelet
  [ -n "$KUBELET_PID" ] || return 0
  say binary "$KUBELET_BINARY"
  say pid "$KUBELET_PID"
  ticks=$(sed 's/^.*) //' "$KCP_PROC/$KUBELET_PID/stat" 2>/dev/null | awk '{ print $20 }')
  say start_ticks "$ticks"
  say clock_ticks "$(getconf CLK_TCK 2>/dev/null || echo 100)"
  say state "$(sed 's/^.*) //' "$KCP_PROC/$KUBELET_PID/stat" 2>/dev/null | cut -c 1)"
  exe=$(readlink "$KCP_PROC/$KUBELET_PID/exe" 2>/dev/null)
  say binary_changed "$(bounded 5 stat -L -c %Z "$KCP_PROC/$KUBELET_PID/exe" 2>/dev/null </dev/null)"
  say exe "$exe"
  parent=$(sed 's/^.*) //' "$KCP_PROC/$KUBELET_PID/stat" 2>/dev/null | awk '{ print $2 }')
  case $parent in '' | 0 | 1) ;; *) say parent "$(sed -n 1p "$KCP_PROC/$parent/comm" 2>/dev/null)" ;; esac
  ARGUMENTS=$(tr '\0' '\n' <"$KCP_PROC/$KUBELET_PID/cmdline" 2>/dev/null)
  VARIABLES=$(tr '\0' '\n' 2>/dev/null <"$KCP_PROC/$KUBELET_PID/environ" | grep '^[A-Z0-9]*_DATA_DIR=')
  FLAGS=$(printf '%s\n' "$ARGUMENTS" | kubelet_arguments "$KUBELET_BINARY" | awk -v known="$KUBELET_FLAGS" "$FLAGS_AWK")
  tell_environment "$(tr '\0' '\n' 2>/dev/null <"$KCP_PROC/$KUBELET_PID/environ" | scrub | awk -v names=0 "$ENVIRONMENT_AWK")"
  case $exe in
    */kubelet) say version "$(bounded 5 "$exe" --version 2>/dev/null </dev/null | sed -n 1p)" ;;
  esac
  if [ -n "$FLAGS" ]; then
    say flags_source process
    printf '%s\n' "$FLAGS" | say_lines
  fi
}

# The words of ExecStart with the variables that Environment= and the environment files give, one a line. Stays on the node.
UNIT_ARGUMENTS_AWK='
function words(text,   n, i, w) {
  n = split(text, w, /[ \t]+/)
  for (i = 1; i <= n; i++) {
    gsub(/["\047]/, "", w[i])
    if (w[i] ~ /^[A-Za-z_][A-Za-z0-9_]*=/) { current = w[i]; sub(/=.*/, "", current); sub(/^[^=]*=/, "", w[i]); table[current] = w[i] }
    else if (current != "") table[current] = table[current] " " w[i]
  }
}
/^Environment=/ { current = ""; words(substr($0, 13)); next }
/^FILE / { current = ""; words(substr($0, 6)); next }
/^ExecStart=/ { start = $0; sub(/.*argv\[\]=/, "", start); sub(/ ; .*/, "", start) }
END {
  n = split(start, word, /[ \t]+/)
  for (i = 2; i <= n; i++) {
    if (word[i] ~ /^\$\{?[A-Za-z_][A-Za-z0-9_]*\}?$/) {
      name = word[i]; gsub(/[${}]/, "", name); m = split(table[name], inner, /[ \t]+/)
      for (j = 1; j <= m; j++) if (inner[j] != "") print inner[j]
    } else print word[i]
  }
}'

choose_unit() {
  UNIT=$KCP_UNIT
  [ -n "$UNIT" ] && return
  UNIT=kubelet
  if [ -n "$KUBELET_PID" ]; then
    own=$(sed -n 's#^.*/\([A-Za-z0-9@_.-]*\)\.service.*#\1#p' "$KCP_PROC/$KUBELET_PID/cgroup" 2>/dev/null | sed -n 1p)
    case $own in
      *kubelet* | *k3s* | *rke2* | *k0s* | *kubelite*) UNIT=$own ;;
    esac
    return
  fi
  for candidate in kubelet k3s-agent k3s rke2-agent rke2-server k0sworker k0scontroller snap.microk8s.daemon-kubelite; do
    for folder in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system /run/systemd/system; do
      [ -e "$folder/$candidate.service" ] && UNIT=$candidate && return
    done
  done
}

unit_section() {
  choose_unit
  if ! has systemctl; then
    missing kubelet.unit missing_tool 'the node has no systemctl'
    return
  fi
  shown=$(bounded 8 systemctl show "$UNIT" --no-pager -p Id,LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,ActiveEnterTimestamp,InactiveEnterTimestamp,ExecMainStartTimestamp,ExecMainExitTimestamp,ExecMainCode,ExecMainStatus,FragmentPath,DropInPaths,ProtectSystem,ReadOnlyPaths,ReadWritePaths,InaccessiblePaths,Environment,EnvironmentFiles,ExecStart 2>&1 </dev/null)
  case $shown in
    *LoadState=*) ;;
    *)
      missing kubelet.unit error "systemctl show: $(printf '%s\n' "$shown" | tail -n 1 | scrub | cut -c 1-200)"
      return
      ;;
  esac
  open unit "$UNIT"
  printf '%s\n' "$shown" | sed -n '/^\(Environment\|EnvironmentFiles\|ExecStart\)=/!s/^\([A-Za-z]*\)=/p.\1 /p' | say_lines
  variables=$(
    printf '%s\n' "$shown" | grep '^Environment='
    printf '%s\n' "$shown" | sed -n 's/^EnvironmentFiles=-\{0,1\}\(\/.*\) (.*/\1/p' | while read -r file; do
      [ -r "$file" ] && awk "$ENVIRONMENT_FILE_AWK" "$file"
    done
  )
  tell_environment "$(printf '%s\n' "$variables" | awk "$ASSIGNMENTS_AWK" | scrub | awk -v names=1 "$ENVIRONMENT_AWK" | sort -u)"
  arguments=$({ printf '%s\n' "$variables"; printf '%s\n' "$shown" | grep '^ExecStart='; } | awk "$UNIT_ARGUMENTS_AWK")
  ARGUMENTS=$ARGUMENTS$NL$arguments
  VARIABLES=$VARIABLES$NL$(printf '%s\n' "$variables" | awk "$ASSIGNMENTS_AWK" | grep '^[A-Z0-9]*_DATA_DIR=')
  binary=$KUBELET_BINARY
  case $UNIT in k3s*) binary=k3s ;; rke2*) binary=rke2 ;; *kubelite) binary=kubelite ;; esac
  if [ -z "$FLAGS" ] && [ "$binary" != rke2 ]; then
    FLAGS=$(printf '%s\n' "$arguments" | kubelet_arguments "$binary" | awk -v known="$KUBELET_FLAGS" "$FLAGS_AWK")
    if [ -n "$FLAGS" ]; then
      say flags_source unit
      printf '%s\n' "$FLAGS" | say_lines
    fi
  fi
}

# flag NAME: its value (the last one given counts).
flag() { printf '%s\n' "$FLAGS" | sed -n "s/^flag $1 //p" | tail -n 1; }

# ask_healthz ADDRESS PORT: the status line of GET /healthz, by whichever of curl, wget and bash there is.
ask_healthz() {
  case $1 in *:*) set -- "[$1]" "$2" "$1" ;; *) set -- "$1" "$2" "$1" ;; esac
  if has curl; then
    bounded 4 curl -s -o /dev/null -w 'HTTP/1.1 %{http_code}\n' --noproxy '*' -m 3 "http://$1:$2/healthz" 2>/dev/null </dev/null
  elif has bash; then
    bounded 4 bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit 7; printf "GET /healthz HTTP/1.0\r\n\r\n" >&3; read -r line <&3 && printf "%s\n" "$line"' bash "$3" "$2" 2>/dev/null </dev/null
  else
    bounded 4 wget -S -O /dev/null -T 3 "http://$1:$2/healthz" 2>&1 </dev/null | sed -n 's#^ *\(HTTP/\)#\1#p' | sed -n 1p
  fi
}

# The kubelet's own health endpoint (healthzPort, 10248 by default; 0 switches it off): does the process answer at all.
healthz_section() {
  [ -n "$KUBELET_PID" ] || return 0
  port=$(flag healthz-port)
  port=${port:-$(setting healthzPort)}
  case $port in '' | *[!0-9]*) port=10248 ;; esac
  address=$(flag healthz-bind-address)
  address=${address:-$(setting healthzBindAddress)}
  case $address in '' | 0.0.0.0 | :: | *[!0-9a-f.:]*) address=127.0.0.1 ;; esac
  if [ "$port" = 0 ]; then
    missing healthz disabled 'healthzPort is 0'
    return
  fi
  if ! has curl && ! has bash && ! has wget; then
    missing healthz missing_tool 'the node has none of curl, bash and wget'
    return
  fi
  open healthz "$address"
  say port "$port"
  began=$(date +%s)
  answer=$(ask_healthz "$address" "$port")
  say status "$?"
  say seconds $(($(date +%s) - began))
  say http "$(printf '%s\n' "$answer" | sed -n 's#^HTTP/[0-9.]* \([0-9][0-9][0-9]\).*#\1#p' | sed -n 1p)"
}
