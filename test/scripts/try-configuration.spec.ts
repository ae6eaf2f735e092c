// What install-runtime.sh tries of a configuration before it changes anything, on a containerd played by the test.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

const root = path.resolve(__dirname, "../..");
const dropIn = "/etc/containerd/conf.d/50-runtime-sandboxes.toml";
/** A directory where the drop-in is written first. */
const blocked = `${dropIn}.runtime-sandboxes`;

describe("a configuration that is tried", () => {
    /** Tries a drop-in in a mount namespace where /etc is empty, after `given`. */
    const tried = (given: string) => {
        const script = ["lib.sh", "sandbox/node.sh", "sandbox/install-runtime.sh"]
            .map((name) => fs.readFileSync(path.join(root, "scripts", name), "utf8"))
            .join("\n")
            .replace('main "$@"', "");
        const values = `HANDLERS=runsc ROOT_HEAD= ROOT_TAIL= FILES='==> ${dropIn}\nversion = 3'`;
        const text = `mount -t tmpfs tmpfs /etc; mkdir -p /etc/containerd/conf.d; ${given}
            readonly ${values}
            ${script}
            containerd() { [[ -e ${dropIn} || -e ${blocked} ]] && echo "version = 3"; }
            try_configuration "version = 3"
            ls ${path.dirname(dropIn)}`;
        return spawnSync("unshare", ["--map-root-user", "--mount", "bash", "-c", text], { encoding: "utf8" });
    };

    it("is what containerd reads, and nothing is changed", () => {
        const { status, stdout, stderr } = tried(":");
        assert.deepEqual([status, stdout], [0, ""], stderr);
    });

    it("is refused where a file of it cannot be written, with the reason", () => {
        const { status, stderr } = tried(`mkdir -p ${blocked}/file`);
        assert.equal(status, 1, stderr);
        assert.match(
            stderr,
            /nothing was changed\. It says: \S+ error: cannot write beside \/etc\/containerd\/conf\.d\//,
        );
    });
});
