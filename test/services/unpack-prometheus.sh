#!/bin/sh
# Unpacks Debian's package of Prometheus into directory $1, once, whoever asks at the same time. Nothing is installed, so no
# service is started and no privileges are needed.
set -eu

directory=$1
mkdir -p "$directory"
exec 9>>"$directory/lock"
flock 9
[ ! -x "$directory/usr/bin/promtool" ] || exit 0

fresh=$directory/fresh
rm -rf "$fresh"
mkdir "$fresh"
cd "$fresh"
# A machine that never asked for the lists of packages knows none.
apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }
dpkg-deb --extract prometheus_*.deb "$fresh"
rm -rf "$directory/usr"
mv "$fresh/usr" "$directory/usr"
rm -rf "$fresh"
