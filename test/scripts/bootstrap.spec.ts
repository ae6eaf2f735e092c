// What comes before the command line: the npm packages, by a stand-in npm, and the Node that is among them.
import * as assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { eventually } from "../helpers/eventually";

const root = path.resolve(__dirname, "../..");

/** Asked for packages it writes down its arguments, waits while it should be slow, and fails or installs. */
const npm = `#!/bin/sh
echo "$*; pulumi says $(pulumi 2>&1)" >>asked
while [ -e slow ]; do sleep 0.05; done
if [ -e broken ]; then seq 20; echo "npm error 404" >&2; exit 1; fi
mkdir -p node_modules/node/bin
cp node node_modules/node/bin/new.$$
mv node_modules/node/bin/new.$$ node_modules/node/bin/node
cp installed.json node_modules/.package-lock.json
`;

/** Stands for the command line: says how it runs, and ends or waits as its arguments say. */
const program = `
import { writeFileSync } from "node:fs";
export async function runCommand([what, code]: string[]): Promise<number> {
    console.log(what, process.env.OF_PACKAGES ?? "started", process.env.NODE_COMPILE_CACHE ?? "none");
    if (what === "handle") process.on("SIGTERM", () => process.exit(Number(code)));
    writeFileSync("running", "");
    if (what !== "end") await new Promise((end) => setTimeout(end, 30_000));
    return Number(code);
}
`;

const packages = {
    "node_modules/one": { version: "1.0.0", integrity: "sha512-one" },
    "node_modules/two": { version: "2.0.0", integrity: "sha512-two" },
};
const elsewhere = { version: "3.0.0", integrity: "sha512-elsewhere" };

describe("bootstrap", function () {
    this.timeout(30_000);
    let directory: string;
    const file = (name: string) => path.join(directory, name);
    const write = (name: string, text: string, mode = 0o644) => {
        fs.mkdirSync(path.dirname(file(name)), { recursive: true });
        fs.writeFileSync(file(name), text, { mode });
    };
    const writeJson = (name: string, value: unknown) => write(name, JSON.stringify(value));
    /** What npm was asked so far. */
    const asked = () => (fs.existsSync(file("asked")) ? fs.readFileSync(file("asked"), "utf8").trim().split("\n") : []);

    beforeEach(() => {
        directory = fs.mkdtempSync(path.join(os.tmpdir(), "bootstrap-"));
        for (const name of ["bootstrap.mjs", "lock.mjs", "package.json"]) {
            write(`cli/${name}`, fs.readFileSync(path.join(root, "cli", name), "utf8"));
        }
        write("cli/main.ts", program);
        write("bin/npm", npm, 0o755);
        write("bin/pulumi", "#!/bin/sh\necho here\n", 0o755);
        write("node", `#!/bin/sh\nOF_PACKAGES="of the packages" exec ${process.execPath} "$@"\n`, 0o755);
        const optional = { ...elsewhere, optional: true };
        writeJson("package-lock.json", { packages: { "": {}, ...packages, "node_modules/elsewhere": optional } });
        writeJson("installed.json", { packages });
    });
    afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

    function start(args: string[], [node = process.execPath, ...options]: string[] = []) {
        const { NODE_COMPILE_CACHE: _, ...env } = process.env;
        const child = spawn(node, [...options, "cli/bootstrap.mjs", ...args], {
            cwd: directory,
            env: { ...env, PATH: `${file("bin")}:${env.PATH}` },
            stdio: ["ignore", "pipe", "pipe"],
        });
        const text = { stdout: "", stderr: "" };
        for (const name of ["stdout", "stderr"] as const) {
            child[name].setEncoding("utf8").on("data", (part: string) => {
                text[name] += part;
            });
        }
        const finished = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
            child.on("close", (code) => resolve({ code, ...text }));
        });
        return { child, text, finished };
    }
    const run = async (...args: string[]) => await start(args).finished;

    it("installs the packages, and the next time does nothing", async () => {
        const first = await run("end", "7");
        assert.deepEqual([first.code, first.stdout], [7, "end started none\n"]);
        assert.match(first.stderr, /^npm packages \.\.\.\nnpm packages: done \(\d+ s\)\n$/);
        // Packages of Pulumi would download plug-ins by a pulumi that works.
        const call = "ci --no-audit --no-fund --no-update-notifier --loglevel=warn; pulumi says ";
        assert.deepEqual(asked(), [call.trim()]);
        const second = await run("end", "0");
        assert.deepEqual([second.code, second.stderr, asked().length], [0, "", 1]);
    });

    it("takes node_modules of somebody's own npm ci as it is, unless it does not match the lock", async () => {
        const stamp = file("node_modules/.setup-stamp");
        const asksFor = async (installed: object) => {
            fs.rmSync(stamp, { force: true });
            fs.rmSync(file("asked"), { force: true });
            writeJson("node_modules/.package-lock.json", { packages: installed });
            const { code, stderr } = await run("end", "0");
            assert.equal(code, 0, stderr);
            assert.ok(fs.existsSync(stamp));
            return asked().length > 0;
        };
        await run("end", "0");
        assert.equal(await asksFor(packages), false);
        assert.equal(await asksFor({ ...packages, "node_modules/elsewhere": elsewhere }), false);
        assert.equal(await asksFor({ ...packages, "node_modules/two": { ...elsewhere, version: "2.0.0" } }), true);
        assert.equal(await asksFor({ "node_modules/one": packages["node_modules/one"] }), true);
        assert.equal(await asksFor({ ...packages, "node_modules/extra": elsewhere }), true);
        writeJson("package-lock.json", { packages: { "": {}, "node_modules/one": elsewhere } });
        assert.deepEqual([(await run("end", "0")).code, asked().length], [0, 2]);
    });

    it("waits for another one that installs", async () => {
        write("slow", "");
        const first = start(["end", "0"]);
        await eventually("npm to run", () => asked().length === 1);
        const second = start(["end", "0"]);
        await eventually("the second one to wait", () => second.text.stderr !== "");
        fs.rmSync(file("slow"));
        assert.equal((await first.finished).code, 0);
        const { code, stderr } = await second.finished;
        assert.equal(code, 0, stderr);
        const since = String.raw`\(pid ${first.child.pid} since \S+Z\)`;
        assert.match(stderr, new RegExp(`^npm packages: another run installs them ${since}; waiting for it\n$`));
        assert.equal(asked().length, 1);
    });

    it("takes over the lock of one that is dead", async () => {
        write("slow", "");
        const { child, finished } = start(["end", "0"]);
        await eventually("npm to run", () => asked().length === 1);
        child.kill("SIGKILL");
        await finished;
        const lock = fs.readFileSync(file(".cache/locks/npm-ci.lock"), "utf8");
        assert.equal((JSON.parse(lock) as { pid: number }).pid, child.pid);
        fs.rmSync(file("slow"));
        const { code, stderr } = await run("end", "0");
        assert.equal(code, 0, stderr);
        assert.doesNotMatch(stderr, /another run/);
        assert.deepEqual(fs.readdirSync(file(".cache/locks")), []);
    });

    it("ends npm with a signal, and leaves no lock", async () => {
        write("slow", "");
        const { child, finished } = start(["end", "0"]);
        await eventually("npm to run", () => asked().length === 1);
        child.kill("SIGTERM");
        const { code, stdout } = await finished;
        assert.deepEqual([code, stdout, fs.readdirSync(file(".cache/locks"))], [143, "", []]);
        fs.rmSync(file("slow"));
        assert.equal((await run("end", "0")).code, 0);
    });

    it("fails with the end of npm's log, and tries again the next time", async () => {
        write("broken", "");
        const { code, stdout, stderr } = await run("end", "0");
        assert.deepEqual([code, stdout], [1, ""]);
        const [first, error, ...tail] = stderr.trimEnd().split("\n");
        const [next, log] = [tail.pop(), tail.pop()];
        assert.equal(first, "npm packages ...");
        assert.equal(error, "error: the npm packages could not be installed: `npm ci` failed.");
        assert.equal(tail.length, 15);
        assert.equal(tail.at(-1), "  | npm error 404");
        assert.equal(log, `  log: ${file(".cache/logs/npm-ci.log")}`);
        assert.match(next ?? "", /^ {2}next: see that the npm registry /);
        fs.rmSync(file("broken"));
        assert.equal((await run("end", "0")).code, 0);
    });

    it("names the Node of the packages where it does not run", async () => {
        fs.rmSync(file("node"));
        write("node", "nothing that runs", 0o644);
        const { code, stderr } = await run("end", "0");
        assert.equal(code, 1);
        assert.match(
            stderr,
            /error: the Node of the npm packages does not run: .*EACCES\.\n {2}next: remove node_modules/,
        );
    });

    describe("on a Node that does not run TypeScript", () => {
        /** One of this host, else that of these tests, which only says that it is older. */
        const older = () => {
            const nodes = (process.env.PATH ?? "").split(path.delimiter).map((folder) => path.join(folder, "node"));
            const major = (node: string) =>
                Number.parseInt(execFileSync(node, ["-p", "process.versions.node"], { encoding: "utf8" }), 10);
            const found = nodes.find((node) => fs.existsSync(node) && major(node) >= 20 && major(node) < 22);
            return found === undefined ? [process.execPath, "--require", file("older.cjs")] : [found];
        };
        const startOlder = (...args: string[]) => start(args, older());

        beforeEach(() => {
            const versions = '{ ...process.versions, node: "20.19.0" }';
            write("older.cjs", `Object.defineProperty(process, "versions", { value: ${versions} });`);
        });

        it("goes on with the Node of the packages, and keeps its exit code", async () => {
            const { code, stdout } = await startOlder("end", "7").finished;
            assert.deepEqual([code, stdout], [7, `end of the packages ${file(".cache/node-compile")}\n`]);
        });

        for (const [what, signal, expected] of [
            ["handle", "SIGTERM", 7],
            ["wait", "SIGTERM", 143],
            ["wait", "SIGINT", 130],
            ["wait", "SIGHUP", 129],
        ] as const) {
            it(`passes ${signal} on, and ends with ${expected} where that is how the child ends`, async () => {
                const { child, finished } = startOlder(what, "7");
                await eventually("the program to run", () => fs.existsSync(file("running")));
                child.kill(signal);
                assert.equal((await finished).code, expected);
            });
        }
    });
});
