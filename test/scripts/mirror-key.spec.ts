// What mirror/repository.sh says where its key fails it.
import * as assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { root } from "./mirrorCommand";

describe("mirror: its key", () => {
    let scratch: string;
    beforeEach(() => {
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "mirror-key-"));
    });
    afterEach(() => fs.rmSync(scratch, { recursive: true }));

    const withKey = () =>
        spawnSync("bash", ["-euc", "source mirror/lib.sh; source mirror/repository.sh; with_key true"], {
            cwd: root,
            encoding: "utf8",
            env: {
                ...process.env,
                PATH: `${scratch}:${process.env.PATH}`,
                MIRROR_KEY_DIR: path.join(scratch, "key"),
            },
        });

    it("is made once, and one that cannot be read is named, and what to do", () => {
        assert.equal(withKey().stderr, "");
        const file = path.join(scratch, "key", "secret.asc");
        assert.equal(fs.statSync(file).mode & 0o777, 0o600);
        assert.equal(withKey().stderr, "");
        fs.writeFileSync(file, "no key");
        const { status, stderr } = withKey();
        assert.equal(status, 1);
        assert.match(stderr, /^mirror: the key in \S+\/secret\.asc cannot be read: gpg: no valid OpenPGP data found/);
        assert.match(stderr, /Put the right one back/);
    });

    it("cannot be made: gpg's reason is said, and no half of one is left", () => {
        fs.writeFileSync(path.join(scratch, "gpg"), "#!/bin/sh\necho 'gpg: no entropy' >&2\nexit 2\n", { mode: 0o755 });
        const { status, stderr } = withKey();
        assert.deepEqual([status, stderr], [1, "mirror: no key pair could be made: gpg: no entropy\n"]);
        assert.deepEqual(fs.readdirSync(path.join(scratch, "key")), []);
    });
});
