# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
# From the node to the API server of the kubeconfig: resolution, connection, handshake, and what the API server makes of the node's
# certificate. Certificates go from command to command through pipes, never through a file or an argument.

# The endpoint of URL as HOST and PORT (an IPv6 address without brackets).
endpoint() {
  rest=${1#*://}
  rest=${rest%%/*}
  rest=${rest##*@}
  PORT=443
  case $rest in
    \[*\]:*) HOST=${rest%%\]*} PORT=${rest##*\]:} HOST=${HOST#\[} ;;
    \[*\]) HOST=${rest#\[} HOST=${HOST%\]} ;;
    *:*) HOST=${rest%%:*} PORT=${rest#*:} ;;
    *) HOST=$rest ;;
  esac
  case $1 in http://*) [ "$PORT" = 443 ] && PORT=80 ;; esac
  case $HOST in *[!A-Za-z0-9._:-]* | '' | -*) return 1 ;; esac
  case $PORT in *[!0-9]* | '') return 1 ;; esac
}

is_address() {
  case $1 in
    *:*) return 0 ;;
    *[!0-9.]*) return 1 ;;
    *.*.*.*) return 0 ;;
  esac
  return 1
}

resolve() { # leaves what a name resolves to in ADDRESSES
  ADDRESSES=
  if is_address "$HOST"; then
    say address "$HOST"
    say resolved yes
    return
  fi
  if ! has getent; then
    missing network.resolved missing_tool 'the node has no getent'
    return
  fi
  found=$(bounded 10 getent ahosts "$HOST" 2>/dev/null </dev/null || bounded 5 getent hosts "$HOST" 2>/dev/null </dev/null)
  status=$?
  if [ -n "$found" ]; then
    ADDRESSES=$(printf '%s\n' "$found" | awk '!seen[$1]++ && n++ < 8 { print $1 }')
    printf '%s\n' "$ADDRESSES" | sed 's/^/address /' | say_lines
    say resolved yes
  else
    say resolved no
    say resolve_status "$status"
  fi
}

# tell_handshake STATUS TEXT: what the parser needs of s_client's output. What -state says comes at once; CONNECTED is lost in s_client's
# buffer when it is ended by the time limit.
tell_handshake() {
  say status "$1"
  printf '%s\n' "$2" | awk '/^CONNECTED\(|^SSL_connect:/ { if (!c++) print "connected yes" } /^New, |^ *Protocol *: TLS|^ *Cipher *: [A-Z0-9]/ { if ($0 !~ /NONE/ && !n++) print "handshake yes" }
    /^Acceptable client certificate CA names|^Requested Signature Algorithms|^Client Certificate Types/ { if (!r++) print "client_requested yes" }
    /^ *Verify return code: / && !v++ { sub(/^ *Verify return code: /, ""); print "verify", substr($0, 1, 120) }
    /errno|[: ]error:|[Cc]onnection refused|timed out|unreachable|No route|[Nn]ame or service|name resolution|alert|CONNECT failed/ && !/^SSL|^ *[Vv]erif|^verify|^depth/ && e++ < 4 { print "trouble", substr($0, 1, 240) }' | say_lines
  printf '%s\n' "$2" | pem | grep '^cert' | say_lines
}

ca_pem() { # of the kubeconfig
  if [ -n "$(field ca_data "$KUBE")" ]; then
    field ca_data "$KUBE" | decode
  else
    cat "$(absolute "$(field ca_path "$KUBE")" "${KUBECONFIG_FILE%/*}")" 2>/dev/null
  fi
}

certificate_pem() {
  if [ -n "$(field certificate_data "$KUBE")" ]; then field certificate_data "$KUBE" | decode; else cat "$KUBECONFIG_CERTIFICATE" 2>/dev/null; fi
}

key_pem() {
  if [ -n "$(field key_data "$KUBE")" ]; then
    head_of "$KUBECONFIG_FILE" | awk "$UNFOLD_AWK" | awk -v want=client-key-data "$KUBECONFIG_AWK" | decode
  else
    cat "$KUBECONFIG_KEY" 2>/dev/null
  fi
}

# handshake SECONDS ADDRESS SERVER_NAME [OPTIONS...]: s_client's output; its stdin is the request, its descriptor 3 the CA. Goes through
# the HTTP proxy VIA (host:port) where there is one.
handshake() {
  seconds=$1 address=$2 name=$3
  shift 3
  is_address "$name" || set -- -servername "$name" "$@"
  [ -n "$VIA" ] && set -- -proxy "$VIA" "$@"
  bounded "$seconds" openssl s_client -connect "$address" "$@" 2>&1
}

# target ADDRESS: WHERE as s_client takes it.
target() {
  case $1 in *:*) WHERE="[$1]:$PORT" ;; *) WHERE="$1:$PORT" ;; esac
}

may_ask() {
  if [ -z "$KUBECONFIG_CERTIFICATE$(field certificate_data "$KUBE")" ]; then
    missing network.authentication unsupported 'the kubeconfig names no client certificate'
  elif [ -z "$(ca_pem)" ]; then
    missing network.authentication tls 'the CA of the kubeconfig cannot be read, so the server cannot be trusted'
  else
    MAY_ASK=yes
  fi
}

# meet SECONDS: one way to the API server, handshake and request, into the section that is open.
meet() {
  ASK_SECONDS=$1
  shown=$(handshake "$1" "$WHERE" "$SERVER_NAME" -showcerts -state </dev/null)
  tell_handshake "$?" "$shown"
  case $MAY_ASK$shown in yes*'-----BEGIN CERTIFICATE'*) authenticate ;; esac
}

network_section() {
  if [ "$KCP_API_PROBE" != yes ]; then
    missing network disabled 'api_probe is off'
    return
  fi
  source=kubeconfig
  hidden=
  case $KUBECONFIG_FILE in /*) out_of_sight "$KUBECONFIG_FILE" && hidden=yes ;; esac
  server=$(field server "$KUBE")
  if [ -z "$server" ] && [ -n "$BOOTSTRAP_KUBE" ]; then
    # Before a kubelet has a kubeconfig, it goes where the bootstrap kubeconfig says.
    source=bootstrap_kubeconfig
    KUBE=$BOOTSTRAP_KUBE KUBECONFIG_FILE=$BOOTSTRAP_FILE KUBECONFIG_CERTIFICATE=
    server=$(field server "$KUBE")
  fi
  if [ -z "$server" ] && [ -n "$hidden" ]; then
    missing network not_permitted 'the kubeconfig, which names the server, may not be read by the user of the probe'
    return
  fi
  if [ -z "$server" ]; then
    missing network not_found 'no kubeconfig names a server'
    return
  fi
  if ! endpoint "$server"; then
    missing network malformed 'the server of the kubeconfig is no address'
    return
  fi
  open network api
  say source "$source"
  say host "$HOST"
  say port "$PORT"
  VIA=
  resolve
  if ! has openssl; then
    missing network.connect missing_tool 'the node has no openssl'
    return
  fi
  SERVER_NAME=$(field tls_server_name "$KUBE")
  SERVER_NAME=${SERVER_NAME:-$HOST}
  case $SERVER_NAME in *[!A-Za-z0-9._:-]* | -*) SERVER_NAME=$HOST ;; esac
  target "$HOST"
  MAY_ASK=
  may_ask
  meet 8
  each_address
  through_proxy
}

# Where a name has several addresses, a kubelet may meet any of them: the first three, one by one.
each_address() {
  [ "$(printf '%s\n' "$ADDRESSES" | grep -c .)" -gt 1 ] || return 0
  for one in $(printf '%s\n' "$ADDRESSES" | sed -n 1,3p); do
    open address "$one"
    target "$one"
    meet 4
  done
}

# The way through the proxy that the kubeconfig or the kubelet's environment names; whether it is taken is judged elsewhere.
through_proxy() {
  proxy=$(field proxy_url "$KUBE")
  proxy=${proxy:-$(printf '%s\n' "$PROXIES" | sed -n 's/^proxy [Hh][Tt][Tt][Pp][Ss]_[Pp][Rr][Oo][Xx][Yy] //p' | tail -n 1)}
  [ -n "$proxy" ] || return 0
  case $proxy in
    http://*) ;;
    *://*) return ;; # openssl speaks to plain HTTP proxies only
    *) proxy=http://$proxy ;;
  esac
  (
    target "$HOST"
    endpoint "${proxy%/}" || return
    case $HOST in *:*) VIA="[$HOST]:$PORT" ;; *) VIA="$HOST:$PORT" ;; esac
    open proxy "$VIA"
    meet 6
  )
}

# The node's certificate is shown only to a server that the kubeconfig's CA and the name vouch for, and the request (a
# SelfSubjectReview) leaves nothing behind there.
authenticate() {
  check=-verify_hostname
  is_address "$SERVER_NAME" && check=-verify_ip
  body='{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}'
  answer=$(ca_pem | {
    exec 3<&0
    certificate_pem | {
      exec 4<&0
      key_pem | {
        exec 5<&0
        printf 'POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1\r\nHost: %s\r\nUser-Agent: kubelet-certs-probe\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$SERVER_NAME" "${#body}" "$body" |
          ask "$WHERE" "$SERVER_NAME" -quiet -CAfile /dev/fd/3 -verify_return_error "$check" "$SERVER_NAME" -cert /dev/fd/4 -key /dev/fd/5 -pass pass:
      }
    }
  })
  http=$(printf '%s\n' "$answer" | sed -n 's#^.*HTTP/1\.[01] \([0-9][0-9][0-9]\).*#\1#p' | sed -n 1p)
  if [ -n "$http" ]; then
    say http_status "$http"
    printf '%s\n' "$answer" | tr -d '\r\n' | sed -n 's/.*"username" *: *"\([^"]*\)".*/username \1/p' | cut -c 1-300 | say_lines
    case $http in
      2*) ;;
      *) say http_message "$(printf '%s\n' "$answer" | tr -d '\r\n' | sed -n 's/.*"message" *: *"\(\([^"\\]\|\\.\)*\)".*/\1/p' | scrub | cut -c 1-400)" ;;
    esac
  else
    say http_trouble "$(printf '%s\n' "$answer" | grep -i 'error\|alert\|errno\|unable\|could not' | sed -n 1,2p | tr '\n' ' ' | scrub | cut -c 1-300)"
  fi
}

ask() { handshake "$ASK_SECONDS" "$@"; }

# etcd_flag NAME: of the API server's manifest; where etcd is and with what to speak to it.
etcd_flag() { head_of "$manifest" | sed -n "s/^ *- *[\"']\{0,1\}--etcd-$1=\([A-Za-z0-9.:/,_-]*\).*/\1/p" | sed -n 1p; }

# On a control-plane node: the etcd that its API server is told of. Does it take a connection, and what does it say of its health?
etcd_section() {
  manifest=$KCP_MANIFESTS
  manifest=${manifest:-$(setting staticPodPath)}
  manifest=${manifest:-/etc/kubernetes/manifests}/kube-apiserver.yaml
  [ -r "$manifest" ] && has openssl || return 0
  VIA=
  set -- -CAfile "$(etcd_flag cafile)" -cert "$(etcd_flag certfile)" -key "$(etcd_flag keyfile)"
  for url in $(etcd_flag servers | tr ',' '\n' | sed -n 1,3p); do
    endpoint "$url" || continue
    open etcd "$HOST:$PORT"
    target "$HOST"
    shown=$(handshake 5 "$WHERE" "$HOST" -state </dev/null)
    tell_handshake "$?" "$shown"
    case $url$shown in https://*'-----BEGIN CERTIFICATE'*) ;; *) continue ;; esac
    answer=$(printf 'GET /health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$HOST" | handshake 5 "$WHERE" "$HOST" -quiet -verify_return_error "$@")
    printf '%s\n' "$answer" | tr -d '\r\n' | sed -n 's/.*{"health" *: *"\(true\|false\)"\(, *"reason" *: *"\([^"]*\)"\)\{0,1\}.*/\1 \3/p' | sed 's/^/health /' | cut -c 1-200 | say_lines
  done
}

serving_section() {
  has openssl || {
    missing serving missing_tool 'the node has no openssl'
    return
  }
  port=$(flag port)
  port=${port:-$(setting port)}
  case $port in '' | *[!0-9]*) port=10250 ;; esac
  address=127.0.0.1
  for own in "$(flag address)" "$(setting address)"; do
    case $own in '' | 0.0.0.0 | :: | *[!0-9.]*) ;; *) address=$own ;; esac
  done
  open serving "$address"
  say port "$port"
  shown=$(bounded 5 openssl s_client -connect "$address:$port" -showcerts 2>&1 </dev/null)
  tell_handshake "$?" "$shown"
}
