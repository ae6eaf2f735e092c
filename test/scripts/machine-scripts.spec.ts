// What is brought to a machine, and how a step calls it, in a scratch directory.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { callOf, nameOf, textOf } from "../../components/machineScripts";

const place = "/var/lib/runtime-sandboxes-scripts";
const record = "/var/lib/runtime-sandboxes";
const files = ["lib.sh", "node/machine-id.sh", "node/membership.sh", "gvisor/node.sh"];
const called = ["node/membership.sh"];
const removal = ["lib.sh", "node/machine-id.sh"];

describe("scripts on machines", () => {
    let scratch: string;
    beforeEach(() => {
        scratch = fs.mkdtempSync(path.join(os.tmpdir(), "machine-scripts-"));
    });
    afterEach(() => fs.rmSync(scratch, { recursive: true }));

    const at = (...names: string[]) => path.join(scratch, ...names);
    const bash = (script: string, ...args: string[]) =>
        spawnSync("bash", ["-s", "--", ...args], {
            // They belong to root there; who runs these tests need not be root.
            input: script.replaceAll(place, at("brought")).replaceAll(record, at("record")).replace("EUID == 0", "1"),
            encoding: "utf8",
        });
    const bring = (change = (script: string) => script) => {
        const program = `
            import { bringing } from "./scripts/on-host/scripts.ts";
            process.stdout.write(bringing(${JSON.stringify(files)}, ${JSON.stringify(removal)}));`;
        const script = execFileSync("node", ["--input-type=module", "-e", program], { encoding: "utf8" });
        return bash(change(script));
    };
    const brought = () =>
        fs
            .readdirSync(at("brought"))
            .filter((name) => !["list", "removal"].includes(name))
            .sort();
    const call = callOf(called, "worker-1-scripts");
    const removable = callOf(called, "worker-1-scripts", record);
    const last = (text: string, of = /SCRIPTS='\S+ (\w+)'/) => of.exec(text)?.[1] ?? "";
    /** The same step with another script, which only says how it was called. */
    const stub = (text: string, directory: string, said = 'echo "$1 from $scripts"\n') => {
        const name = execFileSync("sha256sum", { input: said, encoding: "utf8" }).slice(0, 64);
        fs.mkdirSync(directory, { recursive: true });
        fs.writeFileSync(path.join(directory, name), said);
        return text.replace(/SCRIPTS='[^']*'/, `SCRIPTS='${name}'`);
    };

    it("are there with the very texts, for root only, and under their hashes", () => {
        const { status, stderr } = bring();
        assert.equal(status, 0, stderr);
        assert.equal(brought().length, files.length);
        for (const name of fs.readdirSync(at("brought"))) {
            assert.equal(fs.statSync(at("brought", name)).mode & 0o777, 0o600, name);
        }
        assert.equal(fs.statSync(at("brought")).mode & 0o777, 0o700);
        const texts = brought().map((name) => {
            const text = fs.readFileSync(at("brought", name), "utf8");
            assert.equal(execFileSync("sha256sum", { input: text, encoding: "utf8" }).slice(0, 64), name);
            return text;
        });
        const wanted = files.map((file) => fs.readFileSync(`scripts/on-machine/${file}`, "utf8"));
        assert.deepEqual(texts.sort(), wanted.sort());
        assert.deepEqual(fs.readFileSync(at("brought", "removal"), "utf8").split("\n"), [...removal.map(nameOf), ""]);
    });

    it("are brought again over what is half there, changed or left behind; those of before stay for a month", () => {
        bring();
        const [one = "", other = ""] = brought();
        fs.writeFileSync(at("brought", one), "half");
        fs.writeFileSync(at("brought", `${other}.new`), "half");
        const [older, ancient] = ["a".repeat(64), "b".repeat(64)];
        const longAgo = new Date(Date.now() - 40 * 24 * 3600 * 1000);
        for (const name of [older, ancient]) {
            fs.writeFileSync(at("brought", name), "text");
            fs.utimesSync(at("brought", name), longAgo, longAgo);
        }
        fs.appendFileSync(at("brought", "list"), `${older}  ${older}\n`);
        const { status, stderr } = bring();
        assert.equal(status, 0, stderr);
        const now = brought();
        assert.ok(now.includes(older), "it was among those that were brought last");
        assert.ok(!now.includes(ancient));
        assert.ok(!now.includes(`${other}.new`));
        assert.equal(bash(call.replace('. "$scripts/$one"', ":"), "install").status, 0);
    });

    it("are refused to whoever is not root, and where nothing can be written, with what to do", () => {
        const user = bring((script) => script.replace("EUID == 0", "EUID < 0"));
        assert.equal(user.status, 1);
        assert.match(user.stderr, /log in as root or allow passwordless sudo/);
        assert.ok(!fs.existsSync(at("brought")));
        fs.writeFileSync(at("brought"), "a file");
        const full = bring();
        assert.equal(full.status, 1);
        assert.match(full.stderr, /error: cannot write \S+brought\n$/);
    });

    it("are run as one text would be: in order, with the verb, the constants, and nothing left to read", () => {
        const texts = [
            'set -eu\ndeclare -A known=([a]=b)\ngreet() { echo "$WORKER is asked to $1"; }\n',
            // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
            'main() { greet "$1" && echo "${known[a]}" && cat; }\nmain "$@"\n',
        ];
        const named = texts.map((text) => /SCRIPTS='(\w+)'/.exec(stub(call, at("brought"), text))?.[1]);
        const step = call.replace(/SCRIPTS='[^']*'/, `SCRIPTS='${named.join(" ")}'`);
        const { stdout, stderr } = bash(`readonly WORKER='w 1'\n${step}`, "install");
        assert.deepEqual([stdout, stderr], ["w 1 is asked to install\nb\n", ""]);
    });

    it("are not run where one is gone or changed: the error says what brings them again", () => {
        bring();
        for (const spoil of [
            () => fs.appendFileSync(at("brought", last(call)), "# more\n"),
            () => fs.rmSync(at("brought", last(call))),
            () => fs.rmSync(at("brought"), { recursive: true }),
        ]) {
            spoil();
            const { status, stdout, stderr } = bash(call, "install");
            assert.equal(status, 66);
            assert.equal(stdout, "");
            assert.match(
                stderr,
                /: error: the scripts in \S+ are gone or were changed; bring them again: npm run up, /,
            );
            assert.match(stderr, / or pulumi up --replace '\*\*::worker-1-scripts'\n$/);
        }
    });

    it("take away what they made by the removal that was brought last, or that was kept, where that is gone or changed", () => {
        const step = stub(removable, at("brought"), 'echo "$1"\n');
        /** Puts a removal there. */
        const removing = (directory: string, said: string) =>
            fs.writeFileSync(
                path.join(directory, "removal"),
                `${last(stub("SCRIPTS='a b'", directory, said), /'(\w+)'/)}\n`,
            );
        removing(at("brought"), 'echo "$1 as of today from $scripts"\n');
        fs.mkdirSync(at("record", "scripts"), { recursive: true });
        removing(at("record", "scripts"), 'echo "$1 as of then from $scripts"\n');
        assert.equal(bash(step, "install").stdout, "install\n");
        assert.equal(bash(step, "remove").stdout, `remove as of today from ${at("brought")}\n`);
        const [today = ""] = fs.readFileSync(at("brought", "removal"), "utf8").split("\n");
        fs.appendFileSync(at("brought", today), "# more\n");
        assert.equal(bash(step, "remove").stdout, `remove as of then from ${at("record", "scripts")}\n`);
        fs.rmSync(at("brought"), { recursive: true });
        assert.equal(bash(step, "remove").stdout, `remove as of then from ${at("record", "scripts")}\n`);
        assert.equal(bash(step, "install").status, 66, "only a removal goes by it");
        fs.rmSync(at("record", "scripts"), { recursive: true });
        assert.equal(bash(step, "remove").status, 66, "something is to be taken away, and nothing knows how");
        fs.rmSync(at("record"), { recursive: true });
        const { status, stdout } = bash(step, "remove");
        assert.deepEqual([status, stdout], [0, ""], "nothing was made here");
    });

    it("of the removal are kept whole by the step that makes something", () => {
        bring();
        fs.mkdirSync(at("record"));
        fs.mkdirSync(at("record", "scripts.new"));
        const keep = `${call.replace('. "$scripts/$one"', ":")}${textOf(["gvisor/state.sh"])}\nkeep_removal\n`;
        const kept = [...removal.map(nameOf), "removal"].sort();
        for (const _ of ["first", "again"]) {
            const { status, stderr } = bash(keep, "install");
            assert.equal(status, 0, stderr);
            assert.deepEqual(fs.readdirSync(at("record")), ["scripts"]);
            assert.deepEqual(fs.readdirSync(at("record", "scripts")).sort(), kept);
        }
        fs.rmSync(at("brought", nameOf("node/machine-id.sh")));
        assert.equal(bash(keep, "install").status, 1, "one of them is gone");
        assert.deepEqual(fs.readdirSync(at("record", "scripts")).sort(), kept);
    });
});
