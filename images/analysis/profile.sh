# Terminals of notebook servers: the analysis tools, and the software stack that was chosen on the spawn page.
PATH="/opt/analysis/bin:$PATH"
if [ -n "${CANTIERE_STACK:-}" ] && [ -r "$CANTIERE_STACK" ] && [ -n "${BASH_VERSION:-}" ]; then
  . "$CANTIERE_STACK"
fi
