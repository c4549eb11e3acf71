"""Users as cantiere_manifest takes them."""

from __future__ import annotations

from cantiere.accounts import accounts


def test_keys_rights_and_groups() -> None:
    """Keys are a block in a private folder, rights a file of their own that sudo does not skip."""
    made = accounts(
        [{"name": "a.b", "keys": ["k1", "k2 "], "sudo": True, "groups": ["adm"]}, {"name": "root", "keys": ["k3"]}, {"name": "c"}]
    )
    assert [user["name"] for user in made["users"]] == ["a.b", "root", "c"] and made["users"][0]["groups"] == ["adm"]
    assert [(item["path"], item["mode"], item["owner"]) for item in made["directories"]] == [
        ("/home/a.b/.ssh", "0700", "a.b"),
        ("/root/.ssh", "0700", "root"),
    ]
    assert made["blocks"][0]["content"] == "k1\nk2\n" and made["blocks"][0]["mode"] == "0600"
    assert [(item["path"], item["mode"]) for item in made["files"]] == [("/etc/sudoers.d/60-cantiere-a-b", "0440")]
