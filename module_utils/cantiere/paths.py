"""Directories, files, links and blocks."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat

from ansible.module_utils.cantiere import probe
from ansible.module_utils.cantiere.run import Refusal, replace

SECRET = "(a secret)\n"


def owner_ids(run, item):
    """Numbers of the user and the group that an item names.

    Raises
    ------
    Refusal
        There is no such user or group; in check mode root stands for one that is yet to be made.
    """
    found = []
    for kind, look, field in (("owner", pwd.getpwnam, 2), ("group", grp.getgrnam, 2)):
        try:
            found.append(look(item[kind])[field])
        except KeyError:
            if not run.check:
                raise Refusal(
                    f"{item['path']}: there is no {'user' if kind == 'owner' else 'group'} {item[kind]}",
                    "list it in users, or install the package that makes it before",
                ) from None
            found.append(0)
    return found


def mode_of(item):
    """An item's mode as a number.

    Raises
    ------
    Refusal
        It is not octal digits.
    """
    try:
        return int(item["mode"], 8)
    except ValueError:
        raise Refusal(f"{item['path']}: mode {item['mode']!r} is not octal", 'write it in quotes, such as "0644"') from None


def look(path):
    """What ``lstat`` says of a path, or None."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def attributes(run, item, seen):
    """Set mode and owner of what is there; returns them as they are recorded."""
    mode, (uid, gid) = mode_of(item), owner_ids(run, item)
    path = item["path"]
    if seen is not None and (stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid) != (mode, uid, gid):

        def do():
            os.chown(path, uid, gid)
            os.chmod(path, mode)

        was = f"{stat.S_IMODE(seen.st_mode):04o} {seen.st_uid}:{seen.st_gid}"
        run.change(f"{path}: mode and owner {was} become {mode:04o} {uid}:{gid}", do, path)
    return {"mode": f"{mode:04o}", "uid": uid, "gid": gid}


def parents(run, path):
    """Make the folders above a path that are missing; they are root's with mode 0755, and are recorded as ours."""
    missing = []
    folder = os.path.dirname(path)
    while folder not in ("/", "") and not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(missing):
        if folder not in run.wanted["directories"]:
            directory(run, {"path": folder, "mode": "0755", "owner": "root", "group": "root"})
    folder = os.path.dirname(path)
    while folder in run.record.known["directories"] and folder not in run.wanted["directories"]:
        run.wanted["directories"][folder] = run.record.known["directories"][folder]
        folder = os.path.dirname(folder)


def directory(run, item):
    """Converge one directory."""
    path = item["path"]
    seen = look(path)
    known = run.record.known["directories"].get(path, {})
    entry = {"mode": item["mode"], "uid": 0, "gid": 0, "made": known.get("made", not os.path.isdir(path))}
    if seen is not None and not os.path.isdir(path):
        raise Refusal(f"{path} is to be a directory and is something else", "move it away")
    parents(run, path)
    run.wanted["directories"][path] = entry
    if seen is None:
        run.change(f"directory {path} made", lambda: os.mkdir(path, 0o700), path)
        if run.check:
            return
        seen = look(path)
        silent = len(run.changes)
        entry.update(attributes(run, item, seen))
        del run.changes[silent:]
    else:
        entry.update(attributes(run, item, os.stat(path)))


def original(run, path):
    """Where the original of a path is kept that was there before the role."""
    return os.path.join(
        os.path.dirname(os.path.dirname(run.record.path)), "originals", run.record.role, path.strip("/").replace("/", "%2F")
    )


def save(run, path):
    """Keep what is at a path that the role has not written yet, so that the role's removal puts it back."""
    kept = original(run, path)
    ours = any(path in part[section] for part in run.record.parts.values() for section in ("files", "links"))
    if run.check or ours or os.path.lexists(kept) or not os.path.lexists(path):
        return
    os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
    fresh = kept + ".new"
    shutil.copy2(path, fresh, follow_symlinks=False)
    seen = os.lstat(path)
    os.chown(fresh, seen.st_uid, seen.st_gid, follow_symlinks=False)
    os.rename(fresh, kept)


def tidy(run):
    """Remove the folders of manifests and originals that nothing needs any more."""
    own = os.path.dirname(run.record.path)
    kept = os.path.dirname(original(run, "any"))
    for folder in (kept, os.path.dirname(kept), own, os.path.dirname(own)):
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)


def take_away(run, path):
    """Remove a file or link of the role, and put back what was there before it."""
    kept = original(run, path)
    if os.path.lexists(kept):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy2(kept, path + ".cantiere", follow_symlinks=False)
        seen = os.lstat(kept)
        os.chown(path + ".cantiere", seen.st_uid, seen.st_gid, follow_symlinks=False)
        os.replace(path + ".cantiere", path)
        os.unlink(kept)
    elif os.path.lexists(path):
        os.unlink(path)


def text_of(content, secret):
    """Content as a difference shows it."""
    return SECRET if secret else content.decode(errors="replace")


def file(run, item):
    """Converge one file."""
    path, content, secret = item["path"], item["content"].encode(), item.get("secret", False)
    seen = look(path)
    if seen is not None and stat.S_ISDIR(seen.st_mode):
        raise Refusal(f"{path} is to be a file and is a directory", "move it away")
    parents(run, path)
    mode, (uid, gid) = mode_of(item), owner_ids(run, item)
    entry = {"content": "", "mode": f"{mode:04o}", "uid": uid, "gid": gid}
    run.wanted["files"][path] = entry
    before = None
    if seen is not None and stat.S_ISREG(seen.st_mode):
        with open(path, "rb") as handle:
            before = handle.read()
    if before != content:
        save(run, path)
        diff = ("" if before is None else text_of(before, secret), "(another secret)\n" if secret else text_of(content, secret))
        text = f"file {path} {'made' if seen is None else 'changed'}"
        run.change(text, lambda: replace(path, content, mode, uid, gid, item.get("validate") or ""), path, diff)
    else:
        attributes(run, item, seen)
    entry["content"] = probe.fingerprint(path)


def link(run, item):
    """Converge one symbolic link."""
    path, target = item["path"], item["target"]
    if os.path.isdir(path) and not os.path.islink(path):
        raise Refusal(f"{path} is to be a link and is a directory", "move it away")
    parents(run, path)
    run.wanted["links"][path] = target
    if probe.fingerprint(path) != "link " + target:
        save(run, path)

        def do():
            fresh = path + ".cantiere"
            if os.path.lexists(fresh):
                os.unlink(fresh)
            os.symlink(target, fresh)
            os.replace(fresh, path)

        run.change(f"link {path} leads to {target}", do, path)


def block(run, item):
    """Converge the role's block in a file that others write too."""
    path = item["path"]
    parents(run, path)
    content = item["content"].rstrip("\n") + "\n" if item["content"].strip() else ""
    mode, (uid, gid) = mode_of(item), owner_ids(run, item)
    known = run.record.known["blocks"].get(path, {})
    run.wanted["blocks"][path] = {"content": content, "made": known.get("made", not os.path.exists(path))}
    before = probe.read(path)
    after = with_block(before, run.name, content)
    if after != before or not os.path.exists(path):
        seen = os.stat(path) if os.path.exists(path) else None
        if seen:
            mode, uid, gid = stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid
        run.change(
            f"block in {path} changed", lambda: replace(os.path.realpath(path), after.encode(), mode, uid, gid), path, (before, after)
        )


def with_block(text, name, content):
    """A file's text with the role's block replaced, added at the end, or taken out.

    Parameters
    ----------
    text:
        The file's text.
    name:
        The block's name.
    content:
        Its lines, or None to take it out.
    """
    first, last = probe.marks(name)
    fresh = [] if content is None else [first, *content.splitlines(), last]
    lines = text.splitlines()
    if probe.block_in(text, name) is not None:
        start = lines.index(first)
        lines[start : lines.index(last, start) + 1] = fresh
    else:
        lines += fresh
    return "".join(line + "\n" for line in lines)


def take_out_block(path, name, made):
    """Remove the role's block, and the file where the role made it and nothing else is in it."""
    text = probe.read(path)
    rest = with_block(text, name, None)
    if not rest.strip() and made:
        os.unlink(path)
    elif rest != text:
        seen = os.stat(path)
        replace(os.path.realpath(path), rest.encode(), stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)


def absent(run, path):
    """Remove a path that must not be there, a directory with all that is in it.

    Raises
    ------
    Refusal
        The path is that of a whole tree of the system.
    """
    if path.count("/") < 2 or ".." in path.split("/"):
        raise Refusal(f"absent: {path} is too high in the tree to be removed", "name what is to be removed under it")
    run.wanted["absent"].append(path)
    if os.path.lexists(path):
        gone = os.path.isdir(path) and not os.path.islink(path)
        run.change(f"{path} removed", lambda: shutil.rmtree(path) if gone else os.unlink(path), path)
