// The command line on the real engine: up, check, preview, destroy, and what killed or second runs meet.
import * as assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import { eventually } from "../helpers/eventually";
import { CliProject, goodOutputs } from "./cliProject";

const stateFile = ".pulumi/stacks/runtime-sandboxes/dev.json";
const lockFolder = ".pulumi/locks/organization/runtime-sandboxes/dev";
/** A program that says that it runs, and waits until the test lets it end. */
const slow = [
    "const fs = require('fs');",
    "fs.writeFileSync('running', '');",
    "while (!fs.existsSync('go-on')) { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50); }",
    "module.exports = JSON.parse(fs.readFileSync('outputs.json', 'utf8'));",
].join("\n");

describe("command line: a stack", function () {
    this.timeout(180_000);
    let project: CliProject;

    beforeEach(() => {
        project = new CliProject();
        project.write("outputs.json", JSON.stringify(goodOutputs()));
    });
    afterEach(() => project.remove());

    it("has nothing to prove where no worker has a sandbox, which up says and check does not take for a proof", async () => {
        const none = { uname: {}, dmesg: {}, isolation: {}, workers: {} };
        project.write("outputs.json", JSON.stringify({ ...goodOutputs(), ...none }));
        const { code, stderr } = await project.run("up");
        assert.equal(code, 0, stderr);
        assert.match(
            stderr,
            /^stack dev: no worker has a sandbox \(the setting overrides\), so there is nothing to prove$/m,
        );
        assert.equal((await project.run("check")).code, 3);
    });

    it("goes through preview, up, check and destroy", async () => {
        const settings = project.read("Pulumi.dev.yaml");
        // One preview that is under way, and one that was killed: no process has an id as high.
        const folders = [process.pid, 2 ** 30].map((pid) => `.cache/preview/${pid}`);
        for (const folder of folders) {
            fs.mkdirSync(project.path(folder), { recursive: true });
        }
        const preview = await project.run("preview");
        assert.deepEqual(project.list(".cache/preview"), [String(process.pid)]);
        assert.equal(preview.code, 0, preview.stderr);
        assert.match(preview.stdout, /\+ 1 to create/);
        assert.equal(project.read("Pulumi.dev.yaml"), settings, "a preview changes no file of the project");
        assert.equal(project.exists(".pulumi"), false);

        const none = await project.run("check");
        assert.equal(none.code, 1);
        assert.match(
            none.stderr,
            /^error: there is no stack dev, so nothing is proven\.\n {2}next: (STACK=dev )?npm run up/,
        );

        const up = await project.run("up");
        assert.equal(up.code, 0, up.stdout + up.stderr);
        assert.match(up.stdout, /kernel of test-2 {2}4\.19\.0-gvisor/);
        assert.match(up.stdout, /\nverdict: PROVEN on every worker\n/);
        assert.equal(fs.statSync(project.path(".local/passphrase")).mode & 0o777, 0o600);

        assert.equal((await project.run("check")).code, 0);
        const destroy = await project.run("destroy");
        assert.equal(destroy.code, 0, destroy.stderr);
        assert.match(project.read("Pulumi.dev.yaml"), /runtime-sandboxes:target: existing/);
        const after = await project.run("check");
        assert.equal(after.code, 1);
        assert.match(after.stderr, /stack dev has no outputs: it was never brought up, or was destroyed/);
    });

    it("fails where the sandbox is not proven, or the outputs are not the contract's", async () => {
        const bad = goodOutputs();
        bad.isolation["worker-1"].checks[5] = { name: "the host runs test-2 by runsc", passed: false, detail: "runc" };
        project.write("outputs.json", JSON.stringify(bad));
        const up = await project.run("up");
        assert.equal(up.code, 1);
        assert.match(up.stdout, /✗ the host runs test-2 by runsc: runc\n[\s\S]*\n {2}NOT PROVEN/);
        assert.match(up.stderr, /error: the sandbox is not proven on worker-1 of stack dev/);
        assert.equal((await project.run("check")).code, 1);

        const { dmesg: _, ...short } = goodOutputs();
        project.write("outputs.json", JSON.stringify(short));
        const malformed = await project.run("up");
        assert.equal(malformed.code, 1);
        assert.match(malformed.stderr, /outputs of stack dev are not what they should be: dmesg is missing\.\n/);
    });

    it("asks the mirror for the versions of the settings, but for no gVisor that comes as an archive", async () => {
        const settings = project.read("Pulumi.dev.yaml");
        project.write("scripts/local/base.sh", "echo {}\n");
        project.write("mirror/mirror.sh", 'echo "$*" >asked\necho \'{"kind":"mirror"}\'\n');
        const asked = async (more: string) => {
            const versions = ["kubernetesVersion: 1.37.2", "gvisorVersion: 20261116.0", more];
            project.write(
                "Pulumi.dev.yaml",
                `config:\n${versions.map((one) => `  runtime-sandboxes:${one}\n`).join("")}`,
            );
            await project.evaluate('import { prepareHost } from "./cli/host.ts"; await prepareHost("dev");');
            return project.read("asked").trim();
        };
        assert.equal(await asked("sources: mirror"), "sources --kind mirror --kubernetes 1.37.2 --gvisor 20261116.0");
        assert.equal(await asked("gvisorArchive: file:///a.tar"), "sources --kind auto --kubernetes 1.37.2");
        project.write("Pulumi.dev.yaml", settings);
    });

    it("shows what the program warns of, as one line, while it goes on", async () => {
        project.program(
            "require('@pulumi/pulumi').log.warn('beware');" +
                "module.exports = JSON.parse(require('fs').readFileSync('outputs.json', 'utf8'));",
        );
        const { code, stderr } = await project.run("up");
        assert.equal(code, 0, stderr);
        assert.match(stderr, /^warning: beware$/m);
    });

    it("keeps Pulumi's exit code and says what failed and where the log is", async () => {
        project.program("throw new Error('the setting is wrong');");
        const up = await project.run("up");
        assert.notEqual(up.code, 0);
        assert.match(up.stderr, /error: `pulumi up` of stack dev failed before any step\./);
        assert.match(up.stderr, /the setting is wrong/);
        assert.match(up.stderr, /log: .*up-dev\.events\.json\n {2}next: .*npm run up/);
    });

    it("refuses a second run with one sentence, before it changes anything", async () => {
        project.program(slow);
        const first = project.start("up");
        await eventually("the program to run", () => project.exists("running"));
        const state = fs.statSync(project.path(stateFile)).mtimeMs;
        for (const command of ["up", "destroy"]) {
            const second = await project.run(command);
            assert.equal(second.code, 1);
            assert.match(
                second.stderr,
                /^error: another `up`\/`destroy` of stack dev is running: pid \d+ since \S+Z\. Wait for it or end it; nothing was changed\.\n$/,
            );
        }
        assert.equal(fs.statSync(project.path(stateFile)).mtimeMs, state);
        project.write("go-on", "");
        assert.equal((await first.finished).code, 0);
    });

    it("refuses while only the engine of a killed run is alive, and goes on when that is dead too", async () => {
        project.program(slow);
        const first = project.start("up");
        await eventually("the program to run", () => project.exists("running"));
        first.child.kill("SIGKILL");
        const name = fs.readdirSync(project.path(lockFolder)).find((file) => file.endsWith(".json"));
        const { pid } = JSON.parse(project.read(`${lockFolder}/${name}`)) as { pid: number };
        const refused = await project.run("up");
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, new RegExp(`is running: pid ${pid} since`));

        process.kill(pid, "SIGKILL");
        project.write("go-on", "");
        await first.finished;
        const again = await project.run("up");
        assert.equal(again.code, 0, again.stdout + again.stderr);
        assert.match(again.stderr, new RegExp(`stack dev: removed the lock of a run that has ended \\(pid ${pid}, `));
        assert.deepEqual(fs.readdirSync(project.path(lockFolder)), []);
    });

    it("leaves no engine behind that waits for somebody to read its events, with the stack's lock", async () => {
        const talk = "for (let i = 0; i < 500; i++) { require('@pulumi/pulumi').log.info('x'.repeat(1000)); }";
        project.program(`${slow}\n${talk}`);
        fs.mkdirSync(project.path("tmp"));
        project.env.TMPDIR = project.path("tmp");
        const killed = project.start("up");
        await eventually("the program to run", () => project.exists("running"));
        killed.child.kill("SIGKILL");
        assert.deepEqual(
            project.list("tmp").filter((name) => name.startsWith("runtime-sandboxes-")),
            [],
        );
        project.write("go-on", "");
        const isFree = () => fs.readdirSync(project.path(lockFolder)).length === 0;
        await eventually("the engine to end by itself", isFree);
        const again = await project.run("up");
        assert.equal(again.code, 0, again.stdout + again.stderr);
        assert.doesNotMatch(again.stderr, /removed the lock/);
    });

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
        it(`passes ${signal} on, waits for Pulumi to end in good order, and can be run again`, async () => {
            project.program(slow);
            const { child, finished } = project.start("up");
            await eventually("the program to run", () => project.exists("running"));
            child.kill(signal);
            const ended = await finished;
            assert.notEqual(ended.code, 0);
            assert.match(ended.stderr, /error: `pulumi up` of stack dev /);
            assert.deepEqual(fs.readdirSync(project.path(lockFolder)), []);
            project.write("go-on", "");
            const again = await project.run("up");
            assert.equal(again.code, 0, again.stdout + again.stderr);
            assert.doesNotMatch(again.stderr, /removed the lock/);
        });
    }

    it("leaves a lock of another host alone and says how to remove it", async () => {
        const lock = { pid: 1, username: "alice", hostname: `not-${os.hostname()}`, timestamp: "2026-01-02T03:04:05Z" };
        project.write(`${lockFolder}/0.json`, JSON.stringify(lock));
        const up = await project.run("up");
        assert.equal(up.code, 1);
        assert.match(
            up.stderr,
            /stack dev is locked by alice@not-\S+, pid 1 since 2026-01-02T03:04:05Z; nothing was changed\./,
        );
        assert.match(up.stderr, /next: if that run has ended: npm run pulumi -- cancel --yes --stack dev/);
        assert.equal(project.exists(`${lockFolder}/0.json`), true);
    });

    it("drops what an interrupted create left in the state", async () => {
        assert.equal((await project.run("up")).code, 0);
        const state = JSON.parse(project.read(stateFile)) as { checkpoint: { latest: Record<string, unknown> } };
        const urn = "urn:pulumi:dev::runtime-sandboxes::command:local:Command::local-machine-worker-1";
        const resource = { urn, custom: true, type: "command:local:Command", inputs: {}, outputs: {} };
        state.checkpoint.latest.pending_operations = [{ type: "creating", resource }];
        project.write(stateFile, JSON.stringify(state));
        const up = await project.run("up");
        assert.equal(up.code, 0, up.stdout + up.stderr);
        assert.match(up.stderr, /stack dev: local-machine-worker-1 was interrupted while creating; it is done again\n/);
        assert.doesNotMatch(up.stdout, /pending operations/);
        assert.doesNotMatch(project.read(stateFile), /pending_operations/);
    });

    it("works on a backend of the user's own", async () => {
        fs.mkdirSync(project.path("elsewhere"));
        project.env.PULUMI_BACKEND_URL = `file://${project.path("elsewhere")}`;
        assert.match((await project.run("destroy")).stdout, /^stack dev does not exist: nothing to destroy\n/);
        assert.equal((await project.run("check")).code, 1);
        assert.equal((await project.run("up")).code, 0);
        assert.equal((await project.run("check")).code, 0);
        assert.equal(project.exists("elsewhere/stacks") || project.exists("elsewhere/.pulumi/stacks"), true);
        assert.equal(project.exists(".pulumi"), false);
    });

    it("does without a salt of another passphrase, but not where something is encrypted with it", async () => {
        const forget = (): void => {
            for (const name of [".pulumi", ".local"]) {
                fs.rmSync(project.path(name), { recursive: true });
            }
        };
        assert.equal((await project.run("up")).code, 0);
        forget();
        assert.equal((await project.run("preview")).code, 0);
        assert.equal((await project.run("up")).code, 0);
        const set = await project.run("pulumi", "--", "config", "set", "--secret", "other:password", "hidden");
        assert.equal(set.code, 0, set.stderr);
        forget();
        const up = await project.run("up");
        assert.equal(up.code, 1);
        assert.match(up.stderr, /Pulumi\.dev\.yaml holds the encryptionsalt of another passphrase than this one\./);
    });

    it("gives any Pulumi command the right environment, also before the first up", async () => {
        const set = await project.run("pulumi", "--", "config", "set", "workers", "2");
        assert.equal(set.code, 0, set.stderr);
        assert.match(project.read("Pulumi.dev.yaml"), /runtime-sandboxes:workers: "?2"?/);
        const list = await project.run("pulumi", "stack", "ls", "--json");
        assert.deepEqual(
            (JSON.parse(list.stdout) as { name: string }[]).map(({ name }) => name),
            ["dev"],
        );
    });
});
