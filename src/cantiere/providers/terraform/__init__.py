"""Provider ``terraform``: machines by a module of OpenTofu or Terraform, for clouds that have no provider of ours."""

from cantiere.providers.terraform.provider import Terraform

__all__ = ["Terraform"]
