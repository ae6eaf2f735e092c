// The mirror as machines meet it: signatures, digests, what apt makes of it, and builds that have nothing or little to do.
import * as assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { versions } from "../../components/versions";
import { mirror, type Result, root, run, script } from "./mirrorCommand";

/** Name, size and time of change of everything in the mirror. */
function listing(): string[] {
    return fs
        .readdirSync(mirror, { recursive: true, encoding: "utf8" })
        .map((name) => ({ name, stat: fs.statSync(path.join(mirror, name)) }))
        .map(({ name, stat }) => `${name} ${stat.size} ${stat.ino} ${stat.ctimeMs}`);
}

function firstFile(dir: string, pattern: RegExp): string {
    const found = fs.readdirSync(dir, { recursive: true, encoding: "utf8" }).find((name) => pattern.test(name));
    assert.ok(found, `a file like ${pattern} below ${dir}`);
    return path.join(dir, found);
}

describe("mirror", function () {
    this.timeout(180_000);
    let scratch: string;
    let copy: string;

    before(() => {
        const built = run(["build"]);
        assert.equal(built.code, 0, built.stderr);
    });
    beforeEach(() => {
        // On the mirror's own file system, where a copy is a set of links.
        scratch = fs.mkdtempSync(path.join(root, ".cache/mirror-test-"));
        copy = path.join(scratch, "mirror");
        assert.equal(spawnSync("cp", ["-al", mirror, copy]).status, 0);
    });
    afterEach(() => fs.rmSync(scratch, { recursive: true, force: true }));

    /** Changes one byte in the middle of a file of the copy; the original keeps its own. */
    function flipByte(file: string): void {
        const bytes = fs.readFileSync(file);
        const middle = Math.floor(bytes.length / 2);
        bytes[middle] = (bytes[middle] ?? 0) ^ 1;
        fs.rmSync(file);
        fs.writeFileSync(file, bytes);
    }

    it("does nothing when it is current", () => {
        const before = listing();
        const again = run(["build"]);
        assert.equal(again.code, 0);
        assert.equal(again.stderr, `mirror: nothing to do, ${mirror} is current\n`);
        assert.deepEqual(listing(), before);
    });

    it("passes its own check", () => {
        const checked = run(["check"]);
        assert.equal(checked.code, 0, checked.stderr);
    });

    for (const pattern of [
        /\/runsc_.*\.deb$/,
        /\/kubelet_.*\.deb$/,
        /^images\/worker-[\d.]+\.tar$/,
        /\/Packages\.gz$/,
    ]) {
        it(`names a damaged file like ${pattern}`, () => {
            const file = firstFile(copy, pattern);
            flipByte(file);
            const checked = run(["check"], { MIRROR_DIR: copy });
            assert.equal(checked.code, 1);
            assert.ok(checked.stderr.includes(`mirror: ${file} has SHA-256 `), checked.stderr);
        });
    }

    it("refuses a signature that does not fit, and names missing and foreign files", () => {
        flipByte(path.join(copy, "index.json"));
        flipByte(path.join(copy, "apt/gvisor/dists/release/Release"));
        const checked = run(["check"], { MIRROR_DIR: copy });
        assert.equal(checked.code, 1);
        assert.ok(checked.stderr.includes(`bad signature: ${copy}/index.json.asc`), checked.stderr);
        assert.ok(
            checked.stderr.includes(`bad signature: ${copy}/apt/gvisor/dists/release/Release.gpg`),
            checked.stderr,
        );

        fs.rmSync(copy, { recursive: true });
        assert.equal(spawnSync("cp", ["-al", mirror, copy]).status, 0);
        const archive = `images/control-plane-${versions.kubernetes.version}.tar`;
        fs.rmSync(path.join(copy, archive));
        fs.writeFileSync(path.join(copy, "apt/stranger.deb"), "");
        const incomplete = run(["check"], { MIRROR_DIR: copy });
        assert.equal(incomplete.code, 1);
        assert.ok(incomplete.stderr.includes(`mirror: ${copy}/${archive} is missing`), incomplete.stderr);
        assert.ok(
            incomplete.stderr.includes(`mirror: ${copy}/apt/stranger.deb is not in the index`),
            incomplete.stderr,
        );
    });

    it("mends a mirror whose exchange was cut short", () => {
        fs.rmSync(path.join(copy, "index.json"));
        fs.rmSync(path.join(copy, "apt"), { recursive: true });
        const built = run(["build"], { MIRROR_DIR: copy });
        assert.equal(built.code, 0, built.stderr);
        assert.match(built.stderr, /kubernetes kept/);
        assert.doesNotMatch(built.stderr, / made in /);
        assert.equal(run(["check"], { MIRROR_DIR: copy }).code, 0);
    });

    it("waits for another build", async () => {
        fs.rmSync(path.join(copy, "index.json"));
        const lock = path.join(root, ".cache/mirror-build/lock");
        // Holds the lock until its standard input ends.
        const holder = spawn("flock", [lock, "sh", "-c", "echo held; cat"], { stdio: ["pipe", "pipe", "inherit"] });
        await new Promise((resolve) => holder.stdout.once("data", resolve));
        const build = spawn("bash", [script, "build"], { env: { ...process.env, MIRROR_DIR: copy } });
        let said = "";
        build.stderr.on("data", (chunk: Buffer) => {
            said += chunk.toString();
            if (said.includes("another build is running")) {
                holder.stdin.end();
            }
        });
        const code = await new Promise((resolve) => build.once("close", resolve));
        assert.equal(code, 0, said);
        assert.match(said, /another build is running in .*; waiting for it to end\n/);
    });

    it("says all that is in the way before it changes anything", () => {
        fs.rmSync(path.join(copy, "index.json"));
        const bin = path.join(scratch, "bin");
        fs.mkdirSync(bin);
        const fake = (name: string, text: string) =>
            fs.writeFileSync(path.join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
        fake("go", 'case "$2" in GOVERSION) echo go1.20.3 ;; *) echo / ;; esac');
        fake("df", 'case "$*" in *target*) printf "Mounted on\\n/data\\n" ;; *) printf "Avail\\n3145728\\n" ;; esac');
        const before = fs.readdirSync(copy);
        const built = run(["build"], {
            MIRROR_DIR: copy,
            MIRROR_BUILD_DIR: path.join(scratch, "build"),
            PATH: `${bin}:${process.env.PATH}`,
        });
        assert.equal(built.code, 1);
        assert.match(built.stderr, /^mirror: the mirror cannot be built:\n/);
        assert.match(built.stderr, / - Go is go1\.20\.3, too old: 1\.\d+\.\d+ or newer is needed/);
        assert.match(
            built.stderr,
            / - \/data has 3 GiB free, a first build needs 11 GiB there \(.*\/build \/ \/\): make room/,
        );
        assert.deepEqual(fs.readdirSync(copy), before);
    });

    describe("seen by apt", () => {
        /** apt-get in a root of its own that knows only the copy; two packages that kubelet needs count as installed. */
        function apt(...args: string[]): Result {
            const at = (name: string) => path.join(scratch, "apt", name);
            for (const dir of ["lists/partial", "archives/partial"]) {
                fs.mkdirSync(at(dir), { recursive: true });
            }
            const installed = ["mount", "util-linux", "libc6", "libseccomp2"].map(
                (name) =>
                    `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 9:9\nMaintainer: x\nDescription: x\n`,
            );
            fs.writeFileSync(at("status"), installed.join("\n"));
            const keyring = at("mirror.gpg");
            spawnSync("gpg", ["--batch", "--yes", "--dearmor", "--output", keyring, path.join(mirror, "archive.key")]);
            const sources = ["kubernetes /", "containerd bookworm stable", "gvisor release main"];
            fs.writeFileSync(
                at("sources.list"),
                sources.map((line) => `deb [signed-by=${keyring}] file://${copy}/apt/${line}\n`).join(""),
            );
            const options = Object.entries({
                "Dir::Etc::sourcelist": at("sources.list"),
                "Dir::Etc::sourceparts": "-",
                "Dir::State::lists": at("lists"),
                "Dir::State::status": at("status"),
                "Dir::Cache": at(""),
                "APT::Sandbox::User": "root",
                "APT::Architecture": "amd64",
                "Debug::NoLocking": "true",
            }).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
            const { status, stdout, stderr } = spawnSync("apt-get", [...options, ...args], {
                encoding: "utf8",
                env: { ...process.env, LC_ALL: "C" },
            });
            return { code: status, stdout, stderr };
        }

        it("is a signed source of all packages", () => {
            const update = apt("update", "-o", "APT::Update::Error-Mode=any");
            assert.equal(update.code, 0, update.stderr);
            assert.equal(update.stderr, "");
            const { packages } = JSON.parse(run(["sources", "--kind", "mirror"]).stdout);
            const wanted = Object.entries(packages).map(([name, version]) => `${name}=${version}`);
            const install = apt("install", "--simulate", ...wanted);
            assert.equal(install.code, 0, install.stderr);
            for (const [name, version] of Object.entries(packages)) {
                assert.ok(install.stdout.includes(`Inst ${name} (${version} `), install.stdout);
            }
        });

        it("is refused when an index was changed", () => {
            flipByte(path.join(copy, "apt/gvisor/dists/release/InRelease"));
            const update = apt("update", "-o", "APT::Update::Error-Mode=any");
            assert.notEqual(update.code, 0);
            assert.match(update.stdout + update.stderr, /BADSIG|invalid|NO_PUBKEY|Clearsigned file/i);
        });
    });
});
