"""One convergence of one role: what changed, and the record of it that is right at every moment."""

from __future__ import annotations

import json
import os

from ansible.module_utils.cantiere import probe

FORMAT = 1
EMPTY = {
    "users": {},
    "hostname": "",
    "directories": {},
    "files": {},
    "links": {},
    "blocks": {},
    "absent": [],
    "modules": [],
    "sysctls": {},
    "units": {},
    "packages": {},
    "observed": {},
    "before": {},
}


class Refusal(Exception):
    """Something cannot be done.

    Parameters
    ----------
    what:
        What is wrong, in one sentence.
    remedy:
        What the reader can do about it.
    """

    def __init__(self, what, remedy):
        super().__init__(f"{what}\n    remedy: {remedy}")


class Record:
    """The manifest of a role.

    While a role is being converged the manifest is marked unfinished, lists both what was and what will be there, and which
    units wait for a restart: a run that was killed is continued by the next one.

    Parameters
    ----------
    role, part:
        The role, and which of its calls this is.
    folder:
        Where manifests are kept.
    """

    def __init__(self, role, part, folder=probe.FOLDER):
        self.role = role
        self.part = part
        self.path = f"{folder}/{role}.json"
        self.text = probe.read(self.path)
        try:
            old = json.loads(self.text or "{}")
        except ValueError:
            old = {}
        self.parts = {name: {**EMPTY, **content} for name, content in old.get("parts", {}).items()}
        self.known = self.parts.get(part, dict(EMPTY))
        finished = old.get("complete", True)
        self.visited = sorted({*([] if finished else old.get("visited", [])), part})
        self.pending = set() if finished else set(old.get("pending", []))

    def unfinished(self, wanted):
        """Mark the manifest as unfinished, before something is touched.

        Parameters
        ----------
        wanted:
            The part as it will be; it is listed beside what is there.
        """
        both = {}
        for section, empty in EMPTY.items():
            one, other = self.known[section], wanted[section]
            both[section] = {**one, **other} if isinstance(empty, dict) else sorted({*one, *other}) if isinstance(empty, list) else other
        self._write({"digest": "", "complete": False, "pending": sorted(self.pending), "parts": {**self.parts, self.part: both}})

    def finished(self, wanted, digest, final):
        """Write the manifest as it is after the call.

        Parameters
        ----------
        wanted:
            The part as it is now.
        digest:
            Digest of the role's inputs.
        final:
            Whether this was the role's last call.
        """
        parts = {**self.parts, self.part: wanted}
        if final:
            parts = {name: content for name, content in parts.items() if name in self.visited}
        self._write({"digest": digest if final else "", "complete": final, "pending": [], "parts": parts})

    def stale(self, final):
        """Parts of the role that no call of this round has named."""
        return {name: content for name, content in self.parts.items() if final and name not in self.visited}

    def forget(self):
        """Remove the manifest."""
        if os.path.exists(self.path):
            os.unlink(self.path)

    def _write(self, content):
        content = {"format": FORMAT, "role": self.role, "visited": [] if content["complete"] else self.visited, **content}
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        if text != self.text:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            replace(self.path, text.encode(), 0o600)
            self.text = text


class Run:
    """The changes of one call.

    Parameters
    ----------
    record:
        The role's manifest.
    check:
        Whether changes are only told.
    """

    def __init__(self, record, check):
        self.record = record
        self.check = check
        self.name = probe.part_name(record.role, record.part)
        self.wanted = {section: type(empty)(empty) for section, empty in EMPTY.items()}
        self.wanted["before"] = dict(record.known["before"])
        self.restarts = {}  # a file's path to the units that are restarted when it changes
        self.reloads = {}
        self.changes = []
        self.diffs = []
        self.paths = set()
        self.warnings = []

    def change(self, text, do, path="", diff=None):
        """Make a change, or only tell it in check mode.

        Parameters
        ----------
        text:
            The change, in words.
        do:
            Makes it.
        path:
            The file that it changes, whose units wait for a restart from now on.
        diff:
            The file's text before and after.
        """
        self.changes.append(text)
        if diff:
            self.diffs.append({"before_header": path, "after_header": path, "before": diff[0], "after": diff[1]})
        if path:
            self.paths.add(path)
            self.record.pending.update(f"restart {name}" for name in self.restarts.get(path, ()))
            self.record.pending.update(f"reload {name}" for name in self.reloads.get(path, ()))
        if not self.check:
            self.record.unfinished(self.wanted)
            do()

    def save_before(self, key, value):
        """Note how something was before the role first changed it, so that its removal can put it back."""
        self.wanted["before"].setdefault(key, value)


def replace(path, content, mode, uid=0, gid=0, validate=""):
    """Replace a file at once: readers see the old or the new one, never a part.

    Parameters
    ----------
    path:
        The file.
    content:
        Bytes.
    mode, uid, gid:
        Mode and owner.
    validate:
        A command that checks the new file, whose path takes the place of ``%s``.

    Raises
    ------
    Refusal
        The command refuses the file; the old one stays.
    """
    fresh = f"{os.path.dirname(path)}/.{os.path.basename(path)}.cantiere"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        if validate:
            code, out, err = probe.output([word.replace("%s", fresh) for word in validate.split()])
            if code:
                said = (err or out).replace(fresh, path).strip()[-800:]
                raise Refusal(f"{path} would not be valid: `{validate}` says: {said}", "put right what the file is made from")
        os.replace(fresh, path)
    finally:
        if os.path.lexists(fresh):
            os.unlink(fresh)
