"""Our Ansible modules and their helpers, imported the way that Ansible finds them."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import Any

import ansible.module_utils
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from support.tree import REPOSITORY

HELPERS = str(REPOSITORY / "module_utils")
if HELPERS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(HELPERS)


def helper(name: str) -> ModuleType:
    """A module of ``module_utils/cantiere``."""
    return importlib.import_module(f"ansible.module_utils.cantiere.{name}")


def module(name: str) -> ModuleType:
    """A module of ``library``."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "library" / f"{name}.py")
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def parameters(specification: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Parameters as a module gets them: checked, with defaults filled in."""
    result = ArgumentSpecValidator(specification).validate(given)
    assert not result.error_messages, result.error_messages
    return dict(result.validated_parameters)
