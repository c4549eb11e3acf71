# Environment of the facility's software: . /cvmfs/<repository>/setup.sh REPOSITORY_FOLDER (default: where bash finds this file)
CANTIERE_SOFTWARE=${1:-$(dirname "${BASH_SOURCE:-$0}")}
export CANTIERE_SOFTWARE PATH="$CANTIERE_SOFTWARE/bin:$PATH"
