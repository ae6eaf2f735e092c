// The program that tries to leave a sandbox, and what it is after, on this host: outside of any sandbox, in namespaces of its own.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { corpus, type Outcome, resultOf } from "../../components/attacks.cjs";
import { textOf } from "../../components/machineScripts";
import { renderStep } from "../../components/remoteStep";
import { resultIn } from "../../components/step.cjs";
import { root } from "../helpers/program";

const recipe = path.join(root, "mirror/build/attacks");
const mirror = (...args: string[]) => spawnSync("bash", ["mirror/mirror.sh", ...args], { cwd: root, encoding: "utf8" });

describe("attacks: what up needs for them", function () {
    this.timeout(60_000);

    /** Prepares them for a stack with these settings, on a host without Go and with nothing built. */
    function prepared(settings: string) {
        const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "attacks-"));
        const stack = path.basename(scratch);
        const file = path.join(root, `Pulumi.${stack}.yaml`);
        const folders = (process.env.PATH ?? "")
            .split(path.delimiter)
            .filter((at) => fs.existsSync(path.join(at, "go")));
        const stamps = path.join(root, ".cache", "stamps");
        fs.mkdirSync(stamps, { recursive: true });
        const hide = [stamps, ...folders].map((folder) => `mount -t tmpfs tmpfs '${folder}'; `).join("");
        const code =
            'import { preparePrograms } from "./cli/host.ts"; import { report } from "./cli/failure.ts";' +
            `await preparePrograms("${stack}").catch((error) => { process.exitCode = report(error); });`;
        fs.writeFileSync(file, settings);
        try {
            return spawnSync(
                "unshare",
                [
                    "--mount",
                    "bash",
                    "-c",
                    `${hide}exec "$@"`,
                    "sh",
                    process.execPath,
                    "--input-type=module",
                    "-e",
                    code,
                ],
                { cwd: root, encoding: "utf8", env: { ...process.env, MIRROR_BUILD_DIR: scratch } },
            );
        } finally {
            fs.rmSync(file);
            fs.rmSync(scratch, { recursive: true, force: true });
        }
    }

    it("Go, which is told before machines are made, unless the setting says that there are none", () => {
        const config = (lines: string) => `config:\n  runtime-sandboxes:target: ${lines}\n`;
        const lacking = prepared(config("local"));
        assert.equal(lacking.status, 1, lacking.stderr);
        assert.match(
            lacking.stderr,
            /Go is missing, which the program attacks is built with: install Go [\d.]+ or newer/,
        );
        assert.match(lacking.stderr, /next: .*npm run pulumi -- config set attacks false/);
        const off = ["attacks", "surface"].map((name) => `\n  runtime-sandboxes:${name}: "false"`);
        const one = prepared(config(`local${off[0]}`));
        assert.match(
            one.stderr,
            /\(surface\) cannot be built[\s\S]*next: .*npm run pulumi -- config set surface false/,
        );
        const egress = "\n  runtime-sandboxes:egress:\n    dns: true";
        const other = prepared(config(`existing${egress}`));
        assert.match(other.stderr, /Go is missing, which the program reach is built with/);
        assert.match(other.stderr, /next: .*npm run pulumi -- config set reachable false/);
        for (const without of [config(`local${off.join("")}`), config("existing")]) {
            const { status, stderr } = prepared(without);
            assert.deepEqual([status, stderr], [0, ""]);
        }
    });
});

describe("attacks: the program", function () {
    this.timeout(300_000);
    const RUN = "test";
    const place = `/run/runtime-sandboxes-decoys-${RUN}`;
    let program: string;
    let scratch: string;

    before(() => {
        const { status, stdout, stderr } = mirror("program", "attacks", process.arch === "arm64" ? "arm64" : "amd64");
        assert.equal(status, 0, stderr);
        program = stdout.trim();
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "attacks-"));
    });
    after(() => fs.rmSync(scratch, { recursive: true, force: true }));

    /** Runs a script where nothing of this host's processes, network and /run is seen, as on a machine of its own. */
    function onMachine(script: string): string {
        const apart = ["--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--mount-proc"];
        const { status, stdout, stderr } = spawnSync(
            "unshare",
            [...apart, "bash", "-euc", `mount -t tmpfs tmpfs /run; export TMPDIR=${scratch}\n${script}`],
            { encoding: "utf8" },
        );
        assert.equal(status, 0, stderr);
        return stdout;
    }

    /** A call of scripts/on-machine/probe/decoys.sh. */
    function decoys(verb: "install" | "remove"): string {
        const file = path.join(scratch, `decoys-${verb}`);
        const values = { RUN, MARKER: "0123456789abcdef" };
        const text = renderStep([], "test", values, textOf(["gvisor/node.sh", "probe/decoys.sh"]));
        fs.writeFileSync(file, text);
        return `bash -s -- ${verb} <${file}`;
    }

    it("is built for a machine of either architecture, and no other recipe or architecture is taken", () => {
        assert.equal(fs.readFileSync(program).subarray(0, 4).toString("latin1"), "\x7fELF");
        assert.match(mirror("program", "nothing", "amd64").stderr, /there is no recipe mirror\/build\/nothing/);
        assert.match(mirror("program", "attacks", "sparc").stderr, /program takes a recipe and amd64 or arm64/);
    });

    it("counts for nothing where it has no answer from a sandbox: the run fails, and the next one tries again", async () => {
        const { checkAnswered } = await import(path.join(root, "scripts/on-host/attacks.ts"));
        const said = (unanswered?: boolean) => new Map([["bpf", { name: "bpf", did: false, saw: "", unanswered }]]);
        assert.doesNotThrow(() => checkAnswered([said(), said(false)]));
        assert.throws(() => checkAnswered([said(), said(true)]), /no answer in a sandbox from: bpf\..* run again/);
    });

    it("has a function for each row of the table, and a row for each function", () => {
        const { status, stdout, stderr } = spawnSync("go", ["test", "./..."], { cwd: recipe, encoding: "utf8" });
        assert.equal(status, 0, stdout + stderr);
    });

    it("tries each row once, in some seconds, and leaves no file, mount or process", () => {
        const before = fs.readdirSync(scratch);
        const began = Date.now();
        const [outcomes = "", mounts = "", processes = ""] = onMachine(
            `cat /proc/self/mountinfo >${scratch}/before; CAREFUL=yes ${program} ${RUN} /run/engine.sock; echo ==; ` +
                `diff ${scratch}/before /proc/self/mountinfo; rm ${scratch}/before; echo ==; ls -d /proc/[0-9]* | wc -l`,
        ).split("==\n");
        assert.ok(Date.now() - began < 20_000);
        assert.deepEqual(
            (JSON.parse(outcomes) as Outcome[]).map(({ name }) => name),
            corpus.map(({ name }) => name),
        );
        assert.equal(mounts, "");
        // The shell, ls and wc.
        assert.ok(Number(processes) <= 4, processes);
        assert.deepEqual(fs.readdirSync(scratch), before);
    });

    it("finds what the worker has laid out, from outside of a sandbox; that is gone afterwards", () => {
        const listen = `${process.execPath} -e 'require("net").createServer().listen(process.argv[1], () => process.exit())'`;
        const [laid = "", outcomes = "", left = ""] = onMachine(
            `mkdir /run/containerd; ${listen} /run/containerd/containerd.sock\n` +
                `${decoys("install")}; echo ==; CAREFUL=yes ${program} ${RUN} /run/containerd/containerd.sock; echo ==\n` +
                `${decoys("remove")}; find ${place} 2>/dev/null || true; ps -eo args | grep ^runtime-sandboxes-decoys || true`,
        ).split("==\n");
        const worker = JSON.parse(resultIn(laid)) as Record<"place" | "engine" | "kernel" | "architecture", string>;
        assert.deepEqual([worker.place, worker.engine], [place, "/run/containerd/containerd.sock"]);
        assert.equal(worker.kernel, fs.readFileSync("/proc/version", "utf8").trim());
        const found = new Map((JSON.parse(outcomes) as Outcome[]).map((outcome) => [outcome.name, outcome]));
        const reached = (marker: string) =>
            corpus.flatMap(({ name }) =>
                resultOf(found.get(name), { marker, kernel: worker.kernel }).reached ? name : [],
            );
        const decoyed = ["setns-host", "host-root", "host-processes", "ptrace-neighbour", "neighbour-environment"];
        for (const name of decoyed) {
            assert.ok(reached("0123456789abcdef").includes(name), `${name}: ${JSON.stringify(found.get(name))}`);
        }
        assert.ok(!reached("another").includes("host-root"), "what was read has to be the worker's");
        assert.equal(
            resultIn(left)
                .replaceAll(/^.*self.*\n/gm, "")
                .trim(),
            "",
        );
    });
});
