#!/bin/sh
# What MinIO's chart calls with the server's command line; the chart brings variables, certificates and the account itself.
set -eu
exec "$@"
