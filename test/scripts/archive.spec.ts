import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { textOf } from "../../components/machineScripts";
import { runtimeLibraries } from "../../components/runtimeScripts";
import { shellQuote } from "../../components/step.cjs";
import { mounts, skipWithout } from "../helpers/namespaces";

const scripts = [...runtimeLibraries, "gvisor/install.sh"];
const release = "20260824.0";

describe("an archive of gVisor", () => {
    let scratch: string;
    let values: string;

    /** Installs it, after `given`, in a mount namespace with empty directories where its files go; then `more`. */
    const installed = (version: string, more: string, given = "", method = "archive") => {
        const script = `
            for one in /opt /usr/local/bin /var/lib; do mount -t tmpfs tmpfs $one; done
            ${given}
            readonly RUNSC_VERSION=${version} METHOD=${method} HANDLERS=runsc FILES='==> /f' ${values}
            ${textOf(scripts).replace('main "$@"', "")}
            (take_back_on_failure; archive_programs) || failed=$?
            ${more}
            exit \${failed:-0}`;
        return spawnSync("unshare", [...mounts, "bash", "-c", script], {
            encoding: "utf8",
            env: { ...process.env, TMPDIR: scratch },
        });
    };

    before(function () {
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "archive-"));
        skipWithout(this);
        const tree = path.join(scratch, "tree");
        fs.mkdirSync(tree);
        for (const name of ["runsc", "containerd-shim-runsc-v1"]) {
            fs.writeFileSync(path.join(tree, name), `#!/bin/sh\necho "runsc version release-${release}"\n`, {
                mode: 0o755,
            });
        }
        const file = path.join(scratch, "gvisor.tar.gz");
        execFileSync("tar", ["-czf", file, "-C", tree, "."]);
        const sha512 = createHash("sha512").update(fs.readFileSync(file)).digest("hex");
        values = `ARCHIVE_URL=${shellQuote(`file://${file}`)} ARCHIVE_SHA512=${sha512}`;
    });
    after(() => fs.rmSync(scratch, { recursive: true, force: true }));

    it("is refused where it holds another release than it is said to, before anything is changed", () => {
        const { status, stdout, stderr } = installed("20261116.0", "ls -A /opt /usr/local/bin /var/lib");
        assert.equal(status, 1, stderr);
        assert.match(
            stderr,
            /gvisor\.tar\.gz holds runsc version release-20260824\.0, not the 20261116\.0 that gvisorVersion says; nothing was changed/,
        );
        assert.equal(stdout, "/opt:\n\n/usr/local/bin:\n\n/var/lib:\n");
    });

    it("is installed where it holds what it is said to", () => {
        const { status, stdout, stderr } = installed(release, "runsc --version; readlink /usr/local/bin/runsc");
        assert.equal(status, 0, stderr);
        assert.equal(stdout, `runsc version release-${release}\n/opt/gvisor/${release}/runsc\n`);
    });

    it("stays alone when containerd has started with it", () => {
        const older = "mkdir -p /opt/gvisor/20260801.0 /var/lib/runtime-sandboxes";
        const { status, stdout, stderr } = installed(release, "drop_archives; ls /opt/gvisor; runsc --version", older);
        assert.deepEqual([status, stdout], [0, `${release}\nrunsc version release-${release}\n`], stderr);
    });

    it("leads to the package that takes its place, until containerd is restarted", () => {
        const steps = [
            ...["link_programs /usr/bin", "readlink /usr/local/bin/containerd-shim-runsc-v1"],
            ...["drop_archives", "ls -A /opt /usr/local/bin"],
        ];
        const given = "mkdir -p /var/lib/runtime-sandboxes";
        const { status, stdout, stderr } = installed(release, steps.join("\n"), given, "apt");
        const lines = ["/usr/bin/containerd-shim-runsc-v1", "/opt:", "", "/usr/local/bin:", ""];
        assert.deepEqual([status, stdout.split("\n")], [0, lines], stderr);
    });

    const noexec = (place: string) => `mount --bind ${place} ${place}; mount -o remount,bind,noexec ${place}`;

    it("is installed where nothing can be run in /tmp", () => {
        const { status, stdout, stderr } = installed(release, "ls -A /opt/gvisor", noexec("/tmp"));
        assert.equal(status, 0, stderr);
        assert.equal(stdout, `${release}\n`);
    });

    it("is refused where nothing can be run in its own place, which the error names", () => {
        const { status, stdout, stderr } = installed(release, "ls -A /opt /usr/local/bin /var/lib", noexec("/opt"));
        assert.equal(status, 1, stderr);
        assert.match(
            stderr,
            /runsc of file:\S+ does not run here; nothing was changed\. \/opt is mounted noexec, so nothing runs in \/opt\/gvisor\n/,
        );
        assert.equal(stdout, "/opt:\n\n/usr/local/bin:\n\n/var/lib:\n");
    });
});
