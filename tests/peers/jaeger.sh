#!/usr/bin/env bash
# Builds Jaeger all-in-one (OTLP in, memory storage, query API) as DIR/jaeger, unless it is there: tests/peers/jaeger.sh DIR
# Exits 3 where there is no Go toolchain. Takes about three minutes on two cores.
#
# The module is built from its own source tree, so that its own go.sum vouches for every dependency.
set -euo pipefail

readonly version=v1.76.0
dir=${1:?usage: tests/peers/jaeger.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

if [[ -x $dir/jaeger ]]; then
  exit 0
fi
if ! command -v go >/dev/null; then
  echo "jaeger.sh: there is no Go toolchain here, so Jaeger cannot be built" >&2
  exit 3
fi

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
source_dir=$(cd "$work" && go mod download -json "github.com/jaegertracing/jaeger@$version" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
cp -r "$source_dir" "$work/jaeger"
chmod -R u+w "$work/jaeger"
(cd "$work/jaeger" && go build -o "$dir/jaeger.partial" ./cmd/all-in-one)
# Only a whole build bears the name.
mv "$dir/jaeger.partial" "$dir/jaeger"
