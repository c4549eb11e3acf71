#!/usr/bin/python
"""Put programs and container images of the artifact store onto a machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.request

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: cantiere_artifacts
short_description: Put programs and container images of the artifact store onto a machine
description:
  - Takes the whole list at once. What is there with the wanted content is left alone, and is not read again while its size and time stay.
  - Everything else comes from the first source that the machine can read (a path on it, or an address), is compared with its hash,
    and takes its place in one step, so that a program is the old one or the new one and never half of it.
  - What no source on the machine has is sent by the controller, from the same paths there.
  - Images are imported into containerd's store for Kubernetes, and marked so that the kubelet never throws them away.
author: cantiere
options:
  files:
    description: Programs, as C(cantiere.supply.placed) tells them.
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description: Where it goes.
        type: path
        required: true
      sha256:
        description: Hash of its content.
        type: str
        required: true
      mode:
        description: Permissions.
        type: str
        default: "0755"
      links:
        description: Further names of it, as paths.
        type: list
        elements: path
        default: []
      sources:
        description: Paths or addresses to take it from, the first that can be read.
        type: list
        elements: str
        default: []
      artifact:
        description: Name of the artifact, for messages.
        type: str
        default: ""
      version:
        description: Version of the artifact, for messages.
        type: str
        default: ""
  images:
    description: Archives of images, as C(cantiere.supply.placed) tells them.
    type: list
    elements: dict
    default: []
    suboptions:
      archive:
        description: Path of the archive on the controller.
        type: path
        required: true
      sha256:
        description: Hash of the archive.
        type: str
        required: true
      references:
        description: Names of the images in the archive.
        type: list
        elements: str
        required: true
      sources:
        description: Paths or addresses to take it from, the first that can be read.
        type: list
        elements: str
        default: []
      artifact:
        description: Name of the artifact, for messages.
        type: str
        default: ""
      version:
        description: Version of the artifact, for messages.
        type: str
        default: ""
  received:
    description: Hash to the path of what the controller has sent; set by the action plugin of the same name.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Tells what would be put there, and puts nothing there.
  diff_mode:
    support: full
    description: Shows the hashes before and after.
"""

EXAMPLES = r"""
- name: Programs of containerd
  cantiere_artifacts:
    files: "{{ containerd_binaries }}"

- name: Images of the cluster
  cantiere_artifacts:
    images: "{{ containerd_images }}"
"""

RETURN = r"""
changes:
  description: What was put there, in words.
  returned: always
  type: list
  elements: str
lacking:
  description: What no source on the machine has, each with its hash and sources.
  returned: when something is lacking
  type: list
  elements: dict
"""

MEMORY = "/var/lib/cantiere/artifacts.json"
CHUNK = 1 << 20
PINNED = "io.cri-containerd.pinned=pinned"
MANAGED = "io.cri-containerd.image=managed"  # containerd's own word that the kubelet is offered an image
PATIENCE = 60
POLL = 0.2


class Refused(Exception):
    """A file is not what it should be, or cannot be had."""


def digest_of(path):
    """Hash of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def remembered():
    """What earlier runs have found: files by path, images by name."""
    try:
        with open(MEMORY, encoding="utf-8") as file:
            memory = json.load(file)
        return {"files": dict(memory["files"]), "images": dict(memory["images"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"files": {}, "images": {}}


def remember(memory):
    """Write down what was found, for the next run."""
    os.makedirs(os.path.dirname(MEMORY), exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(MEMORY), delete=False, encoding="utf-8") as file:
        json.dump(memory, file, indent=1, sort_keys=True)
    os.replace(file.name, MEMORY)


def stamp(path):
    """What tells that a file is still the one that was read: size and time."""
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns]


def current(path, memory):
    """Hash of a file that may be there: read only where it is not the one remembered."""
    try:
        seen = stamp(path)
        known = memory["files"].get(path)
        if not known or known["stamp"] != seen:
            memory["files"][path] = known = {"stamp": seen, "sha256": digest_of(path)}
        return known["sha256"]
    except FileNotFoundError:
        memory["files"].pop(path, None)
        return ""


def compare(item, found, source):
    """Refuse a file that is not the wanted one."""
    if found != item["sha256"]:
        raise Refused(
            f"{item['artifact'] or source}: the file from {source} is refused: expected sha256 {item['sha256']}, found {found}; "
            "take it from its publisher again, or make the artifact anew"
        )


def near(item, received):
    """Path of an archive that lies on this machine, compared with its hash; empty where it has to be fetched."""
    for source in [received.get(item["sha256"], ""), item["archive"], *item["sources"]]:
        if os.path.isfile(source):
            compare(item, digest_of(source), source)
            return source
    return ""


def readable(item, received):
    """The first source that this machine can read, opened, with its name; None where there is none."""
    for source in [received.get(item["sha256"], ""), item.get("archive", ""), *item["sources"]]:
        if source.startswith(("http://", "https://")):
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(source, timeout=PATIENCE), source
        elif source and os.path.isfile(source):
            return open(source, "rb"), source
    return None


def bring(item, target, received):
    """Copy an item's content beside its place, compare it with its hash, and put it there in one step; False where no source has it."""
    found = readable(item, received)
    if found is None:
        return False
    stream, source = found
    os.makedirs(os.path.dirname(target), exist_ok=True)
    digest = hashlib.sha256()
    number, new = tempfile.mkstemp(prefix=".cantiere-", dir=os.path.dirname(target))
    try:
        with stream, os.fdopen(number, "wb") as file:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
        compare(item, digest.hexdigest(), source)
        os.chmod(new, int(item.get("mode", "0644"), 8))
        os.replace(new, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        raise
    return True


def install(item, memory, received, check, changes, lacking):
    """Have one program in its place, with its names."""
    dest = item["dest"]
    before = current(dest, memory)
    if before != item["sha256"]:
        if not check and not bring(item, dest, received):
            lacking.append({"sha256": item["sha256"], "sources": item["sources"], "what": item["artifact"] or dest})
            return
        changes.append(f"{dest}: {before[:12] or 'absent'} -> {item['sha256'][:12]}")
        if not check:
            memory["files"][dest] = {"stamp": stamp(dest), "sha256": item["sha256"]}
    elif os.stat(dest).st_mode & 0o7777 != int(item["mode"], 8):
        changes.append(f"{dest}: mode {item['mode']}")
        if not check:
            os.chmod(dest, int(item["mode"], 8))
    for link in item["links"]:
        target = os.path.relpath(dest, os.path.dirname(link))
        if os.path.islink(link) and os.readlink(link) == target:
            continue
        changes.append(f"{link} -> {target}")
        if not check:
            os.makedirs(os.path.dirname(link), exist_ok=True)
            new = f"{link}.cantiere-new"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            os.symlink(target, new)
            os.replace(new, link)


class Images:
    """The images of containerd's store for Kubernetes."""

    def __init__(self):
        self.ctr = shutil.which("ctr", path=f"/usr/local/bin:{os.environ.get('PATH', os.defpath)}") or ""
        self.problem = "" if self.ctr else "ctr is not installed"
        self.digests, self.ready = self.read() if self.ctr else ({}, set())

    def run(self, *arguments):
        """Run ctr."""
        return subprocess.run([self.ctr, "-n", "k8s.io", "images", *arguments], capture_output=True, text=True, check=False)

    def read(self):
        """Digest of each image by its name, and the names of those that the kubelet is offered and may not throw away."""
        done = self.run("ls")
        if done.returncode:
            self.problem = done.stderr.strip()
            return {}, set()
        rows = [line.split() for line in done.stdout.splitlines()[1:]]
        rows = [row for row in rows if len(row) > 2]
        return {row[0]: row[2] for row in rows}, {row[0] for row in rows if {PINNED, MANAGED} <= set(row[-1].split(","))}

    def load(self, archive, references):
        """Import an archive, mark its images as not to be thrown away, and wait until the kubelet is offered them."""
        if (done := self.run("import", archive)).returncode:
            raise Refused(f"{archive} could not be imported: {done.stderr.strip()[-500:]}")
        self.digests, self.ready = self.read()
        for reference in references:
            if reference not in self.digests:
                raise Refused(f"{archive} was imported and holds no {reference}: it holds other images than are pinned")
            self.run("label", reference, PINNED)
        begin = time.monotonic()
        while missing := set(references) - self.ready:
            if time.monotonic() > begin + PATIENCE:
                names = ", ".join(sorted(missing))
                raise Refused(f"after {PATIENCE} s containerd does not offer the kubelet {names}; see journalctl --unit containerd")
            time.sleep(POLL)
            self.digests, self.ready = self.read()


def contained(item):
    """Digest of each image by its name, as an archive that the machine can read tells it; empty where it does not."""
    for source in [item["archive"], *item["sources"]]:
        with contextlib.suppress(OSError, tarfile.TarError, KeyError, ValueError), tarfile.open(source) as archive:
            index = json.load(archive.extractfile("index.json"))
            return {entry["annotations"]["io.containerd.image.name"]: entry["digest"] for entry in index["manifests"]}
    return {}


def load(item, images, memory, received, check, changes, lacking):
    """Have the images of one archive in containerd's store."""
    known = memory["images"]
    there = [images.digests.get(reference) if reference in images.ready else None for reference in item["references"]]
    if all(there) and all(
        known.get(reference) == {"sha256": item["sha256"], "digest": digest}
        for reference, digest in zip(item["references"], there, strict=True)
    ):
        return
    inside = contained(item)
    same = all(there) and [inside.get(reference) for reference in item["references"]] == there
    if not same:
        if not check:
            if images.problem:
                raise Refused(f"containerd cannot be asked: {images.problem}; start it before images are imported")
            fetched = os.path.join(os.path.dirname(MEMORY), "incoming", f"{item['sha256']}.tar")
            try:
                archive = near(item, received)
                if not archive and not bring(item, fetched, received):
                    places = [item["archive"], *item["sources"]]
                    lacking.append({"sha256": item["sha256"], "sources": places, "what": item["references"][0]})
                    return
                images.load(archive or fetched, item["references"])
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(fetched)
        changes.append(f"images {', '.join(item['references'])}")
    if not check:
        for reference in item["references"]:
            known[reference] = {"sha256": item["sha256"], "digest": images.digests[reference]}


def main():
    """Run the module."""
    common = {
        "sha256": {"type": "str", "required": True},
        "sources": {"type": "list", "elements": "str", "default": []},
        "artifact": {"type": "str", "default": ""},
        "version": {"type": "str", "default": ""},
    }
    files = {
        "dest": {"type": "path", "required": True},
        "mode": {"type": "str", "default": "0755"},
        "links": {"type": "list", "elements": "path", "default": []},
    }
    archives = {"archive": {"type": "path", "required": True}, "references": {"type": "list", "elements": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "default": [], "options": files | common},
            "images": {"type": "list", "elements": "dict", "default": [], "options": archives | common},
            "received": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    memory = remembered()
    before = json.dumps(memory, sort_keys=True)
    changes, lacking = [], []
    given, check = module.params, module.check_mode
    try:
        for item in given["files"]:
            install(item, memory, given["received"], check, changes, lacking)
        images = Images() if given["images"] else None
        for item in given["images"]:
            load(item, images, memory, given["received"], check, changes, lacking)
    except (Refused, OSError) as error:
        module.fail_json(msg=str(error), changes=changes, changed=bool(changes))
    finally:
        if not check and json.dumps(memory, sort_keys=True) != before:
            remember(memory)
    result = {"changes": changes, "changed": bool(changes), "diff": {"prepared": "".join(f"{change}\n" for change in changes)}}
    if lacking:
        names = ", ".join(entry["what"] for entry in lacking)
        module.fail_json(msg=f"no source on this machine has {names}", lacking=lacking, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
