from __future__ import annotations

from cantiere.verify.forms import find_form, read_forms

LOGIN = """
<form method="post"><input id="username" name="username" value=""><input name="password" type="password">
<input type="hidden" name="state" value="s1"><button type="submit">Log in</button></form>
"""
SPAWN = """
<form action="/other"><input name="q"></form>
<form action="?next=%2F" method="POST" enctype="multipart/form-data">
<select name="image"><option value="a:1">A</option><option value="b:2" selected>B</option></select>
<input name="cpus" type="number" value="1"><input type="checkbox" name="gpu"><input type="radio" name="size" value="s" checked>
<input type="radio" name="size" value="l"><input type="submit" name="go" value="Start"></form>
"""


def test_a_form_without_action_goes_back_to_its_page() -> None:
    form = find_form(LOGIN, "https://iam.example/authorize?client_id=hub", "password")
    assert form is not None
    assert (form.action, form.method) == ("https://iam.example/authorize?client_id=hub", "post")
    assert form.fields == {"username": "", "password": "", "state": "s1"}


def test_what_a_browser_sends_when_nothing_is_changed() -> None:
    form = find_form(SPAWN, "https://hub.example/hub/spawn/alice", "image")
    assert form is not None
    assert form.action == "https://hub.example/hub/spawn/alice?next=%2F"
    assert form.fields == {"image": "b:2", "cpus": "1", "size": "s"}
    assert form.choices == {"image": ["a:1", "b:2"], "gpu": ["on"], "size": ["s", "l"]}


def test_a_page_without_that_field_has_no_such_form() -> None:
    assert find_form(SPAWN, "https://hub.example/", "password") is None
    assert len(read_forms(SPAWN, "https://hub.example/")) == 2
