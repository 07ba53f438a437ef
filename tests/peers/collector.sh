#!/usr/bin/env bash
# Builds an OpenTelemetry Collector with the spanmetrics connector and the transform processor as DIR/collector, unless one is
# there:
# tests/peers/collector.sh DIR
# Exits 3 where there is no Go toolchain. Takes about three minutes on two cores.
set -euo pipefail

readonly version=v0.159.0
readonly contrib=github.com/open-telemetry/opentelemetry-collector-contrib
dir=${1:?usage: tests/peers/collector.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

if [[ -x $dir/collector ]] && [[ $("$dir/collector" --version) == *"${version#v}"* ]]; then
  exit 0
fi
if ! command -v go >/dev/null; then
  echo "collector.sh: there is no Go toolchain here, so the Collector cannot be built" >&2
  exit 3
fi

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cat >"$work/manifest.yaml" <<MANIFEST
dist: {name: collector, description: to compare with, output_path: $work/build, version: ${version#v}}
receivers: [{gomod: go.opentelemetry.io/collector/receiver/otlpreceiver $version}]
processors:
  - {gomod: go.opentelemetry.io/collector/processor/batchprocessor $version}
  - {gomod: $contrib/processor/transformprocessor $version}
connectors: [{gomod: $contrib/connector/spanmetricsconnector $version}]
exporters: [{gomod: go.opentelemetry.io/collector/exporter/otlpexporter $version}]
MANIFEST
cd "$work"
GOBIN=$work go install "go.opentelemetry.io/collector/cmd/builder@$version"
./builder --config manifest.yaml
# Only a whole build bears the name.
mv build/collector "$dir/collector.partial"
mv "$dir/collector.partial" "$dir/collector"
