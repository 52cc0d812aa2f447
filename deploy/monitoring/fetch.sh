#!/usr/bin/env bash
# Prometheus, promtool and Alertmanager as Debian has them, into build/monitoring/bin. Nothing is
# installed and nobody needs to be root: packages are downloaded and unpacked.
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
mkdir "$into/fetched/bin" "$into/fetched/lib"
for program in "${programs[@]}"; do
  mv "$into/fetched/root/usr/bin/$program" "$into/fetched/bin/"
done

# Debian's Alertmanager reads its templates from one folder of the system, where only root may write.
# In this copy the folder's name is one of the same length: whatever is open under the number 9, and
# that is the folder as it was unpacked.
folder=/usr/share/prometheus/alertmanager
if [ -d "$into/fetched/root$folder" ]; then
  opened=$(printf '/proc/self/fd/9%*s' $((${#folder} - 15)) '' | tr ' ' /)
  mv "$into/fetched/root$folder" "$into/fetched/lib/alertmanager-templates"
  LC_ALL=C sed "s#$folder#$opened#g" "$into/fetched/bin/prometheus-alertmanager" \
    > "$into/fetched/lib/prometheus-alertmanager"
  chmod +x "$into/fetched/lib/prometheus-alertmanager"
  cat > "$into/fetched/bin/prometheus-alertmanager" <<'END'
#!/bin/sh
lib=$(dirname "$0")/../lib
exec "$lib/prometheus-alertmanager" "$@" 9<"$lib/alertmanager-templates"
END
fi

rm -rf "$into/bin" "$into/lib"
mv "$into/fetched/bin" "$into/fetched/lib" "$into"
rm -rf "$into/fetched"
