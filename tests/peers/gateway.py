"""A gateway written with the official OpenTelemetry SDK for Python: spans, metrics and logs over gRPC with gzip.

    python gateway.py HOST:PORT

Sends, then prints what it sent as one line of JSON. Exits 1 when anything was not acknowledged.
"""

import json
import logging
import sys

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from grpc import Compression

TASKS = 20
# The spellings in which chain ids come, and what each is in the end.
CHAINS = [(11155111, "11155111"), ("0x2105", "8453"), ("eip155:10", "10")]


class Watched(OTLPSpanExporter):
    """Remembers whether any batch was refused; the SDK only logs it."""

    failed = 0

    def export(self, spans):
        result = super().export(spans)
        if result is not SpanExportResult.SUCCESS:
            self.failed += 1
        return result


def task(tracer, number):
    """One task: the root names the chain, the children leave it to be inherited."""
    chain, canonical = CHAINS[number % len(CHAINS)]
    with tracer.start_as_current_span("process task", kind=SpanKind.SERVER) as root:
        root.set_attribute("chain_id", chain)
        root.set_attribute("avs.outcome", "deny" if number % 5 == 0 else "allow")
        with tracer.start_as_current_span("broadcast task", kind=SpanKind.PRODUCER):
            pass
        with tracer.start_as_current_span("aggregate signatures") as aggregation:
            aggregation.set_attribute("avs.quorum.threshold", 67)
            if number % 10 == 9:
                aggregation.set_attribute("avs.outcome", "failed")
                aggregation.set_attribute("avs.quorum.failure.reason", "quorum_not_reached")
                aggregation.set_status(Status(StatusCode.ERROR, "Quorum not reached"))
    return canonical


def main(endpoint):
    resource = Resource.create({"service.name": "python-gateway", "deployment.environment.name": "test"})
    options = {"endpoint": endpoint, "insecure": True, "compression": Compression.Gzip, "timeout": 20}

    exporter = Watched(**options)
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(exporter))
    tracer = traces.get_tracer("gateway")
    chains = [task(tracer, number) for number in range(TASKS)]
    with tracer.start_as_current_span("no chain anywhere"):
        pass

    metrics = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter(**options))])
    metrics.get_meter("gateway").create_counter("gateway.tasks").add(TASKS)

    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**options)))
    logger = logging.getLogger("gateway")
    logger.setLevel(logging.INFO)
    logger.addHandler(LoggingHandler(logger_provider=logs))
    logger.info("%d tasks processed", TASKS)

    flushed = [traces.force_flush(), metrics.force_flush(), logs.force_flush()]
    for provider in (traces, metrics, logs):
        provider.shutdown()
    tasks = {chain: chains.count(chain) for chain in set(chains)}
    print(json.dumps({"spans": 3 * TASKS + 1, "tasks": tasks, "failed": exporter.failed, "flushed": flushed}))
    return 0 if all(flushed) and not exporter.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
