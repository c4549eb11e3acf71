"""Imperative workflows: ``model`` what they are, ``plan`` their steps in order, ``memory`` what they keep, ``run`` does them."""
