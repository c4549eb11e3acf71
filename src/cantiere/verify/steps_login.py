"""Steps at the hub: log-in, refusals, spawn."""

from __future__ import annotations

from cantiere.verify.hub import HUB_REMEDY, page_message
from cantiere.verify.result import StepNotRun, require
from cantiere.verify.session import Session

GIB = 1 << 30


def log_in(session: Session) -> str:
    """A member logs in by the authorization code flow."""
    name = session.member()
    user = session.new_user(name)
    answer = user.log_in()
    way = [step.url.partition("?")[0] for step in answer.history]
    require(answer.status_code == 200, f"{name} logs in and the hub answers HTTP {answer.status_code}: {page_message(answer)}", HUB_REMEDY)
    code = any("code=" in step.headers.get("Location", "") for step in answer.history)
    require(code, f"no authorization code on the way back: {way}", HUB_REMEDY)
    session.users[name] = user
    return f"{name} logged in at {session.target.issuer} with an authorization code and is at {answer.url.partition('?')[0]}"


def outsider_refused(session: Session) -> str:
    """A user outside the allowed groups is refused by the hub after a good log-in at the IAM."""
    outsiders = session.target.outsiders()
    if not outsiders:
        raise StepNotRun("every demo user is in an allowed group")
    name = outsiders[0]
    user = session.new_user(name)
    answer = user.log_in()
    require(
        answer.status_code == 403,
        f"{name} of {session.target.users[name]} got HTTP {answer.status_code}",
        "check allowed_groups of the hub",
    )
    page = user.web.get(f"{session.target.hub_url}/hub/spawn", timeout=30, allow_redirects=False)
    require(page.status_code != 200, f"{name} is shown the spawn page after a refused log-in", "check allowed_groups of the hub")
    groups = ", ".join(session.target.users[name])
    return f"{name} ({groups}) logged in at the IAM and got HTTP 403 from the hub: {page_message(answer)[:120]}"


def bad_option_refused(session: Session) -> str:
    """Spawn options out of range are refused by the hub, whatever the browser sends."""
    user = session.user(session.member())
    if user.server_runs():
        raise StepNotRun(f"{user.name} has a notebook server already; it is left alone")
    seen = []
    for options in ({"memory": "100000"}, {"cpus": "1000"}, {"image": "not/on:the-list"}, {"typed_image": "localhost/cantiere/iam:latest"}):
        answer = user.spawn(**options)
        what = ", ".join(f"{name}={value}" for name, value in options.items())
        require(not user.server_runs(), f"the hub starts a server with {what}", "check the options of the hub's spawn page")
        refused = answer.status_code >= 400 or "out of range" in answer.text
        require(refused, f"{what} got HTTP {answer.status_code}: {page_message(answer)}", HUB_REMEDY)
        seen.append(what)
    return f'the hub says "out of range" and starts nothing: {"; ".join(seen)}'


def spawn(session: Session) -> str:
    """A notebook server starts with the chosen image, cores and memory, and is held to them."""
    user = session.user(session.member())
    if user.server_runs():
        raise StepNotRun(f"{user.name} has a notebook server already; it is used as it is and left alone")
    form = user.spawn_form()
    session.cleanup.callback(user.stop_server)
    answer = user.spawn(cpus="1", memory="2")
    require(answer.status_code == 200, f"the hub answers HTTP {answer.status_code}: {page_message(answer)}", HUB_REMEDY)
    seconds = user.wait_for_server()
    limits = session.kernel(user.name).call("probe.limits()")
    require(limits["memory"] == 2 * GIB, f"2 GiB were chosen, the server has {limits['memory'] / GIB:.2f} GiB", HUB_REMEDY)
    require(limits["cpus"] == 1, f"1 core was chosen, the server has {limits['cpus']}", HUB_REMEDY)
    return f"image {form.fields['image']} in {seconds:.1f} s; its kernel sees 1 core and 2 GiB enforced"
