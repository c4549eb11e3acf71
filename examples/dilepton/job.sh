#!/bin/sh
# Runs on a worker: HTCondor keeps a fresh token in its credential directory, the analysis finds it through BEARER_TOKEN_FILE.
set -eu
export BEARER_TOKEN_FILE="$_CONDOR_CREDS/iam.use"
export PATH="/opt/analysis/bin:/usr/local/bin:/usr/bin:/bin"
export HOME="${HOME:-$PWD}" MPLCONFIGDIR="$PWD"
exec python -W ignore analysis.py "$@"
