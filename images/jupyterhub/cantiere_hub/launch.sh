# The first process of every notebook's container, whatever its image: the facility's own start where the image has it, else
# JupyterHub's with a bundle of certificates that trusts the facility.
set -eu
if [ -x /opt/analysis/bin/notebook ]; then
  start=/opt/analysis/bin/notebook
else
  start=$(command -v jupyterhub-singleuser) || { echo "this image has no jupyterhub-singleuser" >&2; exit 127; }
  mkdir -p -m 700 "$(dirname "$SSL_CERT_FILE")"
  { cat /etc/ssl/certs/ca-certificates.crt 2>/dev/null || true; printf '%s\n' "$CANTIERE_CA"; } > "$SSL_CERT_FILE"
fi
if [ -x /usr/bin/tini ]; then
  exec /usr/bin/tini -g -- "$start" "$@"
fi
exec "$start" "$@"
