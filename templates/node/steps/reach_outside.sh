#!/usr/bin/env bash
# How the node reaches the outside: proxies for apt, authorities to trust,
# stand-ins for registries. containerd and the kubelet read the proxies from
# files/go.env. Where the profile says nothing, nothing is written.
source "${BASH_SOURCE[0]%/*}/lib.sh"

apt=/etc/apt/apt.conf.d/80provision
authority=/usr/local/share/ca-certificates/provision.crt
mirrors=/etc/containerd/certs.d
# Written when the system's file of authorities held ours.
trusted=$stamps/authorities.pem

apt_text=
[[ -z ${PROXY_HTTP?} ]] || apt_text+="Acquire::http::Proxy \"$PROXY_HTTP\";"$'\n'
[[ -z ${PROXY_HTTPS?} ]] || apt_text+="Acquire::https::Proxy \"$PROXY_HTTPS\";"$'\n'

# holds FILE TEXT: FILE has this text; no text: there is no such file.
holds() {
  if [[ -z $2 ]]; then
    [[ ! -e $1 ]]
  else
    [[ -f $1 && $(<"$1") == "${2%$'\n'}" ]]
  fi
}

# put FILE TEXT: makes it so.
put() {
  if [[ -z $2 ]]; then
    rm -f "$1"
  else
    mkdir -p "${1%/*}"
    printf '%s\n' "${2%$'\n'}" >"$1"
  fi
}

# each_mirror COMMAND: calls COMMAND with each registry's file and its text,
# also for those that stand there and are asked for no more.
each_mirror() {
  local pair file
  local -A wanted=()
  for pair in ${REGISTRY_MIRRORS?}; do
    file=$mirrors/${pair%%=*}/hosts.toml
    wanted["$file"]="# Written by provision.
[host.\"${pair#*=}\"]
  capabilities = [\"pull\", \"resolve\"]"
  done
  for file in "$mirrors"/*/hosts.toml; do
    [[ ! -f $file || $(<"$file") != "# Written by provision."* || -v wanted[$file] ]] || wanted[$file]=
  done
  for file in "${!wanted[@]}"; do "$1" "$file" "${wanted[$file]}"; done
}

check_mirror() {
  holds "$1" "$2" || would "write $1"
}

check() {
  holds $apt "$apt_text" || would "write $apt (proxies)"
  each_mirror check_mirror
  if [[ -s $files/authorities.pem ]]; then
    same "$files/authorities.pem" "$trusted" || would "trust the profile's authorities"
  else
    [[ ! -e $authority ]] || would "trust the profile's authorities no more"
  fi
}

run() {
  put $apt "$apt_text"
  each_mirror put
  if [[ -s $files/authorities.pem ]]; then
    same "$files/authorities.pem" "$trusted" || {
      place "$files/authorities.pem" $authority
      refresh
      place "$files/authorities.pem" "$trusted"
    }
  elif [[ -e $authority ]]; then
    rm -f $authority "$trusted"
    refresh
  fi
}

# A running containerd has read the authorities it knows.
refresh() {
  command -v update-ca-certificates >/dev/null || apt-get -qq install --yes ca-certificates
  update-ca-certificates >/dev/null
  systemctl --no-block try-restart containerd.service
}

step "$@"
