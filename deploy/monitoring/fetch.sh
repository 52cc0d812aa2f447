#!/usr/bin/env bash
# Prometheus, promtool and Alertmanager as Debian has them, into build/monitoring/bin. Nothing is
# installed and nobody needs to be root: packages are downloaded and unpacked, no more.
set -euo pipefail
cd "$(dirname "$0")/../.."
into=build/monitoring
packages=(prometheus prometheus-alertmanager)
programs=(prometheus promtool prometheus-alertmanager amtool)

fail() {
  echo "Prometheus and Alertmanager: $1" >&2
  exit 1
}

for needed in apt-get dpkg-deb; do
  command -v "$needed" >/dev/null || fail "$needed fetches Debian's packages, and is not here; on another \
system, put ${programs[*]} into $into/bin by hand."
done

rm -rf "$into/fetched"
mkdir -p "$into/fetched/debs" "$into/fetched/lists/partial" "$into/fetched/cache/archives/partial"
# Where the system's lists of packages are absent or old, lists of our own do: a user may write them.
own_lists=(-o "Dir::State::lists=$PWD/$into/fetched/lists" -o "Dir::Cache=$PWD/$into/fetched/cache")
apt() (cd "$into/fetched/debs" && apt-get -qq -o "APT::Sandbox::User=$(id -un)" "$@")
if ! apt download "${packages[@]}" 2>/dev/null; then
  { apt "${own_lists[@]}" update && apt "${own_lists[@]}" download "${packages[@]}"; } ||
    fail "the packages could not be downloaded, see above; is there a network?"
fi

for deb in "$into"/fetched/debs/*.deb; do
  dpkg-deb --extract "$deb" "$into/fetched/root"
done
mkdir "$into/fetched/bin"
for program in "${programs[@]}"; do
  mv "$into/fetched/root/usr/bin/$program" "$into/fetched/bin/"
done
rm -rf "$into/bin"
mv "$into/fetched/bin" "$into/bin"
rm -rf "$into/fetched"
