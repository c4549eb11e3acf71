"""The notebook's side of the facility: its token, the credential that running jobs are served from, and pods for computations."""

from cantiere_notebook.computing import with_token
from cantiere_notebook.credential import store_credential
from cantiere_notebook.tokens import refresh, token

__all__ = ["refresh", "store_credential", "token", "with_token"]
