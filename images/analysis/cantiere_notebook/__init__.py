"""The notebook's side of the facility: its token, and the credential that running jobs are served from."""

from cantiere_notebook.credential import store_credential
from cantiere_notebook.tokens import refresh, token

__all__ = ["refresh", "store_credential", "token"]
