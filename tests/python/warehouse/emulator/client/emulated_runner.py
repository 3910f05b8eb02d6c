"""The process beside dbt, for the emulator: its Storage API has no TLS, and it has no _SESSION tables."""

import json
import os
import sys
import uuid

import grpc
from bigframes.session import bigquery_session, clients
from google.cloud import bigquery, bigquery_storage_v1
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
    BigQueryReadGrpcTransport,
)
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)

from dbt_bigframes_here import runner

SCRATCH_DATASET = "bigframes_scratch"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def channel() -> grpc.Channel:
    return grpc.insecure_channel(os.environ["BIGQUERY_EMULATOR_GRPC"], options=UNLIMITED)


def read_client(_: object) -> bigquery_storage_v1.BigQueryReadClient:
    return bigquery_storage_v1.BigQueryReadClient(
        transport=BigQueryReadGrpcTransport(channel=channel())
    )


def write_client(_: object) -> bigquery_storage_v1.BigQueryWriteClient:
    return bigquery_storage_v1.BigQueryWriteClient(
        transport=BigQueryWriteGrpcTransport(channel=channel())
    )


def create_temp_table(self, schema, cluster_cols=()):  # noqa: ARG001 - the signature is BigFrames'
    """A table of a scratch dataset in the place of one of the session."""
    self.bqclient.create_dataset(SCRATCH_DATASET, exists_ok=True)
    name = f"{self.bqclient.project}.{SCRATCH_DATASET}.t{uuid.uuid4().hex}"
    return self.bqclient.create_table(bigquery.Table(name, list(schema))).reference


clients.ClientsProvider.bqstoragereadclient = property(read_client)
clients.ClientsProvider.bqstoragewriteclient = property(write_client)
bigquery_session.SessionResourceManager.create_temp_table = create_temp_table


def main() -> None:
    """Run the job that is the one argument, or comes by standard input."""
    runner.run(json.loads(sys.argv[1]) if sys.argv[1:] else json.load(sys.stdin))


if __name__ == "__main__":
    main()
